#include "sweep_setup.h"

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"
#include "plugin/loader.h"
#include "sweep/measure.h"

namespace xp::program {
namespace {

// Loads the library of a component that the sweep names.
void load(SweepSetup& setup, const char* interface, const Table& component) {
  if (component.empty()) return;
  const auto& type = *component.at("type").as<std::string>();
  const auto* info = setup.catalogue.find(interface, type);
  if (!info)
    throw Error(
        "there is no " + std::string(interface) + " " + backquoted(type) + " in " + listed(setup.catalogue.searched),
        Exit::plugin);
  load_plugins(setup.registry, setup.catalogue, {info->library});
}

// Mistakes that only the searches themselves can see come before the first trial.
void try_out(SweepSetup& setup) {
  for (const auto& arm : setup.rules.arms) {
    const auto axes = sweep::axes_of(setup.rules, arm);
    setup.registry.make<Search>(setup.rules.method)->start({arm, axes, setup.rules.higher, RandomStreams(0)});
  }
  if (setup.rules.prune.empty()) return;
  setup.prune = setup.registry.make<Pruner>(setup.rules.prune)->rule();
  sweep::watched_stage(setup.plan, setup.prune);
}

}  // namespace

std::unique_ptr<SweepSetup> set_up_sweep(const Program& program, const RecipeOptions& options, int workers,
                                         int trials) {
  auto setup = std::make_unique<SweepSetup>();
  setup->catalogue = options.catalogue(program);
  setup->plan = options.plan(program, setup->catalogue, true);
  setup->rules = sweep::rules_of(setup->plan);
  auto& rules = setup->rules;
  if (rules.method.empty()) rules.method = Table{{"type", "grid"}};
  if (trials > 0) rules.method.insert_or_assign("trials", trials);
  if (workers > 0) rules.launcher = Table{{"type", "local"}, {"workers", workers}};
  load(*setup, Search::kInterface, rules.method);
  load(*setup, Pruner::kInterface, rules.prune);
  load(*setup, Launcher::kInterface, rules.launcher);
  try_out(*setup);
  return setup;
}

std::vector<std::string> binaries_of(const SweepSetup& setup) {
  std::vector<std::string> out{"engine " + sha256_file_cached(framework_folder() / "libxp_engine.so")};
  for (const auto& library : libraries(setup.plan, setup.catalogue))
    for (const auto* info : setup.catalogue.list())
      if (info->library == library) {
        out.push_back("plugin " + info->plugin + " " + info->hash);
        break;
      }
  return out;
}

RecipeOptions recipe_of(const sweep::Header& header) {
  RecipeOptions out;
  out.recipe = header.recipe, out.resolve = header.options;
  return out;
}

std::filesystem::path sweep_folder(const Program& program, const std::string& name) {
  std::error_code none;
  if (std::filesystem::exists(std::filesystem::path(name) / sweep::kHeaderFile, none)) return name;
  const auto sweeps = sweep::find_sweeps(program.results_folder(), name);
  if (!sweeps.empty()) return sweeps.front();
  std::vector<std::string> known;
  for (const auto& folder : sweep::find_sweeps(program.results_folder()))
    known.push_back(folder.parent_path().filename().string());
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  throw Error(backquoted(printable(name)) + " is no folder of a sweep and no recipe with one; " +
                  (known.empty() ? "`xp sweep RECIPE` begins one" : "there is " + listed(known)),
              Exit::data);
}

}  // namespace xp::program
