#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr std::size_t kOrders = 4;
constexpr std::array<const char*, kOrders> kMatches{"matches_1", "matches_2", "matches_3", "matches_4"};
constexpr std::array<const char*, kOrders> kTotals{"total_1", "total_2", "total_3", "total_4"};

/// Words and signs by the word boundaries of UAX 29; case counts.
Strings words_of(const std::string& text) {
  const auto clean = repaired_utf8(text);
  Strings out;
  for (const auto& span : word_spans(clean)) out.push_back(clean.substr(span.begin, span.end - span.begin));
  return out;
}

std::map<Strings, std::int64_t> ngrams(const Strings& words, std::size_t order) {
  std::map<Strings, std::int64_t> out;
  for (std::size_t i = 0; i + order <= words.size(); ++i)
    ++out[Strings(words.begin() + static_cast<std::ptrdiff_t>(i),
                  words.begin() + static_cast<std::ptrdiff_t>(i + order))];
  return out;
}

/// What one text adds to the sums that BLEU is made of.
struct Sums {
  std::array<std::int64_t, kOrders> matches{}, totals{};
  std::int64_t length = 0, reference = 0;

  void operator+=(const Sums& other) {
    for (std::size_t n = 0; n < kOrders; ++n) matches[n] += other.matches[n], totals[n] += other.totals[n];
    length += other.length, reference += other.reference;
  }
  /// Papineni et al. 2002, section 2.2.2.
  double brevity_penalty() const {
    if (length == 0) return 0;
    return length > reference ? 1 : std::exp(1 - static_cast<double>(reference) / static_cast<double>(length));
  }
  /// exp(mean over n of ln p_n) times the brevity penalty (Papineni et al. 2002, section 2.3); `smooth` adds one to
  /// counts of n > 1 (Lin and Och 2004), as a single text seldom has four words in a row that match.
  double bleu(bool smooth) const {
    double sum = 0;
    for (std::size_t n = 0; n < kOrders; ++n) {
      const double more = smooth && n > 0 ? 1 : 0;
      sum += std::log((static_cast<double>(matches[n]) + more) / (static_cast<double>(totals[n]) + more)) / kOrders;
    }
    const double value = brevity_penalty() * std::exp(sum);
    return std::isfinite(value) ? value : 0;  // no match, or no text of four words at all
  }
};

/// Counts of n-grams are clipped by the reference that has most of each; the reference length is the nearest one, of
/// equally near ones the shorter.
Sums compared(const Strings& candidate, const std::vector<Strings>& references) {
  Sums out;
  out.length = std::ssize(candidate);
  const auto far = [&](const Strings& one) {
    return std::pair(std::abs(std::ssize(one) - out.length), std::ssize(one));
  };
  const auto nearest = std::min_element(references.begin(), references.end(),
                                        [&](const auto& a, const auto& b) { return far(a) < far(b); });
  out.reference = std::ssize(*nearest);
  for (std::size_t n = 1; n <= kOrders; ++n) {
    std::map<Strings, std::int64_t> most;
    for (const auto& reference : references)
      for (const auto& [gram, times] : ngrams(reference, n)) most[gram] = std::max(most[gram], times);
    for (const auto& [gram, times] : ngrams(candidate, n)) {
      out.totals[n - 1] += times;
      if (const auto found = most.find(gram); found != most.end())
        out.matches[n - 1] += std::min(times, found->second);
    }
  }
  return out;
}

