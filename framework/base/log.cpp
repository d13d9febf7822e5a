#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace xp::log {
namespace {

constexpr const char* kPattern = "%^%l%$: %v";
constexpr const char* kDebugPattern = "%H:%M:%S.%e %^%l%$: %v";

/// XP_LOG=debug, info, warn, error or off; what else it says counts as nothing.
spdlog::level::level_enum level_asked_for() {
  const char* given = std::getenv("XP_LOG");
  const auto level = spdlog::level::from_str(given ? given : "info");
  return level == spdlog::level::off && std::strcmp(given, "off") != 0 ? spdlog::level::info : level;
}

spdlog::logger& logger() {
  static const auto one = [] {
    const char* no_color = std::getenv("NO_COLOR");
    const auto mode = no_color && *no_color ? spdlog::color_mode::never : spdlog::color_mode::automatic;
    auto made = std::make_shared<spdlog::logger>("xp", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode));
    const auto level = level_asked_for();
    made->set_pattern(level <= spdlog::level::debug ? kDebugPattern : kPattern);
    made->set_level(level);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *one;
}

void write(spdlog::level::level_enum level, std::string_view text) {
  logger().log(level, spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace

void set_level(Level level) {
  switch (level) {
    case Level::debug: logger().set_level(spdlog::level::debug); break;
    case Level::info: logger().set_level(spdlog::level::info); break;
    case Level::warn: logger().set_level(spdlog::level::warn); break;
    case Level::error: logger().set_level(spdlog::level::err); break;
    case Level::off: logger().set_level(spdlog::level::off); break;
  }
  logger().set_pattern(level == Level::debug ? kDebugPattern : kPattern);
}

void debug(std::string_view text) { write(spdlog::level::debug, text); }
void info(std::string_view text) { write(spdlog::level::info, text); }
void warn(std::string_view text) { write(spdlog::level::warn, text); }
void error(std::string_view text) { write(spdlog::level::err, text); }

}  // namespace xp::log
