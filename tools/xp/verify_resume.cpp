#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

#include "base/digest.h"
#include "base/file.h"
#include "base/random.h"
#include "base/text.h"
#include "children.h"
#include "clock.h"
#include "results/compare.h"
#include "results/journal.h"

namespace xp::program {
namespace {

namespace fs = std::filesystem;

constexpr auto kPoll = std::chrono::milliseconds(2);
constexpr auto kQuickPoll = std::chrono::microseconds(200);  // a training state is written in milliseconds
constexpr double kStates = 40;                               // training states in a run
constexpr double kLeastSeconds = 0.05, kMostSeconds = 60;    // between two of them

struct VerifyOptions {
  RecipeOptions recipe;
  std::string checkpoint_every;
  int kills = 5, stops = 0;
  std::uint64_t random = 1;
};

/// One interruption, and what it hit.
struct Blow {
  bool kill = true;      ///< else it is asked to stop
  bool writing = false;  ///< waits until a training state is being written
  double share = 0;      ///< of the unbroken run's work, after the start
  double seconds = 0;    ///< when it hit, after the start
  bool half_written = false;
  std::string stage = {};
  std::int64_t step = -1, saved = -1;  ///< last step recorded, last state whole; -1: none
};

/// Folders of stages that were begun and not ended.
std::vector<fs::path> unfinished(const fs::path& results) {
  std::vector<fs::path> out;
  std::error_code gone;
  for (fs::directory_iterator at(results / "cache" / ".work", gone), end; !gone && at != end; at.increment(gone))
    out.push_back(at->path());
  return out;
}

/// Names of what lies in a stage's training folder.
std::vector<std::string> states_of(const fs::path& work) {
  std::vector<std::string> out;
  std::error_code gone;
  for (fs::directory_iterator at(work / kScratchFolder, gone), end; !gone && at != end; at.increment(gone))
    out.push_back(at->path().filename().string());
  return out;
}

/// Training states that are being written, or were when their writer was killed.
std::set<std::string> half_written(const fs::path& results) {
  std::set<std::string> out;
  for (const auto& work : unfinished(results))
    for (auto& state : states_of(work))
      if (state.starts_with("writing")) out.insert(std::move(state));
  return out;
}

/// The runs of one recipe that are interrupted, each followed to its end.
class Trial {
 public:
  Trial(Program& program, const VerifyOptions& options, const Plan& plan, fs::path folder)
      : program_(program), options_(options), plan_(plan), folder_(std::move(folder)) {
    RandomStream draw(RandomStream::mix(options.random));
    const int all = options.kills + options.stops;
    for (int i = 0; i < all; ++i) {
      blows_.push_back({.kill = i < options.kills});
      blows_.back().writing = blows_.back().kill && (i % 2 == 1 || options.kills == 1);
    }
    for (std::size_t i = blows_.size(); i > 1; --i)
      std::swap(blows_[i - 1], blows_[static_cast<std::size_t>(draw.below(static_cast<std::int64_t>(i)))]);
    // On average they spread over the whole run; what a kill loses comes on top.
    for (auto& blow : blows_) blow.share = draw.uniform() * 2 / (all + 1);
  }

  void run() {
    unbroken();
    for (std::size_t round = 0, next = 0; next < blows_.size(); ++round) {
      if (round > blows_.size() + 1)
        throw Error("the run ends before it can be interrupted; give it a larger budget", Exit::usage);
      const auto results = folder_ / ("broken-" + std::to_string(round));
      while (next < blows_.size() && strike(results, blows_[next])) say(blows_[next++]);
      if (next < blows_.size()) {
        blows_[next].writing = false;  // or a run that never writes would go on for ever
        pace_ /= 2;                    // the machine was busier while the unbroken run was timed
      }
      if (const int code = start(results).wait(); code != 0) failed(code);
      compare_with(results);
      if (difference_) break;
    }
  }

  bool same() const { return !difference_ && different_file_.empty(); }

  std::string text() const {
    if (!different_file_.empty()) return "differs: weights in " + different_file_ + "\n";
    return to_text(difference_ ? *difference_ : compared_);
  }

