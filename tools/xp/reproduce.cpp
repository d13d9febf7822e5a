#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "children.h"
#include "results/compare.h"

namespace xp::program {
namespace {

struct ReproduceOptions {
  RecipeOptions recipe;
  std::string file, with;
  double tolerance = 0;
};

/// Runs the experiment anew; what it made lies in `folder`.
std::unique_ptr<Result> run_again(const Program& program, const RecipeOptions& recipe,
                                  const std::filesystem::path& folder) {
  std::vector<std::string> words = {"run", "--results", folder.string()};
  for (auto& one : words_of(program, recipe)) words.push_back(std::move(one));
  if (program.quiet) words.emplace_back("--quiet");
  const auto log = folder / "reproduce.log";
  Child child(program.self(), words, log, !program.quiet);
  const int code = child.wait();
  if (code != 0)
    throw Error("running it again ended with exit code " + std::to_string(code) + "; what it made is in " +
                    backquoted(folder.string()),
                static_cast<Exit>(code));
  return done_result(folder);
}

bool wanted(const ComparedStage& stage, const ResolveOptions& limits) {
  const auto& arms = limits.arms;
  const auto& seeds = limits.seeds;
  return (arms.empty() ||
          std::any_of(arms.begin(), arms.end(),
                      [&](const auto& arm) { return stage.arm == arm || stage.arm.starts_with(arm + "["); })) &&
         (seeds.empty() || std::find(seeds.begin(), seeds.end(), stage.seed) != seeds.end());
}

void report(Program& program, const Result& expected, const Result& found, const ReproduceOptions& options,
            const ResolveOptions& limits) {
  auto stages = compared_stages(expected.plan(), [&](const ComparedStage& one) { return wanted(one, limits); });
  const auto comparison = compare(expected, found, stages, options.tolerance);
  if (comparison.same == 0 && !comparison.stage)
    throw Error(backquoted(expected.path().string()) + " holds no finished stage to compare with", Exit::data);
  auto table = to_table(comparison);
  table.emplace("expected", expected.path().string()), table.emplace("found", found.path().string());
  print(program.json ? to_json(Value(std::move(table))) + "\n" : to_text(comparison));
  program.exit = comparison.stage ? static_cast<int>(Exit::verdict) : 0;
}

void reproduce(Program& program, ReproduceOptions options) {
  if (!options.with.empty()) {
    const auto expected = read_result(options.file), found = read_result(options.with);
    return report(program, *expected, *found, options, options.recipe.resolve);
  }
  auto& recipe = options.recipe;
  recipe.take(options.file);
  const auto catalogue = recipe.catalogue(program);
  recipe.plan(program, catalogue, true);  // refused before anything runs
  const bool scratch = program.results.empty();
  const auto folder =
      scratch ? make_scratch(std::filesystem::temp_directory_path(), "xp-reproduce-") : program.writable_results();
  std::error_code none;
  if (std::filesystem::equivalent(folder, std::filesystem::absolute(options.file).parent_path().parent_path(), none))
    throw Error("--results names the folder that the file is in, where its own stages would be taken; name another",
                Exit::usage);
  const auto found = run_again(program, recipe, folder);
  report(program, *recipe.from, *found, options, recipe.limits);
  if (program.exit == 0 && scratch)
    std::filesystem::remove_all(folder, none);
  else
    std::fprintf(stderr, "result %s\n", found->path().c_str());
}

}  // namespace

void add_reproduce(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "reproduce",
      "Runs the experiment of a result file anew and compares hash by hash; exit code 0 if identical, 5 if not.");
  auto options = std::make_shared<ReproduceOptions>();
  verb->add_option("file", options->file, "The result (RUN.h5); nothing else of its run is needed.")->required();
  auto& recipe = options->recipe;
  verb->add_option("--arm", recipe.resolve.arms, "Only this arm; may be repeated.")->allow_extra_args(false);
  verb->add_option("--seed", recipe.resolve.seeds, "Only this seed; may be repeated.")->allow_extra_args(false);
  verb->add_flag("--any-build", recipe.any_build, "Plugins and engine may be others than the file's.");
  verb->add_flag("--trust-plugins", recipe.resolve.trust_plugins,
                 "Let the file name plugin folders: their code will run.");
  verb->add_option("--tolerance", options->tolerance,
                   "Numbers may differ by this share, and weights are not compared: for other hardware.")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--with", options->with, "Run nothing: compare with this result.");
  verb->footer(
      "Examples:\n"
      "  xp reproduce results/quickstart/RUN.h5 --arm ofa --seed 0\n"
      "  xp reproduce RUN.h5 --any-build --tolerance 1e-4\n"
      "It works in a folder of its own, or in --results, which may hold what an interrupted attempt made; that "
      "folder\n"
      "stays if something differs.");
  verb->callback([=, &program] { reproduce(program, *options); });
}

}  // namespace xp::program
