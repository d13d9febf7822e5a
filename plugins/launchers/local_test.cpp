#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <fstream>
#include <set>

#include "base/text.h"
#include "launch_fixture.h"
#include "testing/conformance_component.h"

namespace local_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using testing::Variable;
using testing::wait_until;
using testing::Workplace;

Table local(std::int64_t workers, std::int64_t cores = 0) {
  return {{"type", "local"}, {"workers", workers}, {"cores", cores}};
}

std::vector<int> own_cores() {
  cpu_set_t mine;
  REQUIRE(::sched_getaffinity(0, sizeof mine, &mine) == 0);
  std::vector<int> out;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &mine)) out.push_back(i);
  return out;
}

/// A process that is there and no zombie.
bool is_alive(const std::string& process) {
  std::ifstream in("/proc/" + std::string(trim(process)) + "/stat");
  std::string line;
  std::getline(in, line);
  const auto name = line.rfind(')');
  return name != std::string::npos && line[name + 2] != 'Z';
}

TEST_CASE("local describes itself") { testing::check_component(testing::registry(), "launcher", "local"); }

TEST_CASE("local: every copy runs, in a process group of its own, without input, and prints to the end of its log") {
  const Workplace place;
  write_file(place / "logs/worker-2.log", "older\n");
  write_file(place / "input", "of this process\n");
  const int open_here = ::open((place / "input").c_str(), O_RDONLY);  // would be inherited, and so would the input
  const int input = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  REQUIRE(open_here > 2);
  REQUIRE(::dup2(open_here, STDIN_FILENO) == STDIN_FILENO);
  place.launch(local(3),
               "read -r id name state parent group rest < /proc/$$/stat; [ \"$group\" = $$ ] && echo group\n"
               "[ -z \"$(cat)\" ] && echo no input\n"
               "[ -e /proc/$$/fd/" +
                   std::to_string(open_here) +
                   " ] && echo inherited\n"
                   "echo told >&2\n");
  ::close(open_here);
  CHECK(::dup2(input, STDIN_FILENO) == STDIN_FILENO);
  ::close(input);
  CHECK(place.starts() == 3);
  for (const char* log : {"logs/worker-1.log", "logs/worker-3.log"})
    CHECK(place.text(log) == "group\nno input\ntold\n");
  CHECK(place.text("logs/worker-2.log") == "older\ngroup\nno input\ntold\n");
}

TEST_CASE("local: copies have cores of their own while these last, and as many threads") {
  const auto cores = own_cores();
  const auto allowed = [&](const Workplace& place, int worker) {
    return std::string(trim(place.text("logs/worker-" + std::to_string(worker) + ".log")));
  };
  const std::string script = "echo $(sed -n 's/^Cpus_allowed_list:\\s*//p' /proc/self/status) $OMP_NUM_THREADS";
  const Variable none("OMP_NUM_THREADS", std::nullopt);
  const auto n = static_cast<int>(cores.size());
  {
    const Workplace place;
    place.launch(local(n + 1, 1), script);
    for (int i = 0; i <= n; ++i)
      CHECK(allowed(place, i + 1) == std::to_string(cores[static_cast<std::size_t>(i % n)]) + " 1");
  }
  const Workplace whole;
  whole.launch(local(1, 2 * n), script);
  CHECK_THAT(allowed(whole, 1), EndsWith(" " + std::to_string(2 * n)));
  const Workplace free;
  free.launch(local(1, 0), script);
  CHECK(allowed(free, 1) + " " + std::to_string(2 * n) == allowed(whole, 1));
  const Variable set("OMP_NUM_THREADS", "7");
  const Workplace kept;
  kept.launch(local(1, 1), script);
  CHECK(allowed(kept, 1) == std::to_string(cores.front()) + " 7");
}

TEST_CASE("local: by default as many copies as cores suffice for") {
  const auto n = static_cast<std::int64_t>(own_cores().size());
  const auto workers = [](Table settings) {
    settings.insert_or_assign("type", "local");
    return testing::registry().make<Launcher>(settings)->workers();
  };
  CHECK(workers({}) == n);
  CHECK(workers({{"cores", n}}) == 1);
  CHECK(workers({{"cores", n + 1}}) == 1);
  CHECK(workers({{"cores", 0}}) == 1);
  CHECK(workers({{"workers", n + 3}}) == n + 3);
}

