#pragma once
// Classes of 64 bytes at once, as far as they are the same whatever the settings of BertNormalizer.
#include "kit/pipeline/byte_block.h"

namespace xp::pipeline {

struct BertMasks {
  static constexpr int kBytes = ByteBlock::kBytes;

  explicit BertMasks(const char* at) {
    const ByteBlock block(at);
    words = (block.letters() | block.in('0', '9')).bits();
    alone = block.in('!', '~').bits() & ~words;
    blanks = (block.in('\t', '\n') | block.equal('\r') | block.equal(' ')).bits();
  }

  std::uint64_t words;   ///< ASCII letters and digits: BertKind::inside
  std::uint64_t alone;   ///< other visible ASCII characters: BertKind::alone
  std::uint64_t blanks;  ///< blank, tab and line ends: BertKind::blank
  /// What the settings decide, and parts of characters.
  std::uint64_t others() const { return ~(words | alone | blanks); }

  static bool is_word(char c) {
    const char small = static_cast<char>(c | 0x20);
    return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9');
  }
};

}  // namespace xp::pipeline
