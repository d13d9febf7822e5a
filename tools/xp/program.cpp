#include "program.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/digest.h"
#include "base/text.h"
#include "plugin/loader.h"
#include "recipe/stored.h"
#include "results/result_index.h"
#include "sweep/folder.h"

namespace xp::program {

std::filesystem::path Program::self() const { return std::filesystem::read_symlink("/proc/self/exe"); }

Catalogue Program::catalogue(const std::vector<std::string>& more) const {
  auto first = plugin_path;
  first.insert(first.end(), more.begin(), more.end());
  return read_catalogue(xp::plugin_path(first), self().parent_path() / "xp-describe");
}

std::filesystem::path Program::results_folder() const {
  const char* set = std::getenv("XP_RESULTS");
  const std::filesystem::path folder = !results.empty() ? std::filesystem::path(results)
                                       : set && *set    ? std::filesystem::path(set)
                                                        : project_root(std::filesystem::current_path()) / "results";
  std::error_code failed;
  const auto status = std::filesystem::status(folder, failed);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status))
    throw Error("results cannot be in " + backquoted(folder.string()) + ": it is no folder; name one with --results",
                Exit::usage);
  const bool there = std::filesystem::exists(status);
  if (there ? ::access(folder.c_str(), R_OK | X_OK) != 0 : status.type() == std::filesystem::file_type::none)
    throw Error("cannot read results in " + backquoted(folder.string()) + ": " +
                    (there ? std::strerror(errno) : failed.message()) + "; name another folder with --results",
                Exit::data);
  return folder;
}

std::filesystem::path Program::writable_results() const {
  const auto folder = results_folder();
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (!failed && ::access(folder.c_str(), W_OK | X_OK) == 0) return folder;
  throw Error("cannot write results to " + backquoted(folder.string()) + ": " +
              (failed ? failed.message() : std::strerror(errno)) + "; name another folder with --results");
}

void RecipeOptions::add_to(CLI::App& app) {
  app.add_option("recipe", recipe, "The recipe (TOML).")->required();
  app.add_option("--set", resolve.set, "KEY=VALUE laid over the recipe; may be repeated.")->allow_extra_args(false);
  app.add_option("--unset", resolve.unset, "Key to take out of the recipe; may be repeated.")
      ->allow_extra_args(false);
  app.add_option("--arm", resolve.arms, "Only this arm; may be repeated.")->allow_extra_args(false);
  app.add_option("--seed", resolve.seeds, "Only this seed; may be repeated.")->allow_extra_args(false);
  app.add_flag("--smoke", resolve.smoke, "Lay the recipe's [smoke] over it: the same path in seconds, no claim.");
  app.add_flag("--trust-plugins", resolve.trust_plugins, "Let the recipe name plugin folders: their code will run.");
}

Catalogue RecipeOptions::catalogue(const Program& program) const {
  Problems ignored;  // plan() reads the recipe again and reports
  std::vector<std::string> folders;
  for (const auto& folder : plugin_folders(recipe, resolve, ignored)) folders.push_back(folder.string());
  return program.catalogue(folders);
}

void RecipeOptions::take(const std::filesystem::path& result) {
  if (!recipe.empty() || !resolve.set.empty() || !resolve.unset.empty() || resolve.smoke)
    throw Error("the experiment is the file's own: a recipe, --set, --unset and --smoke do not go with it",
                Exit::usage);
  from = read_result(result);
  limits.arms = std::move(resolve.arms), limits.seeds = std::move(resolve.seeds);
  const bool trusted = resolve.trust_plugins;
  resolve = stored_experiment(*from);
  resolve.trust_plugins = trusted, recipe = resolve.stored.back().path;
}

