#pragma once
// Log lines to stderr, and the file of a run. spdlog stays behind this header: its formatter clashes with LibTorch's.
#include <string>
#include <string_view>

#include "base/export.h"

namespace xp::log {

enum class Level { debug, info, warn, error, off };

XP_API void set_level(Level level);
XP_API void debug(std::string_view text);
XP_API void info(std::string_view text);
XP_API void warn(std::string_view text);
XP_API void error(std::string_view text);

}  // namespace xp::log
