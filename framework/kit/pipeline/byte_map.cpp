#include "kit/pipeline/byte_map.h"

#include <array>

#include "kit/byte_level.h"

namespace xp::pipeline {
namespace {

struct ByteTexts {
  std::array<std::array<char, 2>, 256> text{};
  std::array<std::uint8_t, 256> size{};

  ByteTexts() {
    for (std::size_t b = 0; b < 256; ++b)
      size[b] =
          static_cast<std::uint8_t>(encode_char(byte_level_char(static_cast<unsigned char>(b)), text[b].data()));
  }
};

}  // namespace

void put_bytes(AlignedText::Editor& edit, std::string_view old, std::size_t end) {
  static const ByteTexts bytes;
  for (std::size_t at = edit.at(); at < end;) {
    const auto first = static_cast<unsigned char>(old[at]);
    if (bytes.size[first] == 1) {
      ++at;
      continue;
    }
    edit.keep(at);
    std::size_t behind = at;
    next_char(old, behind);
    std::array<char, 8> mapped{};
    std::size_t n = 0;
    for (; at < behind; ++at) {
      const auto byte = static_cast<unsigned char>(old[at]);
      mapped[n] = bytes.text[byte][0], mapped[n + 1] = bytes.text[byte][1];
      n += bytes.size[byte];
    }
    edit.replace(behind, {mapped.data(), n});
  }
  edit.keep(end);
}

}  // namespace xp::pipeline
