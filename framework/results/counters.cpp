#include "results/counters.h"

#include "results/stored_json.h"

namespace xp {

std::optional<double> counted(const Counters& counters, Unit unit) {
  switch (unit) {
    case Unit::tokens: return static_cast<double>(counters.input_tokens);
    case Unit::supervised: return static_cast<double>(counters.supervised_tokens);
    case Unit::steps: return static_cast<double>(counters.steps);
    case Unit::epochs: return counters.epochs;
    case Unit::items:
    case Unit::documents: return static_cast<double>(counters.items);
    case Unit::seconds: return counters.seconds;
    case Unit::flops: return counters.flops;
    case Unit::bytes: return static_cast<double>(counters.bytes);
    case Unit::none:
    case Unit::percent:
    case Unit::factor: break;
  }
  return std::nullopt;
}

Table to_table(const Counters& counters) {
  return {{"steps", counters.steps},
          {"input_tokens", counters.input_tokens},
          {"supervised_tokens", counters.supervised_tokens},
          {"items", counters.items},
          {"bytes", counters.bytes},
          {"epochs", counters.epochs},
          {"flops", counters.flops},
          {"flops_effective", counters.flops_effective},
          {"seconds", counters.seconds},
          {"memory", counters.memory}};
}

Counters counters_from(const Table& table, const std::string& where) {
  const detail::Stored stored(table, where);
  return {.steps = stored.integer("steps"),
          .input_tokens = stored.integer("input_tokens"),
          .supervised_tokens = stored.integer("supervised_tokens"),
          .items = stored.integer("items"),
          .bytes = stored.integer("bytes"),
          .epochs = stored.number("epochs"),
          .flops = stored.number("flops"),
          .flops_effective = stored.number("flops_effective"),
          .seconds = stored.number("seconds"),
          .memory = stored.number("memory")};
}

}  // namespace xp
