#pragma once
// What every component must keep, whatever its interface.
#include <string>
#include <string_view>

#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2): name, summary and docs as sentences, defaults that pass their own checks, construction from
/// defaults where nothing is required, an unknown key refused, the schema unchanged by a round trip through JSON.
void check_component(const Registry& registry, std::string_view interface, std::string_view type);

/// The table that makes a component from its defaults; empty if it requires something.
Table default_settings(const ComponentInfo& info);

}  // namespace xp::testing