TEST_CASE("local: a copy that a signal ends is started again, and so is one that stopped with a checkpoint") {
  const Workplace place;
  place.launch(local(1), "case $(cat starts) in x) kill -SEGV $$ ;; xx) exit 75 ;; xxx) exit 0 ;; esac");
  CHECK(place.starts() == 3);
}

TEST_CASE("local: a copy that ends at once three times in a row is given up") {
  const Workplace place;
  CHECK_THROWS_WITH(
      place.launch(local(1), "echo at work; kill -KILL $$"),
      ContainsSubstring("the worker failed; worker 1 ended by SIGKILL at once, 3 times in a row, its log") &&
          EndsWith("ends with: at work"));
  CHECK(place.starts() >= 3);
  const Workplace checkpoints;
  CHECK_THROWS_WITH(checkpoints.launch(local(1), "exit 75"), ContainsSubstring("ended with exit code 75 at once"));
}

TEST_CASE("local: a longer life in between begins the count anew") {
  const Workplace place;
  CHECK_THROWS_AS(place.launch(local(1), "[ \"$(cat starts)\" = xxx ] && sleep 1.5; kill -KILL $$"), Error);
  CHECK(place.starts() >= 6);
}

TEST_CASE("local: a copy that fails is not started again, and it is an error once all have failed") {
  const Workplace one;
  one.launch(local(2), "mkdir first 2>/dev/null && exit 1; exit 0");
  CHECK(one.starts() == 2);
  const Workplace all;
  write_file(all / "logs/worker-1.log", "of an older sweep\n");
  try {
    all.launch(local(2), "echo first; printf 'error: no\\033 such recipe\\n\\n'; exit 2");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::failed);
    CHECK(error.what() == "all 2 workers failed; worker 1 ended with exit code 2, its log `" +
                              (all / "logs/worker-1.log").string() + "` ends with: error: no\\x1b such recipe");
  }
  CHECK(all.starts() == 2);
  const Workplace silent;
  write_file(silent / "logs/worker-1.log", "of an older sweep\n");
  CHECK_THROWS_WITH(silent.launch(local(1), "exit 9"), EndsWith("has nothing to say"));
}

TEST_CASE("local: a program that is not there is an error that says so") {
  const Workplace place;
  const std::atomic<bool> stop{false};
  auto request = place.request("");
  request.command = {"/nowhere/xp", "worker"};
  CHECK_THROWS_WITH(testing::registry().make<Launcher>(local(2))->launch(request, stop),
                    ContainsSubstring("was not started (cannot run `/nowhere/xp`: No such file or directory)"));
}

TEST_CASE("local: asked to stop, copies leave their checkpoints and are not started again") {
  const Workplace place;
  place.launch_until(local(2),
                     "trap 'echo left; exit 75' TERM\n"
                     "mkdir one 2>/dev/null || touch two\n"
                     "while :; do sleep 0.05; done",
                     "two");
  CHECK(place.starts() == 2);
  CHECK(place.text("logs/worker-1.log") == "left\n");
  CHECK(place.text("logs/worker-2.log") == "left\n");
  const Workplace before;
  const std::atomic<bool> stop{true};
  testing::registry().make<Launcher>(local(2))->launch(before.request(""), stop);
  CHECK(before.starts() == 0);
}

TEST_CASE("local: a copy that does not stop is killed, with all that it started") {
  const Workplace place;
  auto settings = local(1);
  settings.insert_or_assign("grace_seconds", 1);
  place.launch_until(settings, "trap '' TERM; sleep 1000 & echo $$ > self; echo $! > other; touch ready; wait; wait",
                     "ready");
  CHECK(!is_alive(place.text("self")));
  wait_until([&] { return !is_alive(place.text("other")); });
}

TEST_CASE("local: what a copy leaves behind ends with it") {
  const Workplace place;
  place.launch(local(1), "sleep 1000 & echo $! > other");
  REQUIRE(!place.text("other").empty());
  wait_until([&] { return !is_alive(place.text("other")); });
}

TEST_CASE("local: copies get SIGTERM when the process that launched them is killed") {
  const Workplace place;
  const auto launcher = testing::registry().make<Launcher>(local(1));
  const auto request = place.request("trap 'touch told; exit 75' TERM; touch ready; while :; do sleep 0.05; done");
  const std::atomic<bool> stop{false};
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      launcher->launch(request, stop);
    } catch (...) {
    }
    ::_exit(0);
  }
  wait_until([&] { return place.has("ready"); });
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  wait_until([&] { return place.has("told"); });
}

}  // namespace local_test
