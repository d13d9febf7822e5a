// Byte-level BPE: words are cut in the plain bytes, and only a word that the cache lacks is written byte by byte.
#include <unicode/normalizer2.h>

#include "kit/byte_level.h"
#include "kit/pipeline/byte_level_words.h"
#include "kit/pipeline/byte_merges.h"
#include "kit/pipeline/deepseek_scan.h"
#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {
namespace {

// Characters that a normal form leaves alone wherever they stand; those newer than the library's tables are among
// them or take the long way.
using Inert = std::vector<bool>;

using FormOf = const icu::Normalizer2* (*)(UErrorCode&);

Inert inert_in(FormOf form_of) {
  UErrorCode failed = U_ZERO_ERROR;
  const auto* const form = form_of(failed);
  Inert out(0x110000);
  for (UChar32 c = 0; U_SUCCESS(failed) && c < 0x110000; ++c) out[static_cast<std::size_t>(c)] = form->isInert(c);
  return out;
}

const Inert& inert_in_nfc() {
  static const auto inert = inert_in(icu::Normalizer2::getNFCInstance);
  return inert;
}

const Inert& inert_in_nfkc() {
  static const auto inert = inert_in(icu::Normalizer2::getNFKCInstance);
  return inert;
}

bool is_inert(std::string_view text, const Inert& inert) {
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80)
      ++at;
    else if (!inert[next_char(text, at)])
      return false;
  }
  return true;
}

template <class Scan>
class ByteLevelIds final : public FastIds {
 public:
  ByteLevelIds(const FastParts& parts, bool prefix)
      : model_(parts.model), merges_(ByteMerges::of(model_)), prefix_(prefix) {
    if (is_step(parts.normalizer, "NFC")) normalizer_ = parts.normalizer_step, inert_ = &inert_in_nfc();
    if (is_step(parts.normalizer, "NFKC")) normalizer_ = parts.normalizer_step, inert_ = &inert_in_nfkc();
  }

  void append(std::string_view text, bool, IdCache& cache, std::vector<TokenId>& out) const override {
    if (text.empty()) return;
    if (normalizer_ != nullptr && !is_inert(text, *inert_)) {
      AlignedText composed(text);
      normalizer_->apply(composed);
      return words(composed.text(), cache, out);
    }
    if (prefix_ && text[0] != ' ') {
      const std::string with = " " + std::string(text);
      return words(with, cache, out);
    }
    words(text, cache, out);
  }

 private:
  struct Miss {
    const ByteLevelIds& owner;
    void operator()(std::string_view word, std::vector<TokenId>& ids) const { owner.cut(word, ids); }
  };
  using Queue = WordQueue<Miss>;

  void words(std::string_view text, IdCache& cache, std::vector<TokenId>& out) const {
    IdSink sink(out);
    Queue queue(cache, sink, {*this});
    const char* const end = text.data() + text.size();
    each_word(scan_, text.data(), end, [&](const char* from, const char* to) {
      queue.put({from, static_cast<std::size_t>(to - from)}, static_cast<std::size_t>(end - from));
    });
    queue.finish();
  }

  void cut(std::string_view word, std::vector<TokenId>& ids) const {
    if (merges_) return merges_->cut(word, ids);
    append_ids(model_, to_byte_level(word), ids);
  }

  const Model& model_;
  const Normalizer* normalizer_ = nullptr;    ///< null, NFC or NFKC
  const Inert* inert_ = nullptr;              ///< characters that it leaves alone
  std::unique_ptr<const ByteMerges> merges_;  ///< null: the model is something else
  bool prefix_;
  Scan scan_;
};

// Line ends stand in expressions as themselves or as escapes.
std::string with_escapes(const std::string& pattern) {
  std::string out;
  for (const char c : pattern) c == '\r' ? out += "\\r" : c == '\n' ? out += "\\n" : out += c;
  return out;
}

// A null stands for what is usual, as where the step is read.
bool flag_in(const Json& step, const char* key, bool usual) {
  const auto found = step.find(key);
  return found != step.end() && found->is_boolean() ? found->get<bool>() : usual;
}

// The expressions by which a file cuts words before it writes them as bytes; none: it does something else.
std::vector<std::string> byte_level_patterns(const Json& step) {
  const auto parts = step.is_object() ? step.find("pretokenizers") : step.end();
  if (!is_step(step, "Sequence") || parts == step.end() || parts->size() < 2) return {};
  const auto& bytes = parts->back();
  if (!is_step(bytes, "ByteLevel") || flag_in(bytes, "use_regex", true) || flag_in(bytes, "add_prefix_space", true))
    return {};
  std::vector<std::string> out;
  for (std::size_t i = 0; i + 1 < parts->size(); ++i) {
    const auto& split = parts->at(i);
    if (!is_step(split, "Split")) return {};
    const auto behavior = text_in(split, "behavior");
    const bool all = flag_in(split, "invert", false) ? behavior == "Removed" : behavior == "Isolated";
    const auto pattern = split.find("pattern");
    if (!all || pattern == split.end() || !pattern->is_object()) return {};
    out.push_back(with_escapes(text_in(*pattern, "Regex")));
  }
  return out;
}

