#include "sweep/measure.h"

#include <cmath>
#include <set>

#include "base/text.h"
#include "results/counters.h"
#include "results/journal.h"
#include "results/statistics.h"
#include "results/study.h"

namespace xp::sweep {
namespace {

constexpr double kWindow = 0.1;  // single steps' losses are too noisy to choose by

MetricPath path_of(const std::string& text) {
  Problems problems;
  auto path = parse_metric_path(text, {}, problems);
  if (!path) problems.raise("nothing was judged");
  return *path;
}

std::optional<Quantity> stop_of(const PlanNode& node) {
  const auto found = node.settings.find("stop");
  const auto* text = found == node.settings.end() ? nullptr : found->second.as<std::string>();
  return text ? parse_quantity(*text) : std::nullopt;
}

std::optional<StageRecord> record_of(const PlanNode& node, const Cache& cache) {
  if (const auto entry = cache.find(node.digest)) return cache.record(*entry);
  const auto file = cache.work_folder(node.digest) / kRecordFile;
  std::error_code none;
  if (!std::filesystem::exists(file, none)) return std::nullopt;
  return read_record(file);
}

// Nodes of the watched stage, each once.
std::vector<const PlanNode*> watched(const Plan& plan, const PruneRule& rule) {
  const auto stage = path_of(rule.metric).stage;
  std::set<std::size_t> seen;
  std::vector<const PlanNode*> out;
  for (const auto& member : plan.members)
    if (const auto found = member.nodes.find(stage); found != member.nodes.end() && seen.insert(found->second).second)
      out.push_back(&plan.nodes[found->second]);
  return out;
}

std::optional<double> value_at(const Curve& curve, const Quantity& stop, double share) {
  std::vector<double> near;
  std::optional<double> last;
  for (const auto& point : curve.points) {
    const auto amount = counted(point.at, stop.unit);
    if (!amount) return std::nullopt;
    const double done = *amount / stop.amount;
    // The step that crosses the rung belongs to it.
    if (last && done > share && !near.empty()) break;
    last = point.value;
    if (done >= share * (1 - kWindow)) near.push_back(point.value);
    if (done >= share) break;
  }
  return near.empty() ? last : mean_of(near);
}

}  // namespace

std::optional<double> goal_of(const Rules& rules, const Result& result, std::string* why) {
  if (rules.goal.empty()) return std::nan("");
  const auto path = path_of(rules.goal);
  const auto study = study_of({&result});
  std::vector<double> values;
  for (const auto& member : study.members) {
    const auto value = member.records ? evaluate(path, *member.records, why, rules.higher) : std::nullopt;
    if (!value) {
      if (why) *why = "seed " + std::to_string(member.seed) + ": " + (why->empty() ? "nothing was recorded" : *why);
      return std::nullopt;
    }
    values.push_back(value->value);
  }
  return mean_of(values);
}

std::string watched_stage(const Plan& plan, const PruneRule& rule) {
  const auto nodes = watched(plan, rule);
  const auto stage = path_of(rule.metric).stage;
  if (nodes.empty())
    throw Error("the pruner watches " + backquoted(rule.metric) + ", but there is no stage " + backquoted(stage),
                Exit::usage);
  for (const auto* node : nodes)
    if (const auto stop = stop_of(*node); !stop || stop->amount <= 0)
      throw Error("the pruner watches stage " + backquoted(stage) +
                      ", which has no `stop`, so that nobody knows when a share of it is done",
                  Exit::usage);
  return stage;
}

std::optional<double> value_at_rung(const Plan& plan, const PruneRule& rule, double share, const Cache& cache,
                                    std::string* why) {
  const auto name = path_of(rule.metric).name;
  std::vector<double> values;
  for (const auto* node : watched(plan, rule)) {
    const auto record = record_of(*node, cache);
    const auto stop = stop_of(*node);
    std::optional<double> value;
    if (record && stop)
      if (const auto curve = record->curves.find(name); curve != record->curves.end())
        value = value_at(curve->second, *stop, share);
    if (!value) {
      if (why) *why = backquoted(rule.metric) + " has no point at " + short_number(100 * share) + " % of its stage";
      return std::nullopt;
    }
    values.push_back(*value);
  }
  return mean_of(values);
}

}  // namespace xp::sweep
