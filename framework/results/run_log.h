#pragma once
// One run: an open journal while it works, an HDF5 file when it is closed or repaired.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/cache.h"
#include "results/metric_path.h"
#include "schema/value.h"

namespace xp {

/// Text attributes of `/`: recipe, command, started, ended, status, host, cpu, threads, libraries, commit, ...
using Attributes = std::map<std::string, std::string>;

/// The resolved plan as tables and readers need it, stored as JSON in every result. Keys: "name", "plan_id", "summary",
/// "arms" [{name, label}], "members" [{arm, seed, stages {node: digest}}], "nodes" {digest: {name, type, settings}},
/// "claims", "tables", "figures" (as in spec.h), "text" (what `xp show` prints).
class XP_API RunLog {
 public:
  /// Writes the first record; `run` becomes the file's stem in results/<recipe>/.
  RunLog(std::filesystem::path results, const std::string& recipe, const std::string& run, const Attributes& attributes,
         const Value& plan);
  ~RunLog();
  void stage(const std::string& digest, const std::string& status);  ///< "started" "done" "cached" "failed: ..."
  void log_line(const std::string& text);
  /// Folds records of the cache into results/<recipe>/<run>.h5 and removes the journal.
  std::filesystem::path close(const std::string& status, const Cache& cache);
  const std::filesystem::path& journal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A result as read back, from an HDF5 file or an open journal.
class XP_API Result {
 public:
  virtual ~Result();
  virtual const std::filesystem::path& path() const = 0;
  virtual bool open() const = 0;  ///< still a journal
  virtual bool alive() const = 0;  ///< open, and its process lives
  virtual const Attributes& attributes() const = 0;
  virtual const Value& plan() const = 0;
  /// Records of one member; null if the result has no such member.
  virtual const RecordSource* member(std::string_view arm, std::int64_t seed) const = 0;
};

/// Opens one; throws Error (Exit::data) saying what is wrong with the file.
XP_API std::unique_ptr<Result> read_result(const std::filesystem::path& file, const Cache* cache = nullptr);
/// All results below a folder or of one recipe, newest first; unreadable ones are reported in `problems`.
XP_API std::vector<std::filesystem::path> find_results(const std::filesystem::path& results, std::string_view recipe = {});
/// Folds journals whose process is dead; returns the files written.
XP_API std::vector<std::filesystem::path> repair(const std::filesystem::path& results);

}  // namespace xp
