#include "sweep/worker_file.h"

#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "base/text.h"
#include "results/run_log.h"
#include "results/stored_json.h"

namespace xp::sweep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".json";
constexpr const char* kCrash = ".crash";

// The file system's clock: the time of a file that is written now.
fs::file_time_type now_at(const fs::path& folder) {
  const auto probe = folder / (".clock-" + std::to_string(::getpid()));
  if (!std::ofstream(probe)) throw Error("cannot write " + backquoted(probe.string()));
  const auto now = fs::last_write_time(probe);
  fs::remove(probe);
  return now;
}

std::string crash_of(const fs::path& folder, const std::string& id) {
  std::error_code none;
  const auto file = folder / (id + kCrash);
  return fs::exists(file, none) ? std::string(trim(read_file(file, 4096))) : std::string();
}

}  // namespace

WorkerFile::WorkerFile(const fs::path& folder) : id_(new_run_id()) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw Error("cannot make folder " + backquoted(folder.string()) + ": " + failed.message());
  file_ = folder / (id_ + kEnding);
  write_file(file_, to_json(Value(detail::to_table(detail::this_process()))) + "\n");
  heartbeat_ = std::make_unique<detail::Heartbeat>(file_);
}

WorkerFile::~WorkerFile() {
  heartbeat_.reset();
  std::error_code ignored;  // a file that stays is of a process that is dead
  fs::remove(file_, ignored);
}

fs::path WorkerFile::crash_note() const { return fs::path(file_).replace_extension(kCrash); }

WorkerLook look_at_worker(const fs::path& folder, const std::string& id) {
  WorkerLook out;
  out.id = id;
  const auto file = folder / (id + kEnding);
  std::error_code failed;
  const auto renewed = fs::last_write_time(file, failed);
  if (!failed) {
    try {
      const auto table = detail::stored_object(read_file(file, 1 << 16), file.string());
      const auto who = detail::process_of(table, file.string());
      out.host = who.host, out.pid = who.pid;
      out.alive = detail::lives(who, renewed, now_at(folder));
    } catch (const Error&) {
      if (fs::exists(file, failed)) throw;
    }
  }
  if (!out.alive) out.crash = crash_of(folder, id);
  return out;
}

std::vector<WorkerLook> workers_in(const fs::path& folder) {
  std::vector<WorkerLook> out;
  for (const auto& file : glob(folder, std::string("*") + kEnding))
    out.push_back(look_at_worker(folder, file.stem()));
  return out;
}

void forget_worker(const fs::path& folder, const std::string& id) {
  std::error_code ignored;  // another worker may have been faster
  fs::remove(folder / (id + kEnding), ignored);
  fs::remove(folder / (id + kCrash), ignored);
}

}  // namespace xp::sweep
