#include "sweep_text.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "results/tables.h"

namespace xp::program {
namespace {

using Phase = sweep::TrialState::Phase;
using Row = std::vector<std::string>;

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (widths.size() <= c) widths.push_back(0);
      widths[c] = std::max(widths[c], terminal_width(row[c]));
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line = " ";
    for (std::size_t c = 0; c < row.size(); ++c)
      line += " " + row[c] + std::string(widths[c] - terminal_width(row[c]) + 1, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

Row row_of(const sweep::TrialState& trial, const std::vector<std::string>& keys, bool goal) {
  Row row{trial.name()};
  if (goal) row.push_back(short_number(trial.goal));
  for (const auto& key : keys) {
    const auto value = trial.values.find(key);
    const auto* text = value == trial.values.end() ? nullptr : value->second.as<std::string>();
    row.push_back(value == trial.values.end() ? "-"
                  : text                      ? *text
                  : value->second.is_number() ? short_number(value->second.number())
                                              : to_text(value->second));
  }
  row.push_back(duration_text(trial.seconds));
  return row;
}

std::string arm_text(const sweep::Trials& trials, const sweep::Header& header, const std::string& arm,
                     std::size_t most) {
  std::vector<const sweep::TrialState*> of_arm;
  std::set<std::string> names;
  for (const auto& trial : trials.all())
    if (trial.arm == arm) {
      of_arm.push_back(&trial);
      for (const auto& [key, value] : trial.values) names.insert(key);
    }
  const std::vector<std::string> keys(names.begin(), names.end());
  const auto shown = short_keys(keys);
  const bool goal = !header.goal.empty();
  std::string out = arm + ": " + count(of_arm.size(), "trial") + " (" + sweep::counts_text(trials, arm) + ")\n";
  Row head{"trial"};
  if (goal) head.push_back(header.goal);
  for (const auto& key : keys) head.push_back(shown.at(key));
  head.emplace_back("took");
  std::vector<Row> rows{head};
  const auto best = ranking(trials, arm, header.higher);
  for (std::size_t i = 0; i < best.size() && i < most; ++i) rows.push_back(row_of(*best[i], keys, goal));
  if (rows.size() > 1) out += aligned(rows);
  if (best.size() > most) out += "  and " + std::to_string(best.size() - most) + " more\n";
  for (const auto* trial : of_arm)
    if (trial->phase == Phase::failed) out += "  " + trial->name() + " failed, " + trial->why + "\n";
  return out;
}

}  // namespace

std::map<std::string, std::string> short_keys(const std::vector<std::string>& keys) {
  std::map<std::string, std::string> out;
  for (const auto& key : keys) {
    const auto parts = split(key, '.');
    for (std::size_t n = 1; n <= parts.size(); ++n) {
      const auto tail = join({parts.end() - static_cast<std::ptrdiff_t>(n), parts.end()}, ".");
      const auto same = std::count_if(keys.begin(), keys.end(), [&](const std::string& other) {
        return other == tail || other.ends_with("." + tail);
      });
      out[key] = tail;
      if (same == 1) break;
    }
  }
  return out;
}

std::string trials_text(const sweep::Trials& trials, const sweep::Header& header, std::size_t most) {
  std::vector<std::string> arms;
  for (const auto& trial : trials.all())
    if (std::find(arms.begin(), arms.end(), trial.arm) == arms.end()) arms.push_back(trial.arm);
  std::string out;
  for (const auto& arm : arms) out += arm_text(trials, header, arm, most);
  return out;
}

Value trials_value(const sweep::Trials& trials, const sweep::Header& header) {
  List list;
  for (const auto& trial : trials.all()) {
    Table one{{"arm", trial.arm},       {"number", trial.number},
              {"name", trial.name()},   {"state", sweep::phase_name(trial.phase)},
              {"values", trial.values}, {"seconds", trial.seconds}};
    if (std::isfinite(trial.goal)) one.insert_or_assign("goal", trial.goal);
    if (!trial.file.empty()) one.insert_or_assign("file", trial.file);
    if (!trial.why.empty()) one.insert_or_assign("why", trial.why);
    List rungs(trial.rungs.begin(), trial.rungs.end());
    if (!rungs.empty()) one.insert_or_assign("rungs", std::move(rungs));
    list.push_back(std::move(one));
  }
  return Table{{"recipe", header.name},
               {"goal", header.goal},
               {"better", header.higher ? "higher" : "lower"},
               {"trials", std::move(list)}};
}

}  // namespace xp::program
