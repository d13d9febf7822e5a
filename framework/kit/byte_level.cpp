#include "kit/byte_level.h"

#include <array>

#include "kit/unicode.h"

namespace xp {
namespace {

struct Tables {
  std::array<char32_t, 256> chars{};
  std::array<int, 0x180> bytes{};

  Tables() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      chars[static_cast<std::size_t>(b)] = printable ? static_cast<char32_t>(b) : next++;
      bytes[chars[static_cast<std::size_t>(b)]] = b;
    }
  }
};

const Tables& tables() {
  static const Tables all;
  return all;
}

}  // namespace

char32_t byte_level_char(unsigned char byte) { return tables().chars[byte]; }

std::string to_byte_level(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_char(out, byte_level_char(static_cast<unsigned char>(c)));
  return out;
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    if (c >= tables().bytes.size() || tables().bytes[c] < 0) return std::nullopt;
    out += static_cast<char>(static_cast<unsigned char>(tables().bytes[c]));
  }
  return out;
}

}  // namespace xp