/// BLEU of all texts together, with one text generated for each distinct source; documents with the same source are
/// its references.
class Bleu final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::int64_t max_time = 0, most = 0, max_tokens = 64;
    double temperature = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with a source in `text` and its target in `text_b`.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::max_tokens, "max_tokens", "Tokens that are generated, at most.").min(1);
      f.add(&Params::temperature, "temperature", "Of sampling; 0: the most probable token each time.").min(0);
      f.add(&Params::max_time, "max_time", "Tokens of source and target that are read; 0: what the model takes.")
          .min(0);
      f.add(&Params::most, "most", "Documents to read sources of; 0: all. References are those of all.").min(0);
      f.needs("field", "segment");
      f.gives("metric", "bleu", "BLEU");
      f.gives("metric", "normalised", "share");
      f.gives("metric", "brevity_penalty", "share");
    }
  };
  explicit Bleu(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    if (!subject.tokenizer() || !subject.can("generate"))
      throw Error("BLEU needs a model that generates text, and this one does not");
    const auto references = references_of(*context.documents(p_.data));
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    const auto random = context.random().child("generate").stream();
    const Table sampling = {{"max_tokens", p_.max_tokens}, {"temperature", p_.temperature}};
    const auto pad = subject.tokenizer()->reserved("pad").value_or(0);
    std::set<std::string> seen;
    Sums all;
    Batch batch;
    while (reader->next(batch)) {
      const auto &sources = batch.strings("text"), &ids = batch.strings("id");
      std::vector<std::int64_t> rows;
      for (std::int64_t i = 0; i < batch.items(); ++i)
        if (seen.insert(sources.at(static_cast<std::size_t>(i))).second) rows.push_back(i);
      if (rows.empty()) continue;
      const auto texts = subject.generate(prompts(batch, ops::tensor(rows), pad), sampling, random);
      if (texts.size() != rows.size())
        throw Error("the model generated " + count(texts.size(), "text") + " for " + count(rows.size(), "source"));
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto row = static_cast<std::size_t>(rows[i]);
        const auto one = compared(words_of(texts[i]), references.at(sources[row]));
        item(ids.at(row), one, context.recorder());
        all += one;
      }
    }
    if (seen.empty()) throw Error(backquoted(p_.data.text) + " has no documents", Exit::data);
    const auto version = "1, words of UAX 29, case counts";
    context.recorder().metric("bleu", 100 * all.bleu(false), {"BLEU", {}, p_.data.text, version});
    context.recorder().metric("normalised", all.bleu(false), {"share", {}, p_.data.text, version});
    context.recorder().metric("brevity_penalty", all.brevity_penalty(), {"share", {}, p_.data.text, version});
  }

 private:
  std::map<std::string, std::vector<Strings>> references_of(const DataSource& documents) const {
    std::map<std::string, std::vector<Strings>> out;
    documents.for_each([&](const Document& document) {
      const auto target = document.fields.find("text_b");
      if (target == document.fields.end())
        throw Error("document " + backquoted(document.id) + " of " + backquoted(p_.data.text) +
                        " has no target in the field `text_b`",
                    Exit::data);
      out[document.text].push_back(words_of(target->second));
    });
    return out;
  }

  /// With the counts, so that BLEU of any subset can be had from the items.
  static void item(const std::string& id, const Sums& one, Recorder& recorder) {
    const auto put = [&](const char* column, double value) { recorder.item("documents", id, column, value); };
    put("bleu", 100 * one.bleu(true)), put("normalised", one.bleu(true));
    put("brevity_penalty", one.brevity_penalty());
    for (std::size_t n = 0; n < kOrders; ++n) {
      put(kMatches[n], static_cast<double>(one.matches[n]));
      put(kTotals[n], static_cast<double>(one.totals[n]));
    }
    put("length", static_cast<double>(one.length)), put("reference_length", static_cast<double>(one.reference));
  }

  /// Of these rows the tokens before the second text, which `segment` marks.
  static Batch prompts(const Batch& batch, const at::Tensor& rows, TokenId pad) {
    const auto of_rows = [&](const char* name) { return batch.dense(name).index_select(0, rows); };
    const auto keep = of_rows("segment").cumsum(1).eq(0).logical_and(of_rows("input.mask"));
    const auto time = keep.sum(1).max().item<std::int64_t>();
    Batch out;
    out.sample_id = out.group_id = batch.sample_id.index_select(0, rows);
    const auto ids = of_rows("ids").masked_fill(keep.logical_not(), pad);
    out.set("ids", ids.narrow(1, 0, time)), out.set("input.mask", keep.narrow(1, 0, time));
    return out;
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(bleu) { registry.add<xp::Bleu>("bleu", "BLEU of the texts that a model generates from sources."); }
