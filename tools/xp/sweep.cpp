#include <algorithm>
#include <cstdio>
#include <set>
#include <thread>

#include "base/text.h"
#include "outlook.h"
#include "report_text.h"
#include "run.h"
#include "sweep_preview.h"
#include "sweep_text.h"
#include "sweep_work.h"

namespace xp::program {
namespace {

struct SweepOptions {
  RecipeOptions recipe;
  std::string max_time;
  int workers = 0, trials = 0;
  bool dry = false, fresh = false, replay = false, retry = false, any_build = false;
};

sweep::Header header_of(const SweepOptions& options, const SweepSetup& setup) {
  sweep::Header out{.recipe = std::filesystem::absolute(options.recipe.recipe).string(),
                    .name = setup.plan.name,
                    .options = options.recipe.resolve,
                    .source = setup.plan.source,
                    .identity = sweep::identity_of(setup.plan, setup.rules),
                    .binaries = binaries_of(setup),
                    .started = {},
                    .retries = setup.rules.retries,
                    .goal = setup.rules.goal,
                    .higher = setup.rules.higher};
  if (out.options.root.empty()) out.options.root = project_root(options.recipe.recipe);
  return out;
}

bool unfinished(const std::filesystem::path& folder, const sweep::Header& header) {
  const auto trials = sweep::read_trials(folder, header);
  using Phase = sweep::TrialState::Phase;
  return trials.count(Phase::open) + trials.count(Phase::running) > 0;
}

/// The sweep to go on with; nothing: a new one is begun. Throws Error (Exit::usage) if the recipe changed since an
/// unfinished one began.
std::optional<std::filesystem::path> known_sweep(const Program& program, const SweepOptions& options,
                                                 const sweep::Header& now) {
  std::optional<std::filesystem::path> changed;
  for (const auto& folder : sweep::find_sweeps(program.results_folder(), now.name)) {
    auto header = sweep::read_header(folder);
    if (header.options.smoke != now.options.smoke) continue;
    const bool same = header.identity == now.identity;
    if (same && (options.any_build || header.binaries == now.binaries)) return folder;
    if (!changed && unfinished(folder, header)) changed = folder;
  }
  if (!changed) return std::nullopt;
  const auto header = sweep::read_header(*changed);
  const bool same = header.identity == now.identity;
  throw Error((same ? "what runs the sweep " : "the recipe changed since the sweep ") +
                  backquoted(changed->filename().string()) +
                  (same ? " was built anew since it began:\n" : " began:\n") +
                  (same ? sweep::difference_of(header.binaries, now.binaries)
                        : sweep::difference_of(header.identity, now.identity)) +
                  "\nundo that, or begin another with --new; stages that did not change are shared" +
                  (same ? ", or go on with --any-build" : ""),
              Exit::usage);
}

// The command line of one worker.
std::vector<std::string> worker_command(const Program& program, const std::filesystem::path& folder) {
  std::vector<std::string> out{program.self().string(), "worker", folder.string(), "--results",
                               program.results_folder().string()};
  for (const auto& path : program.plugin_path) out.insert(out.end(), {"--plugin-path", path});
  return out;
}

// Shows what others decide, and proposes for a search that only this process can ask.
class Foreman {
 public:
  Foreman(const Program& program, const SweepSetup& setup, const std::filesystem::path& folder, std::int64_t workers)
      : decider_(folder, setup.rules, setup.registry, true), workers_(workers) {
    decider_.look();
    if (!program.quiet)
      decider_.watch = [&setup](const sweep::Event& event, const sweep::TrialState& trial) {
        if (const auto line = event_line(event, trial, setup.rules); !line.empty())
          std::fprintf(stderr, "%s\n", line.c_str());
      };
    outside_ = setup.registry.make<Search>(setup.rules.method)->outside();
  }

  void turn() {
    if (outside_)
      decider_.feed(static_cast<std::size_t>(workers_));
    else
      decider_.look();
  }

