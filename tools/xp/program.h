#pragma once
// What all verbs of the program share.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugin/registry.h"
#include "recipe/plan.h"
#include "results/run_log.h"

namespace xp::program {

struct Program {
  std::vector<std::string> plugin_path;
  std::string results;  ///< --results
  bool json = false, quiet = false;
  std::vector<std::string> command;  ///< as typed
  int exit = 0;

  std::filesystem::path self() const;  ///< the running program
  /// What plugins offer, from manifests.
  Catalogue catalogue(const std::vector<std::string>& more = {}) const;
  /// --results, else XP_RESULTS, else results/ under the project's root.
  std::filesystem::path results_folder() const;
  /// The same, made if need be; throws Error if nothing can be written there.
  std::filesystem::path writable_results() const;
};

/// Options that lay something over a recipe, the same for every verb that reads one.
struct RecipeOptions {
  std::string recipe;
  ResolveOptions resolve;
  std::shared_ptr<const Result> from;  ///< the experiment is that of this result; null: of the recipe
  ResolveOptions limits;               ///< arms and seeds of `from` that are wanted; empty: all
  bool any_build = false;              ///< `from` may have been made with other binaries
  void add_to(CLI::App& app);
  /// Goes on with the experiment of a result: arms and seeds so far become limits. Throws Error (Exit::usage) if
  /// anything else was to be laid over it.
  void take(const std::filesystem::path& result);
  /// What plugins offer, with the folders that a trusted recipe names.
  Catalogue catalogue(const Program& program) const;
  /// Resolves; prints warnings, throws Error with all mistakes, and if it is not the experiment of `from`.
  Plan plan(const Program& program, const Catalogue& catalogue, bool to_run = false) const;
};

using AddVerb = void (*)(CLI::App&, Program&);
void add_run(CLI::App& app, Program& program);
void add_check(CLI::App& app, Program& program);
void add_prove(CLI::App& app, Program& program);
void add_reproduce(CLI::App& app, Program& program);
void add_verify_resume(CLI::App& app, Program& program);
void add_show(CLI::App& app, Program& program);
void add_sweep(CLI::App& app, Program& program);
void add_worker(CLI::App& app, Program& program);
void add_plugins(CLI::App& app, Program& program);
void add_inspect(CLI::App& app, Program& program);
void add_docs(CLI::App& app, Program& program);
void add_new(CLI::App& app, Program& program);
void add_schema(CLI::App& app, Program& program);
void add_table(CLI::App& app, Program& program);
void add_diff(CLI::App& app, Program& program);
void add_plot(CLI::App& app, Program& program);
void add_report(CLI::App& app, Program& program);
void add_ls(CLI::App& app, Program& program);
void add_repair(CLI::App& app, Program& program);
void add_tokenize(CLI::App& app, Program& program);
void add_adapt(CLI::App& app, Program& program);
void add_export(CLI::App& app, Program& program);
void add_data(CLI::App& app, Program& program);
void add_cache(CLI::App& app, Program& program);
void add_env(CLI::App& app, Program& program);

/// Which runs of a recipe a verb reads; `all_for_tables`: through the recipe's index (results/result_index.h).
enum class WhichRuns { newest, all, all_for_tables };

/// Results that a verb reads: files or runs named, or runs of each recipe named, or of the recipe that ran last.
std::vector<std::unique_ptr<Result>> open_results(const Program& program, const std::vector<std::string>& names,
                                                  WhichRuns which = WhichRuns::newest);

/// The argument that open_results() takes.
void add_results_to(CLI::App& verb, std::vector<std::string>& names);
std::vector<const Result*> pointers(const std::vector<std::unique_ptr<Result>>& results);

/// Text to stdout; throws Error if it cannot be written.
void print(std::string_view text);

}  // namespace xp::program
