#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "program.h"
#include "recipe/digests.h"
#include "results/difference.h"

namespace xp::program {
namespace {

struct DiffOptions {
  std::string before, after;
  std::vector<std::string> metrics;
  bool all = false, exit_code = false;
};

// Which settings count is in the plugins' manifests; without them all do.
SettingsThatCount that_count(const Program& program) {
  try {
    return [catalogue = program.catalogue()](std::string_view interface, const Table& settings) {
      const auto interfaces =
          interface == "dataset" ? interfaces_of_kind(interface) : std::vector<std::string>{std::string(interface)};
      return recipe::result_settings(catalogue, interfaces, settings);
    };
  } catch (const Error& error) {
    log::warn(std::string("plugins cannot be read, so every setting counts as one that changes results: ") +
              error.what());
    return {};
  }
}

void diff(Program& program, const DiffOptions& options) {
  const auto before = open_results(program, {options.before}), after = open_results(program, {options.after});
  const auto found =
      difference_of(side_of(*before.front()), side_of(*after.front()), that_count(program), options.metrics);
  print(program.json ? to_json(to_value(found)) + "\n" : to_text(found, options.all));
  if (options.exit_code && !found.same) program.exit = static_cast<int>(Exit::verdict);
}

}  // namespace

void add_diff(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "diff", "What two results differ in: what can change results, what cannot, where it begins, and the numbers.");
  auto options = std::make_shared<DiffOptions>();
  verb->add_option("before", options->before, "A result file, a run, or a recipe's name for its newest run.")
      ->required();
  verb->add_option("after", options->after, "Another.")->required();
  verb->add_option("--metrics", options->metrics, "Metric paths (default: those of the recipes' tables and claims).")
      ->allow_extra_args(false);
  verb->add_flag("--all", options->all, "Numbers that are equal too.");
  verb->add_flag("--exit-code", options->exit_code, "Exit code 5 if they are different experiments.");
  verb->footer(
      "Examples:\n"
      "  xp diff 20261125-215903-a1b2 quickstart\n"
      "  xp diff old.h5 results/quickstart/20261125-215903-a1b2.h5 --json\n"
      "Settings can change results if they are part of a stage's identity; components declare those that are not.");
  verb->callback([=, &program] { diff(program, *options); });
}

}  // namespace xp::program