 private:
  sweep::Decider decider_;
  std::int64_t workers_;
  bool outside_ = false;
};

void launch(const Program& program, const SweepSetup& setup, const std::filesystem::path& folder) {
  constexpr auto kTurn = std::chrono::milliseconds(300);
  const auto launcher = setup.registry.make<Launcher>(setup.rules.launcher);
  const LaunchRequest request{worker_command(program, folder), folder / "logs", setup.plan.name};
  std::filesystem::create_directories(request.logs);
  Foreman foreman(program, setup, folder, launcher->workers());
  const StopRequest stops;
  std::atomic<bool> over{false};
  std::exception_ptr failure;
  std::thread launching([&] {
    try {
      launcher->launch(request, StopRequest::flag());
    } catch (...) {
      failure = std::current_exception();
    }
    over = true;
  });
  while (!over) {
    try {
      foreman.turn();
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());  // workers go on; they wait for a folder that is away
    }
    std::this_thread::sleep_for(kTurn);
  }
  launching.join();
  if (failure) std::rethrow_exception(failure);
  foreman.turn();
  if (StopRequest::flag()) throw Error("stopped by request; the same command goes on from here", Exit::stopped);
}

void report(Program& program, const std::filesystem::path& folder) {
  const auto header = sweep::read_header(folder);
  const auto trials = sweep::read_trials(folder, header);
  const Cache cache(program.results_folder());
  std::vector<std::unique_ptr<Result>> results;
  std::vector<const Result*> chosen;
  for (const auto& file : sweep::chosen_results(folder)) results.push_back(read_result(file, &cache));
  for (const auto& one : results) chosen.push_back(one.get());
  if (program.json) {
    auto out = trials_value(trials, header);
    out.as<Table>()->insert_or_assign("folder", folder.string());
    if (!chosen.empty()) out.as<Table>()->insert_or_assign("chosen", value_from_json(result_json(chosen)));
    print(to_json(out) + "\n");
  } else {
    print(trials_text(trials, header));
    if (!chosen.empty()) print("\n" + result_text(chosen));
  }
  std::fprintf(stderr, "sweep %s\n", folder.c_str());
  if (trials.count(sweep::TrialState::Phase::failed) > 0) program.exit = static_cast<int>(Exit::sweep_members);
}

void run_sweep(Program& program, const SweepOptions& options) {
  const double max_seconds = seconds_of(options.max_time, "--max-time");
  const auto setup = set_up_sweep(program, options.recipe, options.workers, options.trials);
  if (options.dry) return print(preview(program, options.recipe, *setup));
  auto header = header_of(options, *setup);
  program.writable_results();
  auto folder = options.fresh ? std::nullopt : known_sweep(program, options, header);
  if (options.replay) {
    if (!folder) throw Error("there is no sweep of this recipe to replay", Exit::data);
    const auto n = sweep::Decider(*folder, setup->rules, setup->registry, true).replay();
    return print(count(n, "decision") + " of " + folder->filename().string() + " came out the same\n");
  }
  if (folder) {
    header.started = sweep::read_header(*folder).started;
    sweep::write_header(*folder, header);  // retries may have changed, and with --any-build the binaries
  } else {
    folder = sweep::begin_sweep(program.results_folder(), header);
  }
  if (!program.quiet) std::fprintf(stderr, "writes to %s\n", folder->c_str());
  if (options.retry) sweep::Decider(*folder, setup->rules, setup->registry, true).reopen_failed();
  if (setup->rules.launcher.empty())
    work_at_sweep(program, *setup, {*folder, max_seconds, true});
  else
    launch(program, *setup, *folder);
  report(program, *folder);
}

}  // namespace

void add_sweep(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("sweep", "Runs the trials of a recipe's [sweep], or goes on with them.");
  auto options = std::make_shared<SweepOptions>();
  options->recipe.add_to(*verb);
  verb->add_flag("--dry-run,-n", options->dry,
                 "List trials, keys that differ, shared stages and cost; start nothing.");
  verb->add_option("--workers,-j", options->workers, "Worker processes on this machine, in place of the launcher.")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--trials", options->trials, "How many trials; more than before extend the sweep.")
      ->check(CLI::Range(1, 1000000));
  verb->add_flag("--retry", options->retry, "Try failed trials again.");
  verb->add_flag("--new", options->fresh, "Begin another sweep, though one of this recipe is there.");
  verb->add_flag("--replay", options->replay,
                 "Decide everything in the journal again and say whether it is the same.");
  verb->add_flag("--any-build", options->any_build, "Go on though xp or a plugin was built anew since it began.");
  verb->add_option("--max-time", options->max_time, "Stop with checkpoints after this time (exit code 75).");
  verb->footer(
      "Examples:\n"
      "  xp sweep R --dry-run\n"
      "  xp sweep R --workers 2\n"
      "  xp worker R                another worker, here or on a machine that sees the same results folder\n"
      "  xp table SWEEP-FOLDER      tables of the best trial of each arm\n"
      "Asking again goes on where it stood. Exit code 6: some trials failed.");
  verb->callback([=, &program] { run_sweep(program, *options); });
}

void add_worker(CLI::App& app, Program& program) {
  auto* verb =
      app.add_subcommand("worker", "Works at a sweep that was begun, beside other workers, until it is done.");
  auto name = std::make_shared<std::string>(), max_time = std::make_shared<std::string>();
  verb->add_option("sweep", *name, "Folder of a sweep, or a recipe's name for its newest.")->required();
  verb->add_option("--max-time", *max_time, "Stop with checkpoints after this time (exit code 75).");
  verb->footer("Example: xp worker results/mlm_learning_rate/sweep-20261127-101500-a1b2");
  verb->callback([=, &program] {
    const auto folder = sweep_folder(program, *name);
    const auto header = sweep::read_header(folder);
    const auto setup = set_up_sweep(program, recipe_of(header));
    if (const auto now = sweep::identity_of(setup->plan, setup->rules); now != header.identity)
      throw Error("the recipe " + backquoted(header.recipe) + " changed since the sweep began:\n" +
                      sweep::difference_of(header.identity, now),
                  Exit::usage);
    if (const auto now = binaries_of(*setup); now != header.binaries)
      throw Error("this xp or its plugins are not those that the sweep runs with:\n" +
                      sweep::difference_of(header.binaries, now),
                  Exit::plugin);
    setup->rules.retries = header.retries;
    work_at_sweep(program, *setup, {folder, seconds_of(*max_time, "--max-time"), false});
  });
}

}  // namespace xp::program
