// Questions and answers that documents hold without anybody having asked: a sentence and its passage.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "api/generator.h"
#include "base/text.h"
#include "kit/paragraphs.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace {

using Spans = std::vector<xp::TextSpan>;

/// The span without the white space around it.
xp::TextSpan trimmed(std::string_view text, xp::TextSpan span) {
  const auto inner = xp::trim(text.substr(span.begin, span.end - span.begin));
  if (inner.empty()) return {span.begin, span.begin};
  const auto begin = static_cast<std::uint32_t>(inner.data() - text.data());
  return {begin, begin + static_cast<std::uint32_t>(inner.size())};
}

/// A paragraph of a document.
struct Passage {
  std::uint32_t begin = 0;  ///< in the document
  std::string_view text;
  Spans sentences;  ///< in the passage

  std::string_view sentence(std::size_t i) const {
    return text.substr(sentences[i].begin, sentences[i].end - sentences[i].begin);
  }
  bool holds(std::string_view wanted) const {
    for (std::size_t i = 0; i < sentences.size(); ++i)
      if (sentence(i) == wanted) return true;
    return false;
  }
  /// What is left without this sentence, wherever the passage has it.
  std::string without(std::string_view unwanted) const {
    std::string out;
    std::size_t at = 0;
    for (std::size_t i = 0; i < sentences.size(); ++i) {
      if (sentence(i) != unwanted) continue;
      out += text.substr(at, sentences[i].begin - at);
      at = std::min(text.find_first_not_of(" \t\r\n", sentences[i].end), text.size());
    }
    out += text.substr(at);
    return std::string(xp::trim(out));
  }
};

/// Sentences are those that the source marks, else those of each paragraph.
std::vector<Passage> passages_of(const xp::Document& document) {
  Spans marks;
  bool marked = false;
  for (const auto& mark : document.annotations) {
    if (mark.kind != "sentence" || mark.begin >= mark.end || mark.end > document.text.size()) continue;
    marks.push_back(
        trimmed(document.text, {static_cast<std::uint32_t>(mark.begin), static_cast<std::uint32_t>(mark.end)}));
    marked = true;
  }
  std::sort(marks.begin(), marks.end());
  std::vector<Passage> out;
  for (const auto& paragraph : xp::paragraphs_of(document)) {
    const auto inner = trimmed(document.text, paragraph);
    if (inner.begin == inner.end) continue;
    Passage one{inner.begin, std::string_view(document.text).substr(inner.begin, inner.end - inner.begin), {}};
    if (!marked) one.sentences = xp::sentence_spans(one.text);
    std::uint32_t free = inner.begin;  // marks that overlap are one sentence, the first
    for (const auto& mark : marks) {
      if (mark.begin < free || mark.end > inner.end || mark.begin == mark.end) continue;
      one.sentences.push_back({mark.begin - inner.begin, mark.end - inner.begin}), free = mark.end;
    }
    out.push_back(std::move(one));
  }
  return out;
}

enum Task : std::size_t { ict, bfs };
constexpr std::array<const char*, 2> kTasks{"ict", "bfs"};

/// Pairs of a query and a passage that answers it, for two-tower retrieval (Chang et al. 2020, "Pre-training Tasks
/// for Embedding-based Large-scale Retrieval"). Inverse cloze (ICT): a sentence of the passage asks for
/// the rest of it; with a small probability it stays there, so that matches of words are learnt as well (Lee, Chang
/// and Toutanova 2019). Body first (BFS): a sentence of the document's first section asks for another
/// passage of it. Each pair becomes two documents of one group, the query first.
class InverseCloze final : public xp::Generator {
 public:
  struct Params {
    xp::Value task = xp::Table{{kTasks[ict], 1.0}};
    double remove = 0.9;
    std::int64_t pairs = 1, lead = 1;

    static void describe(xp::Fields<Params>& f) {
      auto weight = xp::field::number();
      weight.min = 0;
      f.add(
           &Params::task, "task",
           "What asks for a passage: `ict`, one of its sentences; `bfs`, a sentence of the document's first section; "
           "or a table of weights by which each pair draws one. Where a passage cannot do what is drawn, there is "
           "no pair.")
          .any_of({xp::field::text({kTasks.begin(), kTasks.end()}),
                   xp::field::table(
                       {xp::field::named(weight, kTasks[ict], "Weight of sentences of the passage."),
                        xp::field::named(weight, kTasks[bfs], "Weight of sentences of the first section.")})})
          .otherwise({{kTasks[ict], 1.0}});
      f.add(&Params::remove, "remove",
            "Probability with which an `ict` query is taken out of its passage; the queries of `bfs` are never in "
            "theirs.")
          .min(0)
          .max(1);
      f.add(&Params::pairs, "pairs", "Draws for each passage.").min(1);
      f.add(&Params::lead, "lead", "Passages that are the first section of a document that marks no `section`.")
          .min(1);
      f.gives("field", "text"), f.gives("field", "task");
      f.gives("group", "2");
    }
  };

  explicit InverseCloze(Params params) : p_(std::move(params)), weights_(weights_of(p_.task)) {
    if (!(p_.remove >= 0 && p_.remove <= 1))
      throw xp::Error("`remove` is " + xp::number_text(p_.remove) + "; it is a probability, 0 to 1", xp::Exit::usage);
    if (p_.pairs < 1) throw xp::Error("`pairs` is below 1; each passage needs a draw", xp::Exit::usage);
    if (p_.lead < 1) throw xp::Error("`lead` is below 1; the first section has a passage", xp::Exit::usage);
  }

