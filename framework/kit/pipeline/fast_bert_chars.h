#pragma once
// What BertNormalizer and BertPreTokenizer make of each character by itself, and when that is all there is to know.
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/tokenizer.h"
#include "kit/pipeline/steps.h"

namespace xp::pipeline {

/// A character's form is what the normalizer makes of it alone. It works character by character, except that NFD,
/// where accents are stripped, exchanges neighbours that both have a combining class other than 0. No form of a kind
/// but `hard` has such characters then. So the form of a text without `hard` is the characters' forms one after the
/// other, and nothing ever gets past a `blank` or an `alone`: stretches between them can be normalised one by one.
enum class BertKind : std::uint8_t {
  inside,  ///< the form lies inside one word, or is empty
  blank,   ///< white space
  alone,   ///< a word of one character, whatever stands beside it
  hard,    ///< none of these: a stretch with it goes through the steps
};

/// Blocks of 256 characters, each made when it is first asked for. Used from any thread.
class BertChars {
 public:
  static constexpr TokenId kUnasked = -1, kNotOne = -2;

  struct Block {
    std::array<BertKind, 256> kinds{};
    std::array<std::uint16_t, 257> begins{};
    std::string forms;  ///< of `inside` and `alone`
    /// The token of an `alone`, put here when it is first met; kNotOne: it has several.
    mutable std::array<std::atomic<TokenId>, 256> ids;

    std::string_view form(char32_t c) const {
      const std::size_t i = c & 0xFF;
      return std::string_view(forms).substr(begins[i], begins[i + 1] - begins[i]);
    }
  };

  /// Null: characters stay as they are.
  explicit BertChars(const Normalizer* normalizer);
  ~BertChars();
  BertChars(const BertChars&) = delete;
  BertChars& operator=(const BertChars&) = delete;

  const Block& block(char32_t c) const {
    const Block* found = blocks_[c >> 8].load(std::memory_order_acquire);
    return found != nullptr ? *found : make(c >> 8);
  }

 private:
  const Block& make(std::size_t which) const;

  const Normalizer* normalizer_;
  bool reorders_;
  mutable std::array<std::atomic<const Block*>, 0x1100> blocks_{};
};

}  // namespace xp::pipeline
