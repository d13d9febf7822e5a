#pragma once
#include <map>
#include <string>
#include <string_view>

namespace xp {

/// The files beside this header that reports hold; CMake makes the source.
const std::map<std::string, std::string_view>& report_files();

}  // namespace xp
