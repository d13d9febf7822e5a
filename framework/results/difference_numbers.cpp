// Metrics of two sides, arm by arm.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "results/difference_parts.h"
#include "results/statistics.h"
#include "results/table_text.h"

namespace xp::detail {
namespace {

// What the recipes look at.
std::vector<std::string> metrics_of(const DifferenceSide& before, const DifferenceSide& after) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& path) {
    if (std::find(out.begin(), out.end(), path) == out.end()) out.push_back(path);
  };
  for (const auto* side : {&before, &after}) {
    for (const auto& table : tables_from(side->plan))
      for (const auto& column : table.columns) add(column);
    for (const auto& claim : claims_from(side->plan)) add(claim.metric);
  }
  if (!out.empty()) return out;
  return {"*.*", "*.*.*", "*.*.*.*"};
}

// Paths without `*`, in the order named; of patterns what any member of either side has.
std::vector<MetricPath> concrete_paths(const DifferenceSide& before, const DifferenceSide& after,
                                       const std::vector<std::string>& metrics) {
  Problems problems;
  std::vector<MetricPath> out;
  for (const auto& text : metrics) {
    const auto path = parse_metric_path(text, {}, problems);
    if (!path) continue;
    if (!names_several(*path)) {
      out.push_back(*path);
      continue;
    }
    std::map<std::string, MetricPath> found;
    for (const auto* side : {&before, &after})
      for (const auto& member : side->study.members)
        if (member.records)
          for (auto& one : expand(*path, *member.records)) found.emplace(one.text, one);
    for (auto& [name, one] : found) out.push_back(std::move(one));
  }
  problems.raise("nothing was compared");
  return out;
}

struct SideNumbers {
  std::map<std::int64_t, double> values;  ///< by seed
  std::optional<MetricSignature> what;
  std::string why;
};

SideNumbers numbers_of(const DifferenceSide& side, const std::string& arm, const MetricPath& path,
                       std::optional<bool> higher) {
  SideNumbers out;
  for (const auto& member : side.study.members) {
    if (member.arm != arm || out.values.contains(member.seed)) continue;
    std::string why = "nothing was recorded";
    const auto value = member.records ? evaluate(path, *member.records, &why, higher) : std::nullopt;
    if (!value) {
      out.why = why;
      continue;
    }
    if (out.what && *out.what != value->what) out.why = "seeds have unlike numbers";
    out.what = value->what, out.values[member.seed] = value->value;
  }
  return out;
}

NumberOfSide summed_up(const SideNumbers& numbers) {
  std::vector<double> values;
  for (const auto& [seed, value] : numbers.values) values.push_back(value);
  return {values.size(), mean_of(values), sd_of(values)};
}

bool same_bits(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Differences of pairs, if both sides have the same seeds; else nothing.
std::vector<double> paired(const SideNumbers& before, const SideNumbers& after) {
  std::vector<double> out;
  for (const auto& [seed, value] : before.values) {
    const auto other = after.values.find(seed);
    if (other == after.values.end() || before.values.size() != after.values.size()) return {};
    out.push_back(same_bits(other->second, value) ? 0 : other->second - value);
  }
  return out;
}

NumberChange number_change(const std::string& arm, const MetricPath& path, const SideNumbers& before,
                           const SideNumbers& after) {
  NumberChange out;
  out.arm = arm, out.metric = path.text;
  out.before = summed_up(before), out.after = summed_up(after);
  out.difference = std::numeric_limits<double>::quiet_NaN();
  if (before.what) out.unit = before.what->unit;
  if (!before.what || !after.what) {
    out.why = !before.what ? before.why : after.why;
    if (!before.what && after.what) out.unit = after.what->unit;
    return out;
  }
  if (*before.what != *after.what) {
    out.why = "unlike numbers: (" + describe(*before.what) + ") and (" + describe(*after.what) + ")";
    return out;
  }
  out.why = !before.why.empty() ? before.why : after.why;
  out.difference = out.after.mean - out.before.mean;
  const auto differences = paired(before, after);
  if (differences.empty()) return out;
  out.equal = std::all_of(differences.begin(), differences.end(), [](double one) { return one == 0; });
  out.difference = mean_of(differences);
  if (!out.equal) out.p = sign_flip_two_sided(differences);
  return out;
}

}  // namespace

std::vector<NumberChange> number_changes(const DifferenceSide& before, const DifferenceSide& after,
                                         const std::vector<std::string>& metrics) {
  std::vector<NumberChange> out;
  auto claims = claims_from(before.plan);
  for (auto& claim : claims_from(after.plan)) claims.push_back(std::move(claim));
  for (const auto& path : concrete_paths(before, after, metrics.empty() ? metrics_of(before, after) : metrics))
    for (const auto& arm : before.study.arms) {
      if (!after.study.arm(arm.name)) continue;
      // The direction that `.best` needs may come from the unit, which one number tells.
      const auto peek = numbers_of(before, arm.name, path, true).what;
      const auto higher = direction_of(path, peek.value_or(MetricSignature{}), claims);
      const auto left = numbers_of(before, arm.name, path, higher), right = numbers_of(after, arm.name, path, higher);
      if (left.what || right.what) out.push_back(number_change(arm.name, path, left, right));
    }
  return out;
}

}  // namespace xp::detail
