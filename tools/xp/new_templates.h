#pragma once
#include <map>
#include <string>
#include <string_view>

namespace xp {

/// The files of tools/xp/templates by name, without ".in"; CMake makes the source.
const std::map<std::string, std::string_view>& new_templates();

}  // namespace xp
