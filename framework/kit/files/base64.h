#pragma once
// Base64 with padding (RFC 4648, section 4).
#include <optional>
#include <string>
#include <string_view>

#include "base/export.h"

namespace xp {

XP_API std::string to_base64(std::string_view bytes);
/// Nothing if `text` is not base64 with padding and without anything else.
XP_API std::optional<std::string> from_base64(std::string_view text);

}  // namespace xp