  std::vector<xp::Document> generate(const xp::Document& from, xp::Backend&, xp::RandomStream random) override {
    const auto passages = passages_of(from);
    const auto lead = lead_of(from, passages);
    std::vector<xp::Document> out;
    for (std::size_t i = 0; i < passages.size(); ++i) {
      for (std::int64_t k = 0; k < p_.pairs; ++k) {
        // A stream for each draw: more of them, or another passage's text, leave the others as they are.
        auto stream = random.fork(i + 1).fork(static_cast<std::uint64_t>(k) + 1);
        const auto task = stream.uniform() * (weights_[ict] + weights_[bfs]) < weights_[ict] ? ict : bfs;
        const auto pair =
            task == ict ? inverse_cloze(from, passages[i], stream) : body_first(from, passages, lead, i, stream);
        if (!pair) continue;
        const auto group = from.id + "#" + std::to_string(i) + "." + std::to_string(k);
        out.push_back(member(from, group, "q", task, pair->query));
        out.push_back(member(from, group, "p", task, pair->answer));
      }
    }
    return out;
  }

 private:
  using Weights = std::array<double, kTasks.size()>;
  struct Pair {
    std::string query, answer;
  };

  static Weights weights_of(const xp::Value& task) {
    Weights out{};
    const auto put = [&](const std::string& name, const xp::Value& weight) {
      const auto* const place = std::find(kTasks.begin(), kTasks.end(), name);
      if (place == kTasks.end())
        throw xp::Error("`task` has " + xp::backquoted(name) + "; there are `ict` and `bfs`", xp::Exit::usage);
      if (!weight.is_number() || !std::isfinite(weight.number()) || weight.number() < 0)
        throw xp::Error("the weight of " + xp::backquoted(name) + " in `task` is " + xp::to_text(weight) +
                            "; it is a number, 0 or more",
                        xp::Exit::usage);
      out[static_cast<std::size_t>(place - kTasks.begin())] = weight.number();
    };
    if (const auto* name = task.as<std::string>()) put(*name, 1);
    if (const auto* table = task.as<xp::Table>())
      for (const auto& [name, weight] : *table) put(name, weight);
    if (!(std::accumulate(out.begin(), out.end(), 0.0) > 0))
      throw xp::Error("`task` has no weight above 0; write `ict`, `bfs` or { ict = 1, bfs = 1 }", xp::Exit::usage);
    return out;
  }

  /// The passages that stand before a section's end or the begin of the second one, whichever comes first.
  std::size_t lead_of(const xp::Document& from, const std::vector<Passage>& passages) const {
    if (passages.empty()) return 0;
    std::optional<std::uint64_t> end;
    for (const auto& mark : from.annotations) {
      if (mark.kind != "section" || mark.end <= passages.front().begin || mark.begin >= mark.end) continue;
      const auto border = mark.begin > passages.front().begin ? mark.begin : mark.end;
      end = std::min(end.value_or(border), border);
    }
    if (!end) return std::min(passages.size(), static_cast<std::size_t>(p_.lead));
    return static_cast<std::size_t>(
        std::count_if(passages.begin(), passages.end(), [&](const Passage& one) { return one.begin < *end; }));
  }

  std::optional<Pair> inverse_cloze(const xp::Document& from, const Passage& passage,
                                    xp::RandomStream& random) const {
    if (passage.sentences.empty()) return std::nullopt;
    const auto query = passage.sentence(static_cast<std::size_t>(random.below(std::ssize(passage.sentences))));
    const auto rest = passage.without(query);
    if (rest.empty()) return std::nullopt;
    if (random.uniform() < p_.remove) return Pair{std::string(query), titled(from, rest, query)};
    return Pair{std::string(query), titled(from, std::string(passage.text), {})};
  }

  /// Every passage is the answer in its turn, so none is drawn; never one that has the query itself.
  static std::optional<Pair> body_first(const xp::Document& from, const std::vector<Passage>& passages,
                                        std::size_t lead, std::size_t answer, xp::RandomStream& random) {
    std::vector<std::string_view> queries;
    for (std::size_t i = 0; i < lead; ++i)
      for (std::size_t s = 0; s < passages[i].sentences.size(); ++s)
        if (!passages[answer].holds(passages[i].sentence(s))) queries.push_back(passages[i].sentence(s));
    if (queries.empty()) return std::nullopt;
    const auto query = queries[static_cast<std::size_t>(random.below(std::ssize(queries)))];
    return Pair{std::string(query), titled(from, std::string(passages[answer].text), query)};
  }

  /// The passage behind the document's title, unless that is what the passage must not have.
  static std::string titled(const xp::Document& from, std::string passage, std::string_view unwanted) {
    const auto title = xp::trim(from.title);
    if (title.empty() || title == unwanted) return passage;
    return std::string(title) + "\n" + passage;
  }

  static xp::Document member(const xp::Document& from, const std::string& group, const char* which, Task task,
                             std::string text) {
    xp::Document out = from;
    out.annotations.clear(), out.title.clear();
    out.group = group, out.id = group + which, out.text = std::move(text);
    out.fields = {{"task", kTasks[task]}};
    return out;
  }

  Params p_;
  Weights weights_;
};

}  // namespace

XP_PLUGIN(inverse_cloze) {
  registry.add<InverseCloze>("inverse_cloze", "Pairs of a sentence and a passage that answers it.");
}
