#include <algorithm>
#include <map>
#include <memory>
#include <numeric>

#include "api/dataset.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

enum class Task : std::uint8_t { ssp, sp, psd };

struct Paragraph {
  std::string text;
  Strings sentences;
};
struct Pooled {
  Document about;  ///< without its text
  std::vector<Paragraph> paragraphs;
};

/// Documents that wait for others. The last ones join the pool before them where they are too few, so one pool is
/// held back.
struct Waiting {
  std::vector<Pooled> ready, next;
};

/// Pairs of spans with the answer whether they belong together, as in Di Liello, Garg, Soldaini and Moschitti 2022
/// ("Pre-training Transformer Models with Sentence-Level Objectives for Answer Sentence Selection", section 3). Hard
/// negatives come from other paragraphs of the document, easy ones from other documents.
class SpanPairs final : public DataSource {
 public:
  struct Params {
    std::unique_ptr<DataSource> documents;
    Task task = Task::ssp;
    std::int64_t hard = 1, easy = 1, pool = 16;
    static void describe(Fields<Params>& f) {
      f.add(&Params::documents, "documents", "Documents whose paragraphs are annotated.").required();
      f.add(&Params::task, "task",
            "What is paired: two sentences of a paragraph (SSP), a sentence and the rest of its paragraph (SP), two "
            "paragraphs of a document (PSD).",
            {{"SSP", Task::ssp}, {"SP", Task::sp}, {"PSD", Task::psd}});
      f.add(&Params::hard, "hard",
            "Negatives from the same document for each positive; easy ones where it has no other paragraph. PSD has "
            "none.")
          .min(0)
          .max(1000);
      f.add(&Params::easy, "easy", "Negatives from other documents for each positive.").min(0).max(1000);
      f.add(&Params::pool, "pool", "Documents that exchange spans: one group, which no split cuts.").min(2);
      f.gives("field", "text");
      f.gives("field", "text_b");
      f.gives("field", "label");
      f.gives("field", "relation");
    }
  };
  explicit SpanPairs(Params p) : p_(std::move(p)) {
    if (!p_.documents) throw Error("`documents` is none; a source of documents is needed");
    if (p_.pool < 2) throw Error("`pool` is " + std::to_string(p_.pool) + "; 2 or more is needed");
  }

  void for_each(const std::function<void(const Document&)>& visit) const override {
    std::map<std::string, Waiting> by_split;  // where the source fixes it, splits exchange nothing
    std::int64_t number = 0;
    p_.documents->for_each([&](const Document& document) {
      auto one = pooled(document);
      if (one.paragraphs.empty()) return;
      auto& [ready, next] = by_split[document.split];
      next.push_back(std::move(one));
      if (std::ssize(next) < p_.pool) return;
      if (!ready.empty()) pair(ready, number++, visit);
      ready = std::exchange(next, {});
    });
    for (auto& [split, waiting] : by_split) {
      auto& [ready, next] = waiting;
      if (next.size() > 1 && !ready.empty()) pair(std::exchange(ready, {}), number++, visit);
      ready.insert(ready.end(), std::make_move_iterator(next.begin()), std::make_move_iterator(next.end()));
      if (ready.size() == 1)
        throw Error("there is one document, " + backquoted(ready[0].about.id) +
                        (split.empty() ? "" : ", in split " + backquoted(split)) + "; negatives need another",
                    Exit::data);
      pair(ready, number++, visit);
    }
  }

  std::string fingerprint() const override {
    Digest digest;
    digest.add("span_pairs").add(p_.documents->fingerprint()).add(static_cast<std::int64_t>(p_.task));
    digest.add(p_.hard).add(p_.easy).add(p_.pool);
    return digest.hex();
  }

 private:
  struct Place {
    std::size_t document = 0, paragraph = 0;
  };