Plan RecipeOptions::plan(const Program& program, const Catalogue& catalogue, bool to_run) const {
  auto options = resolve;
  options.to_run = to_run;
  const auto engine = program.self().parent_path().parent_path() / "lib" / "libxp_engine.so";
  options.engine_hash = sha256_file_cached(engine);
  Problems problems;
  auto plan = xp::resolve(recipe, catalogue, options, problems);
  problems.raise();
  if (!problems.empty() && !program.quiet) std::fputs(problems.text().c_str(), stderr);
  if (!plan) throw Error("the recipe " + backquoted(recipe) + " could not be resolved", Exit::usage);
  if (!from) return std::move(*plan);
  check_same_experiment(*from, *plan, catalogue, any_build);
  if (limits.arms.empty() && limits.seeds.empty()) return std::move(*plan);
  for (const auto seed : limits.seeds)
    if (std::none_of(plan->members.begin(), plan->members.end(), [&](const auto& one) { return one.seed == seed; }))
      throw Error(backquoted(from->path().string()) + " has no seed " + std::to_string(seed), Exit::usage);
  for (const auto& arm : limits.arms)
    if (std::none_of(plan->members.begin(), plan->members.end(),
                     [&](const auto& one) { return one.arm == arm || one.arm.starts_with(arm + "["); }))
      throw Error(backquoted(from->path().string()) + " has no arm " + backquoted(printable(arm)), Exit::usage);
  if (!limits.arms.empty()) options.arms = limits.arms;
  if (!limits.seeds.empty()) options.seeds = limits.seeds;
  auto part = xp::resolve(recipe, catalogue, options, problems);
  problems.raise();
  return part.value();
}

namespace {

// The one run "20261125-215903-a1b2".
std::filesystem::path run_named(const std::filesystem::path& folder, const std::string& name) {
  const auto all = find_results(folder);
  for (const auto& file : all)
    if (file.stem() == name) return file;
  std::vector<std::string> known;
  for (const auto& file : all) known.push_back(file.parent_path().filename().string());
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  throw Error("no result file, no run and no recipe with results is called " + backquoted(printable(name)) +
                  (known.empty() ? "; there are no results in " + folder.string() + " yet, `xp run RECIPE` makes some"
                                 : "; there is " + listed(known)),
              Exit::data);
}

// The folder of a sweep, or the newest sweep of a recipe that has no other results.
std::optional<std::filesystem::path> sweep_named(const std::filesystem::path& folder, const std::string& name,
                                                 bool has_results) {
  std::error_code none;
  if (std::filesystem::exists(std::filesystem::path(name) / sweep::kHeaderFile, none)) return name;
  if (has_results) return std::nullopt;
  const auto sweeps = sweep::find_sweeps(folder, name);
  return sweeps.empty() ? std::nullopt : std::optional(sweeps.front());
}

}  // namespace

std::vector<std::unique_ptr<Result>> open_results(const Program& program, const std::vector<std::string>& names,
                                                  WhichRuns which) {
  const auto folder = program.results_folder();
  const Cache cache(folder);
  std::vector<std::unique_ptr<Result>> out;
  std::vector<std::string> wanted = names;
  if (wanted.empty()) {
    const auto all = find_results(folder);
    if (all.empty()) throw Error("no results in " + folder.string() + "; `xp run RECIPE` makes some", Exit::data);
    const auto& newest = all.front();
    wanted.push_back(which == WhichRuns::newest ? newest.string() : newest.parent_path().filename().string());
  }
  for (const auto& name : wanted) {
    std::error_code none;
    if (std::filesystem::is_regular_file(name, none)) {
      out.push_back(read_result(name, &cache));
      continue;
    }
    auto files = find_results(folder, name);
    const auto trials = sweep_named(folder, name, !files.empty());
    if (trials) {
      files = sweep::chosen_results(*trials, which != WhichRuns::newest);
      if (files.empty())
        throw Error("no trial of the sweep " + backquoted(trials->string()) + " is done yet", Exit::data);
    } else if (files.empty()) {
      out.push_back(read_result(run_named(folder, name), &cache));  // one of a folder, whose index has them all
      continue;
    } else if (which == WhichRuns::newest) {
      files.resize(1);
    }
    if (which == WhichRuns::all_for_tables) {
      for (auto& one : read_results(files.front().parent_path(), files, cache)) out.push_back(std::move(one));
    } else {
      for (const auto& file : files) out.push_back(read_result(file, &cache));
    }
  }
  return out;
}

void add_results_to(CLI::App& verb, std::vector<std::string>& names) {
  verb.add_option("results", names,
                  "Result files, or recipes' names for their newest result (default: the newest of all).");
}

std::vector<const Result*> pointers(const std::vector<std::unique_ptr<Result>>& results) {
  std::vector<const Result*> out;
  for (const auto& one : results) out.push_back(one.get());
  return out;
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    throw Error("cannot write to the standard output");
}

}  // namespace xp::program
