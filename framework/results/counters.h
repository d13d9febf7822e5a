#pragma once
// What a stage counted, as amounts of a recipe's units and as JSON.
#include <optional>
#include <string>

#include "api/recorder.h"
#include "schema/quantity.h"

namespace xp {

/// How much of `unit` was counted, e.g. Unit::tokens gives the input tokens; nothing if no counter has this unit.
XP_API std::optional<double> counted(const Counters& counters, Unit unit);

Table to_table(const Counters& counters);
/// Throws Error (Exit::data) naming `where` if a counter is missing.
Counters counters_from(const Table& table, const std::string& where);

}  // namespace xp
