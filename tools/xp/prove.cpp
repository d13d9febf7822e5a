#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "results/claims.h"
#include "run.h"

namespace xp::program {
namespace {

struct ProveOptions {
  RecipeOptions recipe;
  RunRequest run;
  std::vector<std::string> claims;
  int seeds = 0;
};

/// Those with the ids that are asked for; all if none is.
std::vector<Verdict> chosen(std::vector<Verdict> verdicts, const std::vector<std::string>& ids) {
  std::vector<std::string> known;
  for (const auto& one : verdicts) known.push_back(one.claim.id);
  for (const auto& id : ids)
    if (std::find(known.begin(), known.end(), id) == known.end())
      throw Error("the recipe states no claim " + backquoted(id) + "; it has " + listed(known), Exit::usage);
  if (!ids.empty())
    std::erase_if(verdicts,
                  [&](const Verdict& one) { return std::find(ids.begin(), ids.end(), one.claim.id) == ids.end(); });
  return verdicts;
}

/// How many seeds all undecided claims ask for, where numbers are known.
std::size_t seeds_wanted(const std::vector<Verdict>& verdicts) {
  std::size_t most = 0;
  for (const auto& one : verdicts)
    if (one.outcome == Outcome::undecided && one.claim.unit == "seed" && one.missing > 0)
      most = std::max(most, one.n + one.missing);
  return most;
}

void prove(Program& program, ProveOptions options) {
  if (options.seeds > 0) options.recipe.resolve.set.push_back("seeds=" + std::to_string(options.seeds));
  // Ids are looked at before anything runs; what else is wrong with the recipe, run_recipe() says.
  Problems elsewhere;
  if (const auto plan =
          resolve(options.recipe.recipe, options.recipe.catalogue(program), options.recipe.resolve, elsewhere)) {
    std::vector<Verdict> stated(plan->claims.size());
    for (std::size_t i = 0; i < stated.size(); ++i) stated[i].claim = plan->claims[i];
    if (stated.empty()) throw Error("the recipe states no [[claim]]; there is nothing to prove", Exit::usage);
    chosen(std::move(stated), options.claims);
  }
  const auto file = run_recipe(program, options.recipe, options.run);
  if (!file) return;
  const Cache cache(program.results_folder());
  const auto result = read_result(*file, &cache);
  const auto verdicts = chosen(judge(claims_from(result->plan()), study_of({result.get()})), options.claims);
  List shown;
  std::string text;
  for (const auto& one : verdicts) shown.push_back(to_value(one)), text += to_text(one) + "\n";
  print(program.json ? to_json(Value(Table{{"claims", std::move(shown)}, {"file", file->string()}})) + "\n" : text);
  if (const auto seeds = seeds_wanted(verdicts); seeds > 0 && !options.recipe.resolve.smoke)
    std::fprintf(stderr, "for a decision: xp prove %s --seeds %zu\n", options.recipe.recipe.c_str(), seeds);
  std::fprintf(stderr, "result %s\n", file->c_str());
  const bool all =
      std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& one) { return one.outcome == Outcome::pass; });
  program.exit = all ? 0 : static_cast<int>(Exit::verdict);
}

}  // namespace

void add_prove(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "prove",
      "Runs what is missing for a recipe's claims; exit code 0 if all pass, 5 if one fails or is undecided.");
  auto options = std::make_shared<ProveOptions>();
  options->recipe.add_to(*verb);
  options->run.add_to(*verb);
  verb->add_option("--claim", options->claims, "Only these claims count; corrections run over all of the recipe's.");
  verb->add_option("--seeds", options->seeds,
                   "How many seeds, in place of the recipe's number; decide it before you look at results.")
      ->check(CLI::Range(1, 100000));
  verb->footer(
      "Examples:\n"
      "  xp prove recipes/quickstart.toml\n"
      "  xp prove R --claim half_rank_is_no_worse --seeds 9\n"
      "A verdict is PASS, FAIL or UNDECIDED; framework/results/STATISTICS.md has the rules.");
  verb->callback([=, &program] { prove(program, *options); });
}

}  // namespace xp::program
