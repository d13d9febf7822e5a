#pragma once
#include <string>

namespace xp::program {

/// "package:NAME/member" as recipes write it, as the path where the member lies; any other text as it is. Throws
/// Error with what to do if the package or the member is not there.
std::string named_path(const std::string& text);

}  // namespace xp::program
