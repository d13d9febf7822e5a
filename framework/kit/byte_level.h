#pragma once
// The 256 printable characters that byte-level vocabularies write bytes as (GPT-2's table): bytes that are printable
// in Latin-1 stand for themselves, the others for U+0100, U+0101, ... in their order.
#include <optional>
#include <string>
#include <string_view>

#include "base/export.h"

namespace xp {

XP_API char32_t byte_level_char(unsigned char byte);
XP_API std::string to_byte_level(std::string_view bytes);
/// Nothing if a character stands for no byte. `text` must be valid UTF-8.
XP_API std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace xp
