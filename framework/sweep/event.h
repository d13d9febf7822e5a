#pragma once
// One decision or outcome in the journal of a sweep.
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "schema/value.h"

namespace xp::sweep {

struct Event {
  enum class Kind : std::uint8_t {
    trial,  ///< proposed: `values`
    start,  ///< worker `by` takes it, to its end or to rung `rung`
    rung,   ///< it rests at `rung` with `value`
    go,     ///< it may leave `rung`; `forced`: nobody else is left, so it goes to its end
    done,   ///< goal `value` (NaN without one), result `file`
    fail,   ///< failure class `word`, reason `text`; it is tried again as often as the recipe says
    back,   ///< given back unfinished, `text` says why: its worker was stopped or died
    prune,  ///< it will not go on
  };
  Kind kind = Kind::trial;
  std::string arm;
  std::int64_t number = 0;
  Table values = {};
  std::int64_t rung = -1;
  double value = std::numeric_limits<double>::quiet_NaN();
  std::string by = {}, word = {}, text = {}, file = {};
  double seconds = 0;  ///< of the attempt
  bool forced = false;
  std::string at = {};  ///< UTC time
};

XP_API std::string_view kind_name(Event::Kind kind);
XP_API std::string to_json(const Event& event);
/// Throws Error (Exit::data) naming `where`.
XP_API Event event_from(std::string_view json, const std::string& where);

}  // namespace xp::sweep
