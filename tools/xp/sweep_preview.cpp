#include "sweep_preview.h"

#include <set>

#include "base/text.h"
#include "outlook.h"
#include "sweep_text.h"

namespace xp::program {
namespace {

constexpr std::size_t kMost = 1000;  // trials that are resolved

struct Preview {
  std::vector<sweep::TrialState> trials;
  bool more = false;  ///< others follow, which depend on results or go beyond kMost
  Plan all;           ///< each stage of all of them once
  std::size_t asked = 0;
};

std::vector<sweep::TrialState> trials_of(const SweepSetup& setup, const std::string& arm, bool& more) {
  const auto search = setup.registry.make<Search>(setup.rules.method);
  search->start({arm, sweep::axes_of(setup.rules, arm), setup.rules.higher, RandomStreams(0, "sweep").child(arm)});
  std::vector<sweep::TrialState> out;
  if (search->outside()) return more = true, out;
  while (out.size() < kMost) {
    const auto trial = search->propose();
    if (!trial) break;
    auto& state = out.emplace_back();
    state.arm = arm, state.number = trial->number;
    for (const auto& [key, value] : trial->values) state.values.emplace(key, value);
  }
  more = more || !search->finished();
  return out;
}

Preview look_ahead(const Program& program, const RecipeOptions& options, const SweepSetup& setup) {
  Preview out;
  std::set<std::string> known;
  out.all = setup.plan;
  out.all.nodes.clear(), out.all.members.clear();
  for (const auto& arm : setup.rules.arms)
    for (auto& trial : trials_of(setup, arm, out.more)) {
      auto one = options;
      one.resolve.arms = {arm}, one.resolve.sweep = trial.values;
      auto quiet = program;
      quiet.quiet = true;
      const auto plan = one.plan(quiet, setup.catalogue);
      for (const auto& member : plan.members) out.all.members.push_back({member.arm, member.label, member.seed, {}});
      for (const auto& node : plan.nodes) {
        ++out.asked;
        if (known.insert(node.digest).second) out.all.nodes.push_back(node);
      }
      out.trials.push_back(std::move(trial));
    }
  return out;
}

}  // namespace

std::string preview(const Program& program, const RecipeOptions& options, const SweepSetup& setup) {
  const auto seen = look_ahead(program, options, setup);
  const auto ahead = outlook(seen.all, Cache(program.results_folder()));
  if (program.json) {
    List list;
    for (const auto& trial : seen.trials)
      list.push_back(Table{{"name", trial.name()}, {"arm", trial.arm}, {"values", trial.values}});
    return to_json(Value(Table{{"trials", std::move(list)},
                               {"more", seen.more},
                               {"stages", seen.all.nodes.size()},
                               {"stages_asked", seen.asked},
                               {"cost", to_table(ahead)}})) +
           "\n";
  }
  std::set<std::string> names;
  for (const auto& trial : seen.trials)
    for (const auto& [key, value] : trial.values) names.insert(key);
  const auto shown = short_keys({names.begin(), names.end()});
  std::string out;
  for (const auto& trial : seen.trials) {
    out += trial.name();
    for (const auto& [key, value] : trial.values) out += "  " + shown.at(key) + " = " + to_text(value);
    out += "\n";
  }
  out += count(seen.trials.size(), "trial") + (seen.more ? ", and more that depend on results" : "") + ", of " +
         count(setup.plan.seeds.size(), "seed") + " each; " + count(seen.all.nodes.size(), "stage") +
         " in place of " + std::to_string(seen.asked) + ", since trials share what is equal\n";
  return out + outlook_text(seen.all, ahead);
}

}  // namespace xp::program