  Table table() const {
    auto out = to_table(difference_ ? *difference_ : compared_);
    out.insert_or_assign("identical", same());
    if (!different_file_.empty()) out.emplace("file", different_file_);
    List blows;
    for (const auto& blow : blows_)
      blows.push_back(Table{{"kind", blow.kill ? "kill" : "stop"},
                            {"seconds", blow.seconds},
                            {"stage", blow.stage},
                            {"step", blow.step},
                            {"saved", blow.saved},
                            {"half_written", blow.half_written}});
    out.emplace("interruptions", std::move(blows));
    return out;
  }

 private:
  Child start(const fs::path& results) const {
    fs::create_directories(results);
    std::vector<std::string> words = {"run", "--quiet", "--results", results.string()};
    for (auto& one : words_of(program_, options_.recipe)) words.push_back(std::move(one));
    if (!every_.empty()) words.insert(words.end(), {"--checkpoint-every", every_});
    return {program_.self(), words, log(), false};
  }
  fs::path log() const { return folder_ / "log.txt"; }

  [[noreturn]] void failed(int code) const {
    throw Error("a run ended with exit code " + std::to_string(code) + ": " + what_failed(log()) + "; see " +
                    backquoted(log().string()),
                code == static_cast<int>(Exit::stopped) ? Exit::failed : static_cast<Exit>(code));
  }

  void unbroken() {
    const auto results = folder_ / "unbroken";
    const auto begin = Clock::now();
    auto child = start(results);
    while (!child.ended() && unfinished(results).empty()) std::this_thread::sleep_for(kPoll);
    startup_ = seconds_since(begin);
    if (const int code = child.wait(); code != 0) failed(code);
    work_ = std::max(seconds_since(begin) - startup_, 0.0);
    every_ = options_.checkpoint_every.empty()
                 ? short_number(std::clamp(work_ / kStates, kLeastSeconds, kMostSeconds)) + " s"
                 : options_.checkpoint_every;
    expected_ = done_result(results);
    if (!program_.quiet)
      std::fprintf(stderr, "unbroken: %s of work; training states every %s\n", duration_text(work_).c_str(),
                   every_.c_str());
  }

  bool over(Child& child) const {
    const auto code = child.ended();
    if (code && *code != 0) failed(*code);
    return code.has_value();
  }

  /// False if the run came to its end before.
  bool strike(const fs::path& results, Blow& blow) const {
    const auto left = half_written(results);
    const auto is_new = [&](const std::string& state) { return !left.contains(state); };
    const auto any_new = [&] {
      const auto now = half_written(results);
      return std::any_of(now.begin(), now.end(), is_new);
    };
    const auto begin = Clock::now();
    auto child = start(results);
    while (seconds_since(begin) < pace_ * (startup_ + blow.share * work_)) {
      if (over(child)) return false;
      std::this_thread::sleep_for(kPoll);
    }
    while (blow.writing && !any_new()) {
      if (over(child)) return false;
      std::this_thread::sleep_for(kQuickPoll);
    }
    blow.seconds = seconds_since(begin);
    if (!blow.kill) child.stop();
    const int code = blow.kill ? child.kill_all() : child.wait();
    if (code == 0) return false;
    const bool asked = code == static_cast<int>(Exit::stopped) || code == static_cast<int>(Exit::terminated);
    if (blow.kill ? code != 128 + SIGKILL : !asked) failed(code);
    blow.half_written = any_new();
    look(results, blow);
    return true;
  }

  /// What the interruption left.
  void look(const fs::path& results, Blow& blow) const {
    for (const auto& work : unfinished(results)) {
      const auto node = std::find_if(plan_.nodes.begin(), plan_.nodes.end(),
                                     [&](const auto& one) { return one.digest == work.filename(); });
      if (node != plan_.nodes.end()) blow.stage += (blow.stage.empty() ? "" : ", ") + node->name;
      constexpr std::string_view kWhole = "training.";
      for (const auto& state : states_of(work))
        if (state.starts_with(kWhole))
          blow.saved = std::max(blow.saved, static_cast<std::int64_t>(std::atoll(state.c_str() + kWhole.size())));
      std::error_code none;
      if (!fs::exists(work / kRecordFile, none)) continue;
      const auto record = read_record(work / kRecordFile);
      if (!record.batches.empty()) blow.step = std::max(blow.step, record.batches.back().step);
    }
  }

