#pragma once
// Shared by the readers of values and the checks against a schema; no part of the interface.
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/text.h"
#include "schema/schema.h"

namespace xp::detail {

/// A field of some owner, as messages call it.
struct Place {
  std::string path;   ///< "lr", "betas.lo", "terms[1]"
  std::string owner;  ///< "optimizer `adamw`"; may be empty

  std::string text() const { return backquoted(path) + (owner.empty() ? "" : " of " + owner); }
  Place key(std::string_view name) const { return {path + "." + std::string(name), owner}; }
  Place item(std::size_t index) const { return {path + "[" + std::to_string(index) + "]", owner}; }
};

std::optional<Distribution> read_distribution(const Value& value, const Place& place, Problems& problems);
std::optional<Learnable> read_learnable(const Value& value, const Place& place, Problems& problems);
std::optional<Ramp> read_ramp(const Value& value, const Place& place, Problems& problems);

/// "`lr` of optimizer `adamw` must be a number, not text".
void wrong_type(const Place& place, std::string_view wanted, const Value& value, std::string hint,
                Problems& problems);

/// A learnable number's table, as opposed to a ramp's.
bool looks_learnable(const Table& table);

}  // namespace xp::detail
