#pragma once
// Text into the printable characters of byte-level vocabularies, with places.
#include "kit/unicode.h"

namespace xp::pipeline {

/// Writes the old text up to `end` byte by byte as kit/byte_level.h has it; all of a character's bytes stand for the
/// whole character.
void put_bytes(AlignedText::Editor& edit, std::string_view old, std::size_t end);

}  // namespace xp::pipeline
