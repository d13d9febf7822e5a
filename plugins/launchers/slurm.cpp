#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "api/search.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "plugin/child.h"
#include "plugin/plugin.h"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kLimit = std::chrono::minutes(2);  // for one of Slurm's commands; a busy controller lets it wait
constexpr std::size_t kMostOutput = 1 << 22;
constexpr auto kFirstPause = std::chrono::seconds(1), kLongestPause = std::chrono::seconds(15);  // between questions
constexpr auto kSlice = std::chrono::milliseconds(100);  // how late a request to stop may be seen

constexpr const char* kBefore = R"sh(
# Slurm warns this shell alone; the worker hears it from here, and is waited for.
told=
trap 'told=yes; kill -TERM "$!" 2>/dev/null' TERM
)sh";

constexpr const char* kAfter = R"sh( &
while kill -0 "$!" 2>/dev/null; do wait "$!"; done # a signal ends a wait early
wait "$!"
code=$?

# 75: stopped with a checkpoint. A job that is cancelled, or that Slurm itself puts back, is not RUNNING any more.
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
if [ "$code" = 75 ] && [ "$told" = yes ] && [ "$(squeue --noheader --jobs="$task" --format=%T)" = RUNNING ]; then
  scontrol requeue "$task"
fi
exit "$code"
)sh";

