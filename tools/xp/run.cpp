#include "run.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "engine_door.h"
#include "outlook.h"
#include "processes.h"
#include "recipe/provenance.h"
#include "report_text.h"
#include "schema/quantity.h"

namespace xp::program {
namespace {

/// Result of an earlier run of the same plan that is complete, newest first.
std::optional<std::filesystem::path> same_result(const Program& program, const Plan& plan) {
  const auto text = to_text(plan);
  for (const auto& file : find_results(program.results_folder(), plan.name)) {
    try {
      const auto result = read_result(file);
      const auto status = result->attributes().find("status");
      const auto* stored = find(*result->plan().as<Table>(), "text");
      if (!result->open() && status != result->attributes().end() && status->second == "done" && stored &&
          stored->as<std::string>() && *stored->as<std::string>() == text)
        return file;
    } catch (const Error&) {
      continue;  // an unreadable older file is no reason not to run; `xp ls` shows it
    }
  }
  return std::nullopt;
}

/// Looks at the files too, and notes that they are used; what is damaged is moved aside and made again.
bool all_whole(const Plan& plan, const Cache& cache) {
  return std::all_of(plan.nodes.begin(), plan.nodes.end(),
                     [&](const PlanNode& node) { return cache.find(node.digest).has_value(); });
}

RunSummary fold_cached(const Program& program, const Plan& plan, const Catalogue& catalogue, const Cache& cache) {
  RunSummary summary;
  summary.run = new_run_id();
  RunLog log(program.results_folder(), plan.name, summary.run, run_attributes(plan, catalogue, program.command),
             to_value(plan));
  for (const auto& node : plan.nodes) log.stage(node.digest, "cached");
  summary.status = "done", summary.cached = plan.nodes.size();
  summary.file = log.close(summary.status, cache);
  return summary;
}

RunSummary run_engine(const Program& program, const Plan& plan, const Catalogue& catalogue, RunOptions options) {
  options.results = program.results_folder();
  options.command = program.command, options.quiet = program.quiet;
  return run_plan(plan, catalogue, options);
}

/// One of those that train along; the first process reports and prints.
void follow(Program& program, RecipeOptions options, const ProcessPlace& place) {
  program.quiet = true;
  options.resolve.processes = place.size;
  const auto catalogue = options.catalogue(program);
  RunOptions run;
  run.place = place;
  run_engine(program, options.plan(program, catalogue, true), catalogue, std::move(run));
}

}  // namespace

double seconds_of(const std::string& time, const char* flag, double otherwise) {
  if (time.empty()) return otherwise;
  const auto quantity = parse_quantity(time);
  if (!quantity || quantity->unit != Unit::seconds || quantity->amount <= 0)
    throw Error(std::string(flag) + " wants a time like \"45 min\", not " + backquoted(time), Exit::usage);
  return quantity->amount;
}

double bytes_of(const std::string& size, const char* flag) {
  if (size.empty()) return 0;
  const auto quantity = parse_quantity(size);
  if (!quantity || quantity->unit != Unit::bytes || quantity->amount < 0)
    throw Error(std::string(flag) + " wants a size like \"2 GB\", not " + backquoted(size), Exit::usage);
  return quantity->amount;
}

void RunRequest::add_to(CLI::App& verb) {
  verb.add_option("--max-time", max_time, "Stop with a checkpoint after this time, e.g. \"45 min\" (exit code 75).");
  verb.add_option("--checkpoint-every", checkpoint_every,
                  "Time between two training states, e.g. \"10 s\" (default 1 min); changes no result.");
  verb.add_option("--keep-states", keep_states,
                  "Training states of a running stage that stay on the disk (default 2): the newest, and others for "
                  "the case that it is damaged.")
      ->check(CLI::Range(1, 1000));
  verb.add_option("--keep-best-states", keep_best_states,
                  "So many more by the metric of the stage's `keep = { by = ... }`, saved after each evaluation.")
      ->check(CLI::Range(0, 1000));
  verb.add_option("--keep-states-every", keep_states_every,
                  "And those of every so many steps, e.g. 1000: step 1000, 2000 and so on.")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 60));
  verb.add_option("--max-states-size", max_states_size,
                  "What they may take together, e.g. \"4 GB\" (default: any); the newest always stays.");
  verb.add_option(
          "--nproc", processes,
          "Processes on this machine that train each model together; torchrun and srun may start them instead.")
      ->check(CLI::Range(1, 256));
}

