#include <algorithm>

#include "base/text.h"
#include "engine/trainer.h"
#include "results/counters.h"

namespace xp {

double progress_of(const Quantity& stop, const Counters& counters) {
  const auto amount = counted(counters, stop.unit);
  if (!amount)
    throw Error("training cannot stop at " + backquoted(to_text(stop)) +
                "; use tokens, steps, epochs, items, bytes, min or flops");
  return stop.amount > 0 ? *amount / stop.amount : 1.0;
}

bool known_to_training_alone(Unit stop) {
  return stop == Unit::flops || stop == Unit::seconds || stop == Unit::supervised;
}

double ramp_progress(const Ramp& ramp, const Quantity& stop, const Counters& counters) {
  if (ramp.until.unit == Unit::percent) return std::min(progress_of(stop, counters) / (ramp.until.amount / 100), 1.0);
  return std::min(progress_of(ramp.until, counters), 1.0);
}

std::vector<std::pair<std::string, Ramp>> ramps_in(const Table& settings, const std::string& front) {
  std::vector<std::pair<std::string, Ramp>> out;
  const auto append = [&](std::vector<std::pair<std::string, Ramp>> more) {
    out.insert(out.end(), more.begin(), more.end());
  };
  for (const auto& [key, value] : settings) {
    if (const auto* table = value.as<Table>()) {
      if (table->contains("type")) {  // a part, whatever its keys are
        append(ramps_in(*table, front + key + "."));
      } else if (table->contains("from") && table->contains("to")) {
        Problems problems;
        if (auto ramp = read_ramp(value, key, problems)) out.emplace_back(front + key, *ramp);
        problems.raise("training was not started");
      }
    } else if (const auto* list = value.as<List>()) {
      std::map<std::string, int> seen;  // as Weighted names its parts
      for (const auto& one : *list) {
        const auto* part = one.as<Table>();
        const auto type = part ? part->find("type") : Table::const_iterator();
        if (!part || type == part->end() || !type->second.as<std::string>()) continue;
        const int n = ++seen[*type->second.as<std::string>()];
        const auto name = *type->second.as<std::string>() + (n > 1 ? "_" + std::to_string(n) : "");
        append(ramps_in(*part, front + name + "."));
      }
    }
  }
  return out;
}

}  // namespace xp