  Pooled pooled(const Document& document) const {
    Pooled out{document, {}};
    out.about.text.clear(), out.about.annotations.clear(), out.about.fields.clear();
    bool annotated = false;
    for (const auto& mark : document.annotations) {
      if (mark.kind != "paragraph") continue;
      annotated = true;
      if (mark.begin > mark.end || mark.end > document.text.size())
        throw Error("document " + backquoted(document.id) + " marks a paragraph beyond its text", Exit::data);
      Paragraph one{std::string(trim(std::string_view(document.text).substr(mark.begin, mark.end - mark.begin))), {}};
      if (p_.task != Task::psd)
        for (const auto span : sentence_spans(one.text))
          one.sentences.push_back(one.text.substr(span.begin, span.end - span.begin));
      if (!one.text.empty()) out.paragraphs.push_back(std::move(one));
    }
    if (!annotated)
      throw Error("document " + backquoted(document.id) + " marks no paragraphs; spans are cut along them",
                  Exit::data);
    return out;
  }

  void pair(const std::vector<Pooled>& pool, std::int64_t number,
            const std::function<void(const Document&)>& visit) const {
    for (std::size_t d = 0; d < pool.size(); ++d) {
      // Draws depend on the document and nothing before it.
      auto random = RandomStreams(0, pool[d].about.id).stream();
      std::int64_t made = 0;
      const auto give = [&](const std::string& first, const std::string& second, const char* relation) {
        auto out = pool[d].about;
        out.id += "/" + std::to_string(made++);
        out.text = first, out.group = "pool " + std::to_string(number);
        out.fields["text_b"] = second, out.fields["relation"] = relation;
        out.fields["label"] = std::string_view(relation) == "same" ? "same" : "other";
        visit(out);
      };
      if (p_.task == Task::psd)
        paragraphs(pool, d, random, give);
      else
        sentences(pool, d, random, give);
    }
  }

  template <class Give>
  void sentences(const std::vector<Pooled>& pool, std::size_t d, RandomStream& random, const Give& give) const {
    for (std::size_t p = 0; p < pool[d].paragraphs.size(); ++p) {
      const auto& own = pool[d].paragraphs[p].sentences;
      if (own.size() < 2) continue;
      const auto first = below(own.size(), random);
      give(own[first], other_part(own, first, random), "same");
      for (std::int64_t n = 0; n < p_.hard + p_.easy; ++n) {
        const bool hard = n < p_.hard && pool[d].paragraphs.size() > 1;
        const auto place =
            hard ? Place{d, another(pool[d].paragraphs.size(), p, random)} : elsewhere(pool, d, random);
        const auto& from = pool[place.document].paragraphs[place.paragraph];
        give(own[first], p_.task == Task::sp ? from.text : from.sentences[below(from.sentences.size(), random)],
             hard ? "hard" : "easy");
      }
    }
  }

  template <class Give>
  void paragraphs(const std::vector<Pooled>& pool, std::size_t d, RandomStream& random, const Give& give) const {
    std::vector<std::size_t> order(pool[d].paragraphs.size());
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i, random)]);
    for (std::size_t i = 0; i + 1 < order.size(); i += 2) {
      const auto& first = pool[d].paragraphs[order[i]].text;
      give(first, pool[d].paragraphs[order[i + 1]].text, "same");
      for (std::int64_t n = 0; n < p_.easy; ++n) {
        const auto place = elsewhere(pool, d, random);
        give(first, pool[place.document].paragraphs[place.paragraph].text, "easy");
      }
    }
  }

  /// SSP: another sentence. SP: all others, in their order.
  std::string other_part(const Strings& own, std::size_t first, RandomStream& random) const {
    if (p_.task == Task::ssp) return own[another(own.size(), first, random)];
    Strings rest;
    for (std::size_t s = 0; s < own.size(); ++s)
      if (s != first) rest.push_back(own[s]);
    return join(rest, " ");
  }

  static std::size_t below(std::size_t n, RandomStream& random) {
    return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(n)));
  }
  static std::size_t another(std::size_t n, std::size_t but, RandomStream& random) {
    const auto drawn = below(n - 1, random);
    return drawn + (drawn >= but ? 1 : 0);
  }
  static Place elsewhere(const std::vector<Pooled>& pool, std::size_t d, RandomStream& random) {
    const auto document = another(pool.size(), d, random);
    return {document, below(pool[document].paragraphs.size(), random)};
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(span_pairs) {
  registry.add<xp::SpanPairs>("span_pairs", "Pairs of spans, labelled by whether they belong together.");
}