  void say(const Blow& blow) const {
    if (program_.quiet) return;
    auto text = std::string(blow.kill ? "killed" : "stopped") + " after " + short_number(blow.seconds) + " s, " +
                (blow.stage.empty() ? "between stages" : "in " + blow.stage);
    if (blow.step >= 0) text += ", at step " + std::to_string(blow.step);
    if (blow.half_written) text += ", while a training state was written";
    if (blow.saved >= 0) text += "; goes on from step " + std::to_string(blow.saved);
    std::fprintf(stderr, "%s\n", text.c_str());
  }

  void compare_with(const fs::path& results) {
    const auto found = done_result(results);
    auto comparison = compare(*expected_, *found, compared_stages(expected_->plan()));
    if (comparison.stage)
      difference_ = std::move(comparison);
    else
      compared_ = comparison, compare_files(results);
  }

  /// What later stages load, byte by byte.
  void compare_files(const fs::path& results) {
    const auto cache = folder_ / "unbroken" / "cache";
    for (const auto& file : glob(cache, "*/**/model.safetensors")) {
      const auto name = file.lexically_relative(cache);
      if (name.native().starts_with('.')) continue;
      if (sha256_file(file) != sha256_file(results / "cache" / name)) different_file_ = name.string();
    }
  }

  Program& program_;
  const VerifyOptions& options_;
  const Plan& plan_;
  fs::path folder_;
  std::vector<Blow> blows_;
  double startup_ = 0, work_ = 0;  ///< seconds of the unbroken run
  double pace_ = 1;                ///< of those, what later runs take as it seems
  std::string every_;
  std::unique_ptr<Result> expected_;
  ResultComparison compared_;
  std::optional<ResultComparison> difference_;
  std::string different_file_;
};

void verify_resume(Program& program, VerifyOptions options) {
  const auto catalogue = options.recipe.catalogue(program);
  const auto plan = options.recipe.plan(program, catalogue, true);
  const auto parent = program.results.empty() ? fs::temp_directory_path() : program.writable_results();
  const auto folder = make_scratch(parent, "verify-resume-");
  if (!program.quiet) std::fprintf(stderr, "works in %s\n", folder.c_str());
  Trial trial(program, options, plan, folder);
  trial.run();
  print(program.json ? to_json(Value(trial.table())) + "\n" : trial.text());
  if (trial.same()) {
    fs::remove_all(folder);
    return;
  }
  std::fprintf(stderr, "what was compared is in %s\n", folder.c_str());
  program.exit = static_cast<int>(Exit::verdict);
}

}  // namespace

void add_verify_resume(CLI::App& app, Program& program) {
  auto* verb =
      app.add_subcommand("verify-resume",
                         "Interrupts runs of a recipe at random moments, lets them go on, and compares with an "
                         "unbroken run; exit code 0 if identical, 5 if not.");
  auto options = std::make_shared<VerifyOptions>();
  options->recipe.add_to(*verb);
  verb->add_option("--kills", options->kills, "Kills, every second while a training state is written (default 5).")
      ->check(CLI::Range(0, 1000));
  verb->add_option("--stops", options->stops, "Requests to stop with a checkpoint (default 0).")
      ->check(CLI::Range(0, 1000));
  verb->add_option("--random", options->random, "Seed of the moments.");
  verb->add_option("--checkpoint-every", options->checkpoint_every,
                   "Time between training states (default: a fortieth of the unbroken run).");
  verb->add_option("--nproc", options->recipe.resolve.processes, "Processes that train each model together.")
      ->check(CLI::Range(1, 256));
  verb->footer(
      "Example: xp verify-resume recipes/quickstart.toml --smoke --seed 0 --kills 5 --stops 2\n"
      "It works in a new folder below --results, or of the system's temporary folder; it stays if something "
      "differs.");
  verb->callback([=, &program] {
    if (options->kills + options->stops == 0)
      throw Error("--kills and --stops are 0: nothing to verify", Exit::usage);
    verify_resume(program, *options);
  });
}

}  // namespace xp::program
