#pragma once
// JSON of files that others wrote: checked while it is read, so that a bad file costs no more than its own size.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/export.h"

namespace xp::pipeline {

/// The JSON of `text`. Throws Error (Exit::data) that begins with `file_name`: for what is no JSON (with the byte),
/// two equal keys in one table, and tables or lists more than `most_levels` deep.
XP_API nlohmann::json parse_json(std::string_view text, const std::string& file_name, std::size_t most_levels = 64);

}  // namespace xp::pipeline
