#pragma once
#include <map>
#include <string>
#include <string_view>

namespace xp {

/// The files of families/ by name; CMake makes the source.
const std::map<std::string, std::string_view>& family_files();

}  // namespace xp
