#include "children.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/file.h"
#include "base/text.h"

namespace xp::program {

Child::Child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
             const std::filesystem::path& log, bool show) {
  std::vector<std::string> words = {program.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (auto& one : words) pointers.push_back(one.data());
  pointers.push_back(nullptr);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (out < 0) throw Error("cannot write " + backquoted(log.string()) + ": " + std::strerror(errno));
  const auto parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(out, STDOUT_FILENO);
    if (!show) ::dup2(out, STDERR_FILENO);
    ::execv(program.c_str(), pointers.data());
    ::_exit(127);
  }
  const int reason = errno;
  ::close(out);
  if (process_ < 0) throw Error("cannot start " + backquoted(program.string()) + ": " + std::strerror(reason));
  ::setpgid(process_, process_);  // whoever of the two comes first
}

Child::~Child() {
  if (!code_) kill_all();
}

int Child::code_of(int status) {
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return *code_;
}

std::optional<int> Child::ended() {
  int status = 0;
  if (!code_ && ::waitpid(process_, &status, WNOHANG) == process_) code_of(status);
  return code_;
}

int Child::wait() {
  int status = 0;
  if (code_) return *code_;
  while (::waitpid(process_, &status, 0) < 0)
    if (errno != EINTR) throw Error("cannot wait for a process: " + std::string(std::strerror(errno)));
  return code_of(status);
}

void Child::stop() {
  if (!code_) ::kill(process_, SIGTERM);
}

int Child::kill_all() {
  if (!code_) ::kill(-process_, SIGKILL);
  return wait();
}

std::vector<std::string> words_of(const Program& program, const RecipeOptions& options) {
  std::vector<std::string> out;
  const auto add = [&](const char* flag, const std::vector<std::string>& values) {
    for (const auto& one : values) out.insert(out.end(), {flag, one});
  };
  if (!options.from) {
    out.push_back(options.recipe);
    add("--set", options.resolve.set), add("--unset", options.resolve.unset);
    if (options.resolve.smoke) out.emplace_back("--smoke");
  }
  const auto& limits = options.from ? options.limits : options.resolve;
  add("--arm", limits.arms);
  for (const auto seed : limits.seeds) add("--seed", {std::to_string(seed)});
  if (options.from) add("--from", {options.from->path().string()});
  if (options.resolve.trust_plugins) out.emplace_back("--trust-plugins");
  if (options.any_build) out.emplace_back("--any-build");
  if (options.resolve.processes > 1) add("--nproc", {std::to_string(options.resolve.processes)});
  add("--plugin-path", program.plugin_path);
  return out;
}

std::unique_ptr<Result> done_result(const std::filesystem::path& results) {
  const Cache cache(results);
  for (const auto& file : find_results(results)) {
    auto result = read_result(file, &cache);
    const auto status = result->attributes().find("status");
    if (!result->open() && status != result->attributes().end() && status->second == "done") return result;
  }
  throw Error("there is no finished run in " + backquoted(results.string()), Exit::data);
}

std::string what_failed(const std::filesystem::path& log) {
  std::string last = "it said nothing", error;
  for (const auto& line : split(read_file(log), '\n')) {
    if (!trim(line).empty()) last = line;
    if (line.starts_with("error")) error = line;
  }
  return printable(error.empty() ? last : error);
}

}  // namespace xp::program