// A file without normalizer may say so with an empty list of them.
bool is_known_form(const Json& normalizer) {
  if (normalizer.is_null() || is_step(normalizer, "NFC") || is_step(normalizer, "NFKC")) return true;
  if (!is_step(normalizer, "Sequence")) return false;
  const auto parts = normalizer.find("normalizers");
  return parts == normalizer.end() || parts->empty();
}

template <int kDigits>
struct Cl100kWords : Cl100kScan<kDigits> {
  static WordStarts starts(const char* at, int size) { return cl100k_starts<kDigits>(at, size); }
};
struct MarkedWords : Cl100kScan<1, kLetterKind | kMarkKind> {
  static WordStarts starts(const char* at, int size) { return cl100k_starts<1>(at, size); }
};
struct TiktokenWords : Cl100kScan<3, kLetterKind, true> {
  static WordStarts starts(const char* at, int size) { return cl100k_starts<3>(at, size); }
};
struct O200kWords : O200kScan<3, true> {
  static WordStarts starts(const char* at, int size) { return o200k_starts(at, size); }
};

template <class Scan>
std::unique_ptr<const FastIds> byte_level_ids(const FastParts& parts, bool prefix = false) {
  return std::make_unique<ByteLevelIds<Scan>>(parts, prefix);
}

// As files have them, each with the automaton that does the same.
struct KnownPatterns {
  std::vector<std::string> patterns;
  std::unique_ptr<const FastIds> (*make)(const FastParts&, bool);
};

const std::vector<KnownPatterns>& known_patterns() {
  const std::string contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", lines = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string letters = R"(|[^\r\n\p{L}\p{N}]?\p{L}+)", others = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)";
  const std::string cased = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])",
                    small = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  const std::string with_contractions =
      cased + "*" + small + "+" + contractions + "?|" + cased + "+" + small + "*" + contractions + "?|";
  const std::string without = cased + "*" + small + "+|" + cased + "+" + small + "*|";
  const std::string cased_others = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)";
  static const std::vector<KnownPatterns> all{
      {{R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
       byte_level_ids<Gpt2Words<false>>},
      {{contractions + letters + R"(|\p{N}{1,3})" + others + lines}, byte_level_ids<Cl100kWords<3>>},
      {{contractions + letters + R"(|\p{N})" + others + lines}, byte_level_ids<Cl100kWords<1>>},
      {{contractions + R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" + lines},
       byte_level_ids<MarkedWords>},
      {{"'(?i:[sdmt]|ll|ve|re)" + letters + R"(|\p{N}{1,3})" + others + R"(|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)"},
       byte_level_ids<TiktokenWords>},
      {{with_contractions + R"(\p{N}{1,3})" + cased_others + lines}, byte_level_ids<O200kWords>},
      {{without + R"(\p{N})" + cased_others + lines}, byte_level_ids<O200kScan<1, false>>},
      {{R"(\p{N}{1,3})", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
        R"(| ?[\p{P}\p{S}]+[\r\n]*)" +
            lines},
       byte_level_ids<DeepseekScan>}};
  return all;
}

bool cuts_gpt2_words(const Json& step) { return is_step(step, "ByteLevel") && flag_in(step, "use_regex", true); }

// Digits one by one, then GPT-2's words.
bool sets_digits_apart(const Json& step) {
  const auto parts = step.is_object() ? step.find("pretokenizers") : step.end();
  if (!is_step(step, "Sequence") || parts == step.end() || parts->size() != 2) return false;
  return is_step(parts->at(0), "Digits") && flag_in(parts->at(0), "individual_digits", false) &&
         cuts_gpt2_words(parts->at(1)) && !flag_in(parts->at(1), "add_prefix_space", true);
}

}  // namespace

std::unique_ptr<const FastIds> make_fast_byte_level(const FastParts& parts) {
  const auto& step = parts.pre_tokenizer;
  if (!is_known_form(parts.normalizer)) return nullptr;
  if (cuts_gpt2_words(step)) {
    const bool prefix = flag_in(step, "add_prefix_space", true);
    return prefix && !parts.normalizer.is_null() ? nullptr : byte_level_ids<Gpt2Words<false>>(parts, prefix);
  }
  if (sets_digits_apart(step)) return byte_level_ids<Gpt2Words<true>>(parts);
  const auto patterns = byte_level_patterns(step);
  for (const auto& known : known_patterns())
    if (known.patterns == patterns) return known.make(parts, false);
  return nullptr;
}

}  // namespace xp::pipeline
