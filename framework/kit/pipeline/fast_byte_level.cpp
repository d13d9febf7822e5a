// Byte-level BPE: words are cut in the plain bytes, and only a word that the cache lacks is written byte by byte.
#include <unicode/normalizer2.h>

#include "kit/byte_level.h"
#include "kit/pipeline/byte_level_scan.h"
#include "kit/pipeline/byte_merges.h"
#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {
namespace {

// Characters that NFC leaves alone wherever they stand; those newer than the library's tables are among them or take
// the long way.
bool is_inert(std::string_view text) {
  static const auto inert = [] {
    UErrorCode failed = U_ZERO_ERROR;
    const auto* const nfc = icu::Normalizer2::getNFCInstance(failed);
    std::vector<bool> out(0x110000);
    for (UChar32 c = 0; U_SUCCESS(failed) && c < 0x110000; ++c) out[static_cast<std::size_t>(c)] = nfc->isInert(c);
    return out;
  }();
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
      : model_(parts.model), normalizer_(parts.normalizer_step), merges_(ByteMerges::of(model_)), prefix_(prefix) {}

  void append(std::string_view text, bool, IdCache& cache, std::vector<TokenId>& out) const override {
    if (text.empty()) return;
    if (normalizer_ != nullptr && !is_inert(text)) {
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
  void words(std::string_view text, IdCache& cache, std::vector<TokenId>& out) const {
    IdSink sink(out);
    WordQueue queue(cache, sink, [this](std::string_view word, std::vector<TokenId>& ids) { cut(word, ids); });
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at < end;) {
      const char* const behind = scan_.next(at, end);
      queue.put({at, static_cast<std::size_t>(behind - at)}, static_cast<std::size_t>(end - at));
      at = behind;
    }
    queue.finish();
  }

  void cut(std::string_view word, std::vector<TokenId>& ids) const {
    if (merges_) return merges_->cut(word, ids);
    append_ids(model_, to_byte_level(word), ids);
  }

  const Model& model_;
  const Normalizer* normalizer_;              ///< null, or NFC
  std::unique_ptr<const ByteMerges> merges_;  ///< null: the model is something else
  bool prefix_;
  Scan scan_;
};

// The expression by which a file cuts words before it writes them as bytes; empty: it does something else.
std::string byte_level_pattern(const Json& step) {
  const auto parts = step.is_object() ? step.find("pretokenizers") : step.end();
  if (!is_step(step, "Sequence") || parts == step.end() || parts->size() != 2) return {};
  const auto &split = parts->at(0), &bytes = parts->at(1);
  if (!is_step(split, "Split") || !is_step(bytes, "ByteLevel")) return {};
  if (bytes.value("use_regex", true) || bytes.value("add_prefix_space", true)) return {};
  const auto behavior = split.value("behavior", "");
  const bool all = split.value("invert", false) ? behavior == "Removed" : behavior == "Isolated";
  const auto pattern = split.find("pattern");
  return all && pattern != split.end() && pattern->is_object() ? pattern->value("Regex", "") : "";
}

constexpr std::string_view kCl100k3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100k1 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

template <class Scan>
std::unique_ptr<const FastIds> byte_level_ids(const FastParts& parts, bool prefix = false) {
  return std::make_unique<ByteLevelIds<Scan>>(parts, prefix);
}

bool cuts_gpt2_words(const Json& step) { return is_step(step, "ByteLevel") && step.value("use_regex", true); }

// Digits one by one, then GPT-2's words.
bool sets_digits_apart(const Json& step) {
  const auto parts = step.is_object() ? step.find("pretokenizers") : step.end();
  if (!is_step(step, "Sequence") || parts == step.end() || parts->size() != 2) return false;
  return is_step(parts->at(0), "Digits") && parts->at(0).value("individual_digits", false) &&
         cuts_gpt2_words(parts->at(1)) && !parts->at(1).value("add_prefix_space", true);
}

}  // namespace

std::unique_ptr<const FastIds> make_fast_byte_level(const FastParts& parts) {
  const auto& step = parts.pre_tokenizer;
  if (!parts.normalizer.is_null() && !is_step(parts.normalizer, "NFC")) return nullptr;
  if (cuts_gpt2_words(step)) {
    const bool prefix = step.value("add_prefix_space", true);
    return prefix && !parts.normalizer.is_null() ? nullptr : byte_level_ids<Gpt2Scan<false>>(parts, prefix);
  }
  if (sets_digits_apart(step)) return byte_level_ids<Gpt2Scan<true>>(parts);
  const auto pattern = byte_level_pattern(step);
  if (pattern == kCl100k3) return byte_level_ids<Cl100kScan<3>>(parts);
  if (pattern == kCl100k1) return byte_level_ids<Cl100kScan<1>>(parts);
  if (pattern == kO200k) return byte_level_ids<O200kScan>(parts);
  return nullptr;
}

}  // namespace xp::pipeline
