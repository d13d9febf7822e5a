#pragma once
// What every plugin component is: made by the registry from checked settings, saved with a checkpoint.
#include <memory>
#include <string>
#include <string_view>

#include "base/export.h"
#include "schema/value.h"

namespace xp {

class State;

/// Base of all plugin components. Constructing one takes parameters and is cheap; memory is used in build or start.
class XP_API Component {
 public:
  Component();
  virtual ~Component();
  Component(const Component&) = delete;
  Component& operator=(const Component&) = delete;

  virtual void save(State& state) const;  ///< stateless by default
  virtual void load(const State& state);  ///< takes what save wrote; throws Error if it does not fit
  /// A schedulable parameter moves. Called before the batch or the step that the value holds for, never beside
  /// another call; wrappers pass "child.name" on. An objective and its input transform both get it. Does nothing by
  /// default.
  virtual void set(std::string_view parameter, double value);

  /// As the recipe names it: "ofa". Empty for parts that no registry made.
  const std::string& type() const { return type_; }
  /// Resolved parameters with defaults, as the registry bound them (without `type`).
  const Table& settings() const { return settings_; }

 private:
  friend class Registry;
  std::string type_;
  Table settings_;
};

}  // namespace xp