/// The file of a command on the PATH; empty: none.
fs::path on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const auto& folder : xp::split(path ? path : "", ':')) {
    const auto file = fs::path(folder) / name;
    std::error_code ignored;
    if (!folder.empty() && fs::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

xp::ChildResult call(std::vector<std::string> command) {
  const auto file = on_path(command.front());
  if (file.empty())
    throw xp::Error(xp::backquoted(command.front()) +
                        " is not on the PATH; start the sweep where Slurm's commands are, or take another launcher",
                    xp::Exit::plugin);
  command.front() = file.string();
  return xp::run_child(command, kLimit, kMostOutput);
}

bool went_well(const xp::ChildResult& result) {
  return result.finished && result.code == 0 && result.signal == 0 && !result.too_much;
}

/// What a command said when it failed, on one line.
std::string complaint(const xp::ChildResult& result) {
  const auto text = std::string(xp::trim(result.errors));
  if (!text.empty()) return xp::printable(xp::join(xp::split(text, '\n'), "; "));
  if (!result.finished) return "no answer in time";
  return result.signal ? xp::signal_name(result.signal) : "exit code " + std::to_string(result.code);
}

bool is_plain(std::string_view text) {
  constexpr std::string_view kSigns = "_/.:=@%+,-";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) || kSigns.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

/// One word of a shell's command line.
std::string shell_word(const std::string& text) {
  if (is_plain(text)) return text;
  return "'" + xp::join(xp::split(text, '\''), "'\\''") + "'";
}

/// A line that sbatch reads; its quotes are its own, not a shell's.
std::string directive(const std::string& option, const std::string& value) {
  std::string quoted;
  for (const char c : value) quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return "#SBATCH " + option + "=" + (is_plain(value) ? value : "\"" + quoted + "\"") + "\n";
}

/// How far each task of the array is; those that Slurm no longer knows keep what was last seen.
using States = std::map<std::string, std::string, std::less<>>;

bool has_ended(const std::string& state) {
  static constexpr std::string_view kEnds[] = {"BOOT_FAIL", "CANCELLED", "COMPLETED",     "DEADLINE",  "FAILED",
                                               "GONE",      "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"};
  return std::find(std::begin(kEnds), std::end(kEnds), state) != std::end(kEnds);
}

/// "1 completed, 2 running".
std::string summary(const States& states) {
  std::map<std::string, std::size_t> counts;
  for (const auto& [task, state] : states) ++counts[state];
  std::vector<std::string> parts;
  for (const auto& [state, n] : counts) {
    parts.push_back(std::to_string(n) + " ");
    for (const char c : state) parts.back() += c == '_' ? ' ' : static_cast<char>(std::tolower(c));
  }
  return xp::join(parts, ", ");
}

/// A submitted array.
class Job {
 public:
  Job(std::string id, std::int64_t tasks) : id_(std::move(id)) {
    for (std::int64_t i = 1; i <= tasks; ++i) states_[std::to_string(i)] = "PENDING";
  }

  const States& states() const { return states_; }
  bool ended() const {
    return std::all_of(states_.begin(), states_.end(), [](const auto& one) { return has_ended(one.second); });
  }
  /// No task is at work; some may wait for their turn.
  bool resting() const {
    return std::all_of(states_.begin(), states_.end(),
                       [](const auto& one) { return has_ended(one.second) || one.second == "PENDING"; });
  }

  /// Asks for the states and tells what changed. A controller that gives no answer is asked again later.
  void look() {
    const auto answer = call({"squeue", "--noheader", "--array", "--states=all", "--jobs=" + id_, "--format=%K %T"});
    const bool forgotten = answer.errors.find("Invalid job id") != std::string::npos;
    if (!went_well(answer) && !forgotten) {
      if (!std::exchange(silent_, true))
        xp::log::warn("squeue: " + complaint(answer) + "; asked again until it answers");
      return;
    }
    silent_ = false;
    States now;
    for (const auto& line : xp::split(answer.output, '\n')) {
      const auto blank = line.find_first_not_of("0123456789");  // tasks that were cancelled unborn have no number
      if (blank != std::string::npos && blank > 0) now[line.substr(0, blank)] = xp::trim(line.substr(blank));
    }
    for (const auto& [task, state] : states_) now.emplace(task, has_ended(state) ? state : "GONE");
    if (now != states_) xp::log::info("Slurm job " + id_ + ": " + summary(now));
    states_ = std::move(now);
  }

  void cancel(const std::vector<std::string>& options) {
    std::vector<std::string> command{"scancel"};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(id_);
    const auto answer = call(std::move(command));
    if (!went_well(answer)) xp::log::warn("scancel: " + complaint(answer));
  }

 private:
  std::string id_;
  States states_;
  bool silent_ = false;
};

/// An array of jobs, one a worker. Each is warned before its time is over, leaves a checkpoint and queues again.
class Slurm final : public xp::Launcher {
 public:
  struct Params {
    std::int64_t workers = 1, cores = 1, signal_seconds = 120;
    std::string memory, time, partition, account, dependency;
    std::vector<std::string> options;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::workers, "workers", "Tasks of the array.").min(1).no_result();
      f.add(&Params::cores, "cores", "Cores of each (--cpus-per-task).").min(1).no_result();
      f.add(&Params::signal_seconds, "signal_seconds",
            "How long before a task's time is over it is told to leave a checkpoint (--signal).")
          .min(1)
          .max(65535)
          .no_result();
      f.add(&Params::memory, "memory", "Memory of each (--mem), such as \"8G\"; empty: Slurm's default.").no_result();
      f.add(&Params::time, "time", "Time of each (--time), such as \"1-12:00:00\"; empty: the partition's.")
          .no_result();
      f.add(&Params::partition, "partition", "Partition (--partition).").no_result();
      f.add(&Params::account, "account", "Account (--account).").no_result();
      f.add(&Params::dependency, "dependency", "What they wait for (--dependency), such as \"afterok:17\".")
          .no_result();
      f.add(&Params::options, "options", "More options of sbatch, such as \"--gres=gpu:1\".").no_result();
    }
  };
  explicit Slurm(Params params) : p_(std::move(params)) {
    for (const auto& option : p_.options) {
      if (!option.starts_with("--"))
        throw xp::Error("`options` holds " + xp::backquoted(xp::printable(option)) +
                            "; an option of sbatch begins with `--`, its value follows after `=`",
                        xp::Exit::usage);
      const auto name = option.substr(0, option.find('='));
      for (const auto* own : {"--array", "--output", "--open-mode", "--requeue", "--no-requeue", "--signal"})
        if (name == own)
          throw xp::Error("`options` sets " + xp::backquoted(name) + ", which is the launcher's own",
                          xp::Exit::usage);
    }
    auto texts = p_.options;
    texts.insert(texts.end(), {p_.memory, p_.time, p_.partition, p_.account, p_.dependency});
    for (const auto& text : texts)
      if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        throw xp::Error(
            "an option for sbatch is one line without control characters, not " + xp::backquoted(xp::printable(text)),
            xp::Exit::usage);
  }

  std::int64_t workers() const override { return p_.workers; }

  void launch(const xp::LaunchRequest& request, const std::atomic<bool>& stop) override {
    const auto file = request.logs / "sweep.sbatch";
    xp::write_file(file, script(request));
    if (stop) return;
    const auto answer = call({"sbatch", "--parsable", file.string()});
    const std::string id = xp::split(std::string(xp::trim(answer.output)), ';').front();  // "17;cluster"
    if (!went_well(answer) || id.empty())
      throw xp::Error("sbatch did not take " + xp::backquoted(file.string()) + ": " + complaint(answer),
                      xp::Exit::usage);
    xp::log::info("Slurm job " + id + ": " + xp::count(static_cast<std::size_t>(p_.workers), "worker") + " from " +
                  file.string());
    Job job(id, p_.workers);
    follow(
        job, [&] { return job.ended() || stop; }, Clock::time_point::max(), &stop);
    if (!stop) return judge(job, request.logs);
    job.cancel({"--state=PENDING"});  // none of them shall take the place of one that ends
    job.cancel({"--signal=TERM", "--batch"});
    follow(
        job, [&] { return job.resting(); }, Clock::now() + std::chrono::seconds(p_.signal_seconds));
    job.cancel({});
    follow(
        job, [&] { return job.ended(); }, Clock::now() + kLimit);
  }

 private:
  std::string script(const xp::LaunchRequest& request) const {
    const auto folder = xp::join(xp::split(fs::absolute(request.logs).string(), '%'), "%%");
    std::string out = "#!/bin/bash\n# The workers of the sweep " + request.name +
                      ", one a task. Written by the launcher `slurm`.\n";
    out += directive("--job-name", request.name);
    out += directive("--array", "1-" + std::to_string(p_.workers));
    out +=
        directive("--output", folder + "/worker-%a.log") + directive("--open-mode", "append") + "#SBATCH --requeue\n";
    out += directive("--signal", "B:TERM@" + std::to_string(p_.signal_seconds));
    out += directive("--cpus-per-task", std::to_string(p_.cores));
    const std::pair<const char*, const std::string&> texts[] = {{"--mem", p_.memory},
                                                                {"--time", p_.time},
                                                                {"--partition", p_.partition},
                                                                {"--account", p_.account},
                                                                {"--dependency", p_.dependency}};
    for (const auto& [option, value] : texts)
      if (!value.empty()) out += directive(option, value);
    for (const auto& option : p_.options) {
      const auto equals = option.find('=');
      out += equals == std::string::npos ? "#SBATCH " + option + "\n"
                                         : directive(option.substr(0, equals), option.substr(equals + 1));
    }
    std::vector<std::string> words;
    for (const auto& one : request.command) words.push_back(shell_word(one));
    return out + "\nexport OMP_NUM_THREADS=${OMP_NUM_THREADS:-" + std::to_string(p_.cores) + "}\n" + kBefore +
           xp::join(words, " ") + kAfter;
  }

  /// Looks at the job, more and more rarely, until `over()` or the end of the time; `hurry` ends a pause.
  template <class Over>
  static void follow(Job& job, const Over& over, Clock::time_point end, const std::atomic<bool>* hurry = nullptr) {
    auto pause = std::chrono::milliseconds(kFirstPause);
    for (job.look(); !over() && Clock::now() < end; job.look()) {
      for (const auto wake = Clock::now() + pause; Clock::now() < wake && !(hurry && *hurry);)
        std::this_thread::sleep_for(kSlice);
      pause = std::min<std::chrono::milliseconds>(pause * 2, kLongestPause);
    }
  }

  /// Throws Error if every worker was seen to fail.
  static void judge(const Job& job, const fs::path& logs) {
    std::string first;
    for (const auto& [task, state] : job.states()) {
      if (state == "COMPLETED" || state == "GONE") return;
      if (first.empty()) first = task;
    }
    if (first.empty()) return;
    const auto log = logs / ("worker-" + first + ".log");
    std::ifstream in(log);
    std::string line, last;
    while (std::getline(in, line))
      if (!xp::trim(line).empty()) last = line;
    throw xp::Error("all tasks ended without success: " + summary(job.states()) + "; the log " +
                        xp::backquoted(log.string()) +
                        (last.empty() ? " has nothing to say" : " ends with: " + xp::printable(last)),
                    xp::Exit::failed);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(slurm) { registry.add<Slurm>("slurm", "Workers as an array of Slurm jobs."); }
