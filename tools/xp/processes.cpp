#include "processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace xp::program {
namespace {

constexpr const char* kPlace = "XP_PROCESS";  // "rank/size/file", set for the processes that --nproc starts

std::optional<int> number(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return std::nullopt;
  int value = 0;
  const std::string_view all = text;
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), value);
  if (error != std::errc() || end != all.data() + all.size() || value < 0)
    throw Error("the environment says " + std::string(name) + "=" + std::string(printable(all)) +
                    ", which is no number of processes",
                Exit::usage);
  return value;
}

ProcessPlace checked(ProcessPlace place) {
  if (place.size < 1 || place.rank >= place.size)
    throw Error("the environment says that this is process " + std::to_string(place.rank) + " of " +
                    std::to_string(place.size),
                Exit::usage);
  return place;
}

ProcessPlace started_here(const std::string& text) {
  const auto first = text.find('/'), second = text.find('/', first + 1);
  ProcessPlace place;
  if (second == std::string::npos) throw Error(std::string(kPlace) + " is set by --nproc only", Exit::usage);
  place.rank = std::atoi(text.substr(0, first).c_str());
  place.size = std::atoi(text.substr(first + 1, second - first - 1).c_str());
  place.file = text.substr(second + 1), place.local = true;
  return checked(place);
}

}  // namespace

ProcessPlace place_from_environment(const std::filesystem::path& results) {
  if (const char* text = std::getenv(kPlace)) return started_here(text);
  ProcessPlace place;
  const char* host = std::getenv("MASTER_ADDR");
  const auto rank = number("RANK"), size = number("WORLD_SIZE"), port = number("MASTER_PORT");
  if (rank && size && host && port) {
    place.rank = *rank, place.size = *size, place.host = host, place.port = static_cast<std::uint16_t>(*port);
    const char* agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
    place.served = agent && std::string_view(agent) == "True";
    return checked(place);
  }
  // Slurm sets the number of a step's tasks for srun only, not for a batch script that starts one program.
  const auto task = number("SLURM_PROCID"), tasks = number("SLURM_STEP_NUM_TASKS");
  if (task && tasks && *tasks > 1) {
    const char* job = std::getenv("SLURM_JOB_ID");
    const char* step = std::getenv("SLURM_STEP_ID");
    if (!job || !step) throw Error("Slurm gave a task but no job and step", Exit::usage);
    place.rank = *task, place.size = *tasks;
    const char* restart = std::getenv("SLURM_RESTART_COUNT");  // a requeued job has its old numbers
    place.file = results / ".work" / ("slurm-" + std::string(job) + "." + step + "." + (restart ? restart : "0"));
  }
  return checked(place);
}

LocalProcesses::LocalProcesses(const std::filesystem::path& program, const std::vector<std::string>& command,
                               int count, const std::filesystem::path& results) {
  const auto work = results / ".work";
  std::filesystem::create_directories(work);
  place_.size = count, place_.local = true, place_.file = make_scratch(work, "processes-") / "meeting";
  std::vector<char*> arguments;
  for (const auto& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  const auto parent = getpid();
  for (int rank = 1; rank < count; ++rank) {
    auto place =
        std::string(kPlace) + "=" + std::to_string(rank) + "/" + std::to_string(count) + "/" + place_.file.string();
    std::vector<char*> environment{place.data()};
    for (char** one = environ; *one; ++one) environment.push_back(*one);
    environment.push_back(nullptr);
    const pid_t child = fork();
    if (child < 0) throw Error("process " + std::to_string(rank) + " could not be started", Exit::failed);
    if (child > 0) {
      children_.push_back(child);
      continue;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // a process without the first has nothing to do
    if (getppid() != parent) _exit(1);
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    execve(program.c_str(), arguments.data(), environment.data());
    _exit(127);
  }
}

void LocalProcesses::wait() {
  for (const auto child : children_) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  }
  children_.clear();
}

LocalProcesses::~LocalProcesses() {
  for (const auto child : children_) kill(child, SIGTERM);
  wait();
  std::error_code ignored;
  std::filesystem::remove_all(place_.file.parent_path(), ignored);
}

}  // namespace xp::program
