#pragma once
// Launching shell commands as workers, for tests of launchers.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "api/search.h"
#include "base/file.h"
#include "testing/testing.h"

namespace xp::testing {

/// A variable of the environment for the life of the object; nothing: not set.
class Variable {
 public:
  Variable(const char* name, std::optional<std::string> value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    put(value);
  }
  ~Variable() { put(before_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void put(const std::optional<std::string>& value) {
    if (value) ::setenv(name_, value->c_str(), 1);
    if (!value) ::unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> before_;
};

/// Waits for what another process does.
template <class Fulfilled>
void wait_until(const Fulfilled& fulfilled) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!fulfilled()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// A folder in which workers run scripts of /bin/sh; `logs` lies inside.
class Workplace {
 public:
  Workplace() { std::filesystem::create_directory(folder_ / "logs"); }

  std::filesystem::path operator/(std::string_view name) const { return folder_ / name; }
  bool has(std::string_view name) const { return std::filesystem::exists(folder_ / name); }
  std::string text(std::string_view name) const { return has(name) ? read_file(folder_ / name) : std::string(); }

  /// The script begins in the folder; `start` there counts how often it began, one letter each.
  LaunchRequest request(const std::string& script) const {
    return {.command = {"/bin/sh", "-c", "cd \"$0\" && printf x >> starts\n" + script, folder_.path().string()},
            .logs = folder_ / "logs",
            .name = "sweep"};
  }
  std::size_t starts() const { return text("starts").size(); }

  void launch(const Table& settings, const std::string& script) const {
    const std::atomic<bool> stop{false};
    registry().make<Launcher>(settings)->launch(request(script), stop);
  }
  /// Asks for the end as soon as `ready` is there.
  void launch_until(const Table& settings, const std::string& script, std::string_view ready) const {
    std::atomic<bool> stop{false};
    std::exception_ptr failed;
    std::atomic<bool> over{false};
    std::thread launching([&] {
      try {
        registry().make<Launcher>(settings)->launch(request(script), stop);
      } catch (...) {
        failed = std::current_exception();
      }
      over = true;
    });
    while (!has(ready) && !over) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop = true;
    launching.join();
    if (failed) std::rethrow_exception(failed);
    REQUIRE(has(ready));
  }

 private:
  Scratch folder_;
};

}  // namespace xp::testing
