#pragma once
// Values with units, learnable numbers, random numbers, schedules: what a recipe may write in place of a number.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "schema/value.h"

namespace xp {

enum class Unit : std::uint8_t {
  none,
  tokens,
  supervised,
  steps,
  epochs,
  items,
  documents,
  seconds,
  flops,
  bytes,
  percent,
  factor
};

/// "3M tokens", "45 min", "10%", "x0.25". A factor is relative to the same field of `like`; percent to the whole.
struct Quantity {
  double amount = 0;
  Unit unit = Unit::none;

  bool operator==(const Quantity&) const = default;
};

/// The name that recipes use: "tokens", "min" is "seconds" times 60, "MB" is "bytes" times 1e6.
XP_API std::string_view unit_name(Unit unit);
/// Reads "3M tokens", "20k items", "45 min", "2e14 flops", "64 MB", "10%", "x0.25", "500"; nothing if it is not one.
XP_API std::optional<Quantity> parse_quantity(std::string_view text);
/// Text that parse_quantity reads back: "3000000 tokens".
XP_API std::string to_text(const Quantity& quantity);

/// A number that training may move: `0.07` or { learn = true, start = 0.07, min = ..., max = ... }.
struct Learnable {
  double start = 0;
  bool learn = false;
  std::optional<double> min = {}, max = {};
};

/// A number drawn anew for each use: 3, { poisson = 3 }, { uniform = [1, 5] }, { normal = [0, 1] }, { geometric = 0.2
/// }.
struct XP_API Distribution {
  enum class Kind : std::uint8_t { constant, uniform, normal, poisson, geometric };
  Kind kind = Kind::constant;
  double a = 0, b = 0;

  double draw(RandomStream& random) const;  ///< whole for poisson, geometric, and uniform over whole bounds
  double mean() const;
  bool whole = false;  ///< uniform: both bounds were written as whole numbers, ends included
};

/// { from, to, shape, until } on a schedulable field. The value at progress p of `until` (0..1, clamped).
struct XP_API Ramp {
  double from = 0, to = 0;
  std::string shape = "linear";  ///< "linear" "cosine" "exponential" "step" (to `to` at the end of until)
  Quantity until = {100, Unit::percent};

  double at(double progress) const;
};

/// Reads the table forms above from a value; nothing (and a problem) if it is none. `name` is the field's, for
/// messages.
class Problems;
XP_API std::optional<Distribution> read_distribution(const Value& value, std::string_view name, Problems& problems);
XP_API std::optional<Learnable> read_learnable(const Value& value, std::string_view name, Problems& problems);
XP_API std::optional<Ramp> read_ramp(const Value& value, std::string_view name, Problems& problems);

}  // namespace xp
