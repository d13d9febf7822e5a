#include <algorithm>

#include "api/evaluator.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

/// Words of some text and what a tokenizer makes of them.
struct Tally {
  std::int64_t words = 0, pieces = 0, whole = 0, unknown = 0;
  std::int64_t tokens = 0, bytes = 0;  ///< of all text
  void add(const Tally& other) {
    words += other.words, pieces += other.pieces, whole += other.whole, unknown += other.unknown;
    tokens += other.tokens, bytes += other.bytes;
  }
};

bool has_letter_or_number(std::string_view text) {
  for (std::size_t at = 0; at < text.size();)
    if (const auto c = next_char(text, at); is_letter(c) || is_number(c)) return true;
  return false;
}

/// Fertility of a tokenizer: its tokens per word, with the share of words that are one token (Rust, Pfeiffer, Vulić,
/// Ruder and Gurevych 2021, "How Good is Your Tokenizer?", section 3.2; there the share of the others). The model
/// says nothing here; only its tokenizer is asked.
class Fertility final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::string of = "word";
    std::vector<std::string> except;
    std::int64_t most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents to tokenize.").artifact("dataset").evaluates().required();
      f.add(&Params::of, "of",
            "What is counted as a word: `word`, those of Unicode's rules that have a letter or number; else the kind "
            "of annotations, such as `entity`, that may hold several words.");
      f.add(&Params::except, "except", "Values of annotations that are not counted, such as `O`; patterns with `*`.");
      f.add(&Params::most, "most", "Documents to tokenize, the first ones; 0: all.").min(0);
      f.gives("metric", "tokens_per_word", "tokens/word");
      f.gives("metric", "tokens_per_byte", "tokens/byte");
      f.gives("metric", "whole", "share");
      f.gives("metric", "unknown", "share");
    }
  };
  explicit Fertility(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto* encoder = subject.tokenizer();
    if (!encoder) throw Error("fertility is a tokenizer's, and the model has none");
    const auto unk = encoder->reserved("unk");
    Tally all;
    std::int64_t documents = 0;
    context.documents(p_.data)->for_each([&](const Document& document) {
      if (p_.most > 0 && documents == p_.most) return;
      ++documents;
      const auto one = tally(*encoder, unk, document);
      all.add(one);
      if (one.words > 0) item(document.id, one, context.recorder());
    });
    if (all.words == 0)
      throw Error(backquoted(p_.data.text) + " has no " + (p_.of == "word" ? p_.of : "annotation of kind " + p_.of) +
                      " that could be counted",
                  Exit::data);
    const MetricSignature share{"share", {}, p_.data.text, version()};
    auto& out = context.recorder();
    out.metric("tokens_per_word", ratio(all.pieces, all.words), {"tokens/word", {}, p_.data.text, version()});
    out.metric("tokens_per_byte", ratio(all.tokens, all.bytes), {"tokens/byte", {}, p_.data.text, "1"});
    out.metric("whole", ratio(all.whole, all.words), share);
    out.metric("unknown", ratio(all.unknown, all.words), share);
  }

 private:
  static double ratio(std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(b); }

  // Numbers about other words are other numbers.
  std::string version() const { return "1, " + p_.of + (p_.except.empty() ? "" : " except " + join(p_.except, " ")); }

  std::vector<TextSpan> words(const Document& document) const {
    std::vector<TextSpan> out;
    if (p_.of == "word") {
      out = word_spans(document.text);
      std::erase_if(out, [&](const TextSpan& one) {
        return !has_letter_or_number(std::string_view(document.text).substr(one.begin, one.end - one.begin));
      });
      return out;
    }
    for (const auto& mark : document.annotations) {
      if (mark.kind != p_.of || mark.begin >= mark.end) continue;
      if (std::any_of(p_.except.begin(), p_.except.end(),
                      [&](const std::string& pattern) { return fits(mark.value, pattern); }))
        continue;
      out.push_back({static_cast<std::uint32_t>(mark.begin), static_cast<std::uint32_t>(mark.end)});
    }
    return out;
  }

  // A word's tokens are those that hold a byte of it. A token that reaches beyond the word's letters on either side
  // is whole only if what it adds is white space, which some tokenizers keep with the word.
  Tally tally(const Encoder& encoder, std::optional<TokenId> unk, const Document& document) const {
    Tally out;
    auto tokens = encoder.encode(document.text);
    out.tokens = std::ssize(tokens), out.bytes = std::ssize(document.text);
    std::erase_if(tokens, [](const Token& one) { return one.begin == one.end; });
    for (const auto& word : words(document)) {
      auto at =
          std::partition_point(tokens.begin(), tokens.end(), [&](const Token& one) { return one.end <= word.begin; });
      std::int64_t pieces = 0;
      bool strange = false, wide = false;
      for (; at != tokens.end() && at->begin < word.end; ++at) {
        ++pieces, strange |= unk && at->id == *unk;
        wide |= !blank(document.text, at->begin, word.begin) || !blank(document.text, word.end, at->end);
      }
      ++out.words, out.pieces += pieces, out.unknown += strange;
      out.whole += pieces == 1 && !strange && !wide;
    }
    return out;
  }

  static bool blank(std::string_view text, std::uint32_t from, std::uint32_t to) {
    return from >= to || trim(text.substr(from, to - from)).empty();
  }

  static void item(const std::string& id, const Tally& one, Recorder& recorder) {
    recorder.item("documents", id, "tokens_per_word", ratio(one.pieces, one.words));
    recorder.item("documents", id, "tokens_per_byte", ratio(one.tokens, one.bytes));
    recorder.item("documents", id, "whole", ratio(one.whole, one.words));
    recorder.item("documents", id, "unknown", ratio(one.unknown, one.words));
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(fertility) {
  registry.add<xp::Fertility>("fertility", "Tokens per word and per byte, and words that stay whole.");
}
