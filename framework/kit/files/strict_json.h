#pragma once
// JSON that others wrote: not deep, no key twice.
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/export.h"

namespace xp {

/// The value that `text` holds; throws Error (Exit::data) that begins with `where` if it is not JSON in UTF-8, has a
/// number beyond a double, nests deeper than `most_depth`, or has a key twice in one object.
XP_API nlohmann::json parse_strict_json(std::string_view text, std::string_view where, int most_depth = 64);

}  // namespace xp
