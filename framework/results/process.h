#pragma once
// Who holds something, and whether that process still lives.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "schema/value.h"

namespace xp::detail {

/// One process. `machine` is a boot and a process namespace: within it, (pid, start) names one process for good.
struct ProcessIdentity {
  std::string host, machine;
  std::int64_t pid = 0;
  std::int64_t start = 0;  ///< clock ticks since boot, from /proc/<pid>/stat

  bool operator==(const ProcessIdentity&) const = default;
};

/// Files of holders on other machines count as abandoned when nobody renewed them for so long.
constexpr double kAbandonedSeconds = 60;

ProcessIdentity this_process();
/// True if it runs; of another machine: if `file`, which it renews, is younger than kAbandonedSeconds by the clock of
/// the file system (`now`, as modification times count).
bool lives(const ProcessIdentity& who, std::filesystem::file_time_type renewed, std::filesystem::file_time_type now);
Table to_table(const ProcessIdentity& who);
/// Throws Error (Exit::data) naming `where`.
ProcessIdentity process_of(const Table& table, const std::string& where);

/// "2026-11-25T21:58:03Z"
std::string utc_now();

/// Renews a file's modification time every few seconds as long as it is the same file.
class Heartbeat {
 public:
  explicit Heartbeat(const std::filesystem::path& file);
  ~Heartbeat();
  bool held() const;  ///< false once somebody replaced or removed the file

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xp::detail
