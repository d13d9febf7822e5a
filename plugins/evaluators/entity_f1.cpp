#include <algorithm>
#include <map>
#include <set>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Words of a document with their tags, in order.
struct Sentence {
  std::vector<Annotation> words;
};

/// First and last word of an entity, and its type.
struct Span {
  std::size_t first = 0, last = 0;
  std::string type;
  auto operator<=>(const Span&) const = default;
};

/// Entities that BIO tags spell: B- begins one, I- of the same type goes on, I- of another one begins, all else ends.
std::set<Span> spans_of(const Strings& tags) {
  std::set<Span> out;
  Span open;
  bool is_open = false;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const bool begins = tags[i].starts_with("B-"), inside = tags[i].starts_with("I-");
    const auto type = begins || inside ? tags[i].substr(2) : std::string();
    if (is_open && !(inside && type == open.type)) out.insert(open), is_open = false;
    if (!begins && !inside) continue;
    if (!is_open) open = {i, i, type}, is_open = true;
    open.last = i;
  }
  if (is_open) out.insert(open);
  return out;
}

struct Tally {
  std::int64_t right = 0, given = 0, wanted = 0;
  double precision() const { return share(right, given); }
  double recall() const { return share(right, wanted); }
  double f1() const { return share(2 * right, given + wanted); }

 private:
  static double share(std::int64_t part, std::int64_t all) {
    return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
  }
};

/// Exact-match F1 of entities (Tjong Kim Sang and De Meulder 2003, section 3.2): an entity counts if its first word,
/// its last word and its type are right. A word's tag is what the model says at its first token; words beyond what it
/// reads have none, and so count as missed.
class EntityF1 final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string field = "tag";
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with words annotated by BIO tags.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::field, "field", "Kind of the annotations that hold the tags.");
      f.add(&Params::max_time, "max_time", "Tokens of a document that are read; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to score; 0: all.").min(0);
      f.needs("field", "tag", {{"field", {"tag"}}});
      for (const char* name : {"f1", "precision", "recall"}) f.gives("metric", name, "share");
    }
  };
  explicit EntityF1(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.can("predict")) throw Error("the model does not tag; fine-tune it with an objective that does");
    const auto& names = subject.categories(p_.field);
    std::map<std::string, Sentence> gold;
    context.documents(p_.data)->for_each([&](const Document& document) {
      auto& words = gold[document.id].words;
      for (const auto& mark : document.annotations)
        if (mark.kind == p_.field) words.push_back(mark);
    });
    Tally all;
    std::size_t cut = 0;
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    Batch batch;
    while (reader->next(batch)) {
      const auto scores = subject.predict(batch, p_.field);
      if (scores.dim() != 3 || scores.size(0) != batch.items() || scores.size(2) != std::ssize(names))
        throw Error("the model gives scores of another shape than [items, time, " + std::to_string(names.size()) +
                    "]");
      const auto best = scores.argmax(-1).contiguous();
      for (std::int64_t item = 0; item < batch.items(); ++item) {
        const auto& id = batch.strings("id").at(static_cast<std::size_t>(item));
        const auto& words = gold.at(id).words;
        const auto one = tally(words, tags(batch, item, best, names, words, cut));
        all.right += one.right, all.given += one.given, all.wanted += one.wanted;
        if (one.given + one.wanted > 0)
          record(one, [&](const char* name, double value) { context.recorder().item("documents", id, name, value); });
      }
    }
    if (all.wanted == 0)
      throw Error(backquoted(p_.data.text) + " has no entity; tags of kind " + p_.field +
                      " that begin with B- or I- are needed",
                  Exit::data);
    if (cut > 0)
      context.recorder().note(count(cut, "word") + " of " + backquoted(p_.data.text) +
                              " lie beyond the tokens that are read; their entities count as missed");
    record(all, [&](const char* name, double value) {
      context.recorder().metric(name, value, {"share", {}, p_.data.text, "1"});
    });
  }

 private:
  template <class Write>
  static void record(const Tally& tally, const Write& write) {
    write("f1", tally.f1()), write("precision", tally.precision()), write("recall", tally.recall());
  }

  static Tally tally(const std::vector<Annotation>& words, const Strings& tags) {
    Strings gold;
    for (const auto& word : words) gold.push_back(word.value);
    const auto wanted = spans_of(gold), given = spans_of(tags);
    Tally out{0, std::ssize(given), std::ssize(wanted)};
    for (const auto& one : given) out.right += wanted.contains(one);
    return out;
  }

  /// What the model says of each word, at the first token that shares a byte with it; "" where there is none.
  static Strings tags(const Batch& batch, std::int64_t item, const at::Tensor& best, const Strings& names,
                      const std::vector<Annotation>& words, std::size_t& cut) {
    const auto row = [&](const char* field) { return batch.dense(field)[item].contiguous(); };
    const auto begins = row("begin"), ends = row("end"), kinds = row("word"), chosen = best[item].contiguous();
    const auto number = [](const at::Tensor& column, std::int64_t t) {
      return column.const_data_ptr<std::int64_t>()[t];
    };
    Strings out;
    std::int64_t t = 0;
    for (const auto& word : words) {
      const auto begin = static_cast<std::int64_t>(word.begin), end = static_cast<std::int64_t>(word.end);
      while (t < kinds.size(0) && (number(kinds, t) < 0 || number(ends, t) <= begin)) ++t;
      const bool read = t < kinds.size(0) && number(begins, t) < end;
      cut += !read;
      out.push_back(read ? names.at(static_cast<std::size_t>(number(chosen, t))) : std::string());
    }
    return out;
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(entity_f1) {
  registry.add<xp::EntityF1>("entity_f1", "Precision, recall and F1 of entities that BIO tags spell.");
}