std::optional<std::filesystem::path> run_recipe(Program& program, RecipeOptions options, const RunRequest& request) {
  RunOptions run;
  run.max_seconds = seconds_of(request.max_time, "--max-time", run.max_seconds);
  run.checkpoint_seconds = seconds_of(request.checkpoint_every, "--checkpoint-every", run.checkpoint_seconds);
  run.keep_states = {request.keep_states, request.keep_best_states, request.keep_states_every,
                     bytes_of(request.max_states_size, "--max-states-size")};
  auto place = place_from_environment(program.results_folder());
  if (place.size > 1 && request.processes > 1 && place.size != request.processes)
    throw Error("--nproc says " + std::to_string(request.processes) + " processes, the launcher started " +
                    std::to_string(place.size),
                Exit::usage);
  if (place.rank > 0) {
    follow(program, std::move(options), place);
    return std::nullopt;
  }
  options.resolve.processes = std::max(place.size, request.processes);
  const auto catalogue = options.catalogue(program);
  const auto plan = options.plan(program, catalogue, true);
  const auto results = program.writable_results();
  std::optional<LocalProcesses> others;
  if (place.size == 1 && request.processes > 1) {
    others.emplace(program.self(), program.command, request.processes, results);
    place = others->place();
  }
  const Cache cache(program.results_folder());
  const auto ahead = outlook(plan, cache);
  if (!program.quiet) std::fputs(outlook_text(plan, ahead).c_str(), stderr);
  if (!program.quiet && !plan.axes.empty())
    std::fprintf(stderr, "a recipe with [sweep] runs here without its axes; `xp sweep %s` runs its trials\n",
                 options.recipe.c_str());
  if (ahead.to_run == 0 && place.size == 1 && all_whole(plan, cache)) {
    const auto known = same_result(program, plan);
    return known ? *known : fold_cached(program, plan, catalogue, cache).file;
  }
  if (!program.quiet) std::fprintf(stderr, "writes to %s\n", (program.results_folder() / plan.name).c_str());
  run.place = place;
  const auto file = run_engine(program, plan, catalogue, std::move(run)).file;
  if (others) others->wait();
  return file;
}

void add_run(CLI::App& app, Program& program) {
  auto* verb =
      app.add_subcommand("run", "Runs what is missing of a recipe, then prints its tables and the claims' verdicts.");
  auto options = std::make_shared<RecipeOptions>();
  options->add_to(*verb);
  verb->get_option("recipe")->required(false);
  auto request = std::make_shared<RunRequest>();
  request->add_to(*verb);
  auto from = std::make_shared<std::string>();
  verb->add_option("--from", *from, "The experiment that a result file holds, in place of a recipe.");
  verb->add_flag("--any-build", options->any_build, "With --from: plugins and engine may be others than the file's.");
  verb->footer(
      "Examples:\n"
      "  xp run recipes/quickstart.toml --smoke\n"
      "  xp run --from results/quickstart/RUN.h5 --arm ofa\n"
      "  xp run R --nproc 2\n"
      "  xp run R --set arm.ofa.stage.transfer.initializer.temperature=0.05\n"
      "Asking again with nothing changed runs nothing and prints the same. After an interrupt the same command goes "
      "on.");
  verb->callback([=, &program] {
    if (!from->empty()) {
      options->take(*from);
      if (request->processes == 1) request->processes = static_cast<int>(options->resolve.processes);
    } else if (options->recipe.empty()) {
      throw Error("xp run: wants recipe, or --from with a result file; `xp run --help` says what it takes",
                  Exit::usage);
    }
    const auto file = run_recipe(program, *options, *request);
    if (!file) return;
    const Cache cache(program.results_folder());
    const auto result = read_result(*file, &cache);
    print(program.json ? result_json({result.get()}) : result_text({result.get()}));
    for (const auto& figure : write_figures({result.get()}, file->parent_path() / file->stem()))
      std::fprintf(stderr, "figure %s\n", figure.c_str());
    std::fprintf(stderr, "result %s\n", file->c_str());
  });
}

}  // namespace xp::program
