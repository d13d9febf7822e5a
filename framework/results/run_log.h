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

/// Text attributes of `/`: command, started, ended, status, host, cpu, threads, libraries, commit, ... `recipe`, the
/// source text, and `recipe_files`, the same as JSON [{path, text}], are stored as datasets.
using Attributes = std::map<std::string, std::string>;

/// "20261125-215903-a1b2": UTC time and a random part; names sort by age.
XP_API std::string new_run_id();

/// The resolved plan as tables and readers need it, stored as JSON in every result. Keys: "name", "plan_id",
/// "summary", "arms" [{name, label}], "members" [{arm, seed, stages {node: digest}}], "nodes" {digest: {name, type,
/// settings, seed}}, "datasets" {digest: table} that settings name, "claims", "tables", "figures" (as in spec.h),
/// "text" (what `xp show` prints).
class XP_API RunLog {
 public:
  /// Writes the first record; `run` becomes the file's stem in results/<recipe>/. Adds the attributes `run`,
  /// `recipe_name`, `host`, `started` and `status` = "running" where `attributes` lack them. Throws Error if the
  /// folder cannot be written or the run exists.
  /// A trial of a sweep lies in the sweep's folder `below` that of the recipe.
  RunLog(std::filesystem::path results, const std::string& recipe, const std::string& run,
         const Attributes& attributes, const Value& plan, const std::string& below = {});
  ~RunLog();  ///< without close(): the journal stays for repair()
  void stage(const std::string& digest, const std::string& status);  ///< "started" "done" "cached" "failed: ..."
  void log_line(const std::string& text);
  /// Folds the records of all stages that stage() named into results/<recipe>/<run>.h5 and removes the journal.
  std::filesystem::path close(const std::string& status, const Cache& cache);
  void discard();  ///< removes the journal: nothing of the run is worth a result
  const std::filesystem::path& journal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One stage of a run.
struct StageStatus {
  std::string digest, status;  ///< the last status; empty: the run did not come to it
  bool complete = false;       ///< its artifact was made: the record is whole
};

/// What studies need of a plan.
struct RunOutline {
  struct Arm {
    std::string name, label;  ///< the label may be empty
  };
  struct Member {
    std::string arm;
    std::int64_t seed = 0;
    std::map<std::string, std::string> stages;  ///< node name -> digest
  };
  std::string name, plan_id, host;
  std::vector<Arm> arms;
  std::vector<Member> members;
};

/// A result as read back, from an HDF5 file or an open journal.
class XP_API Result {
 public:
  virtual ~Result();
  virtual const std::filesystem::path& path() const = 0;
  virtual bool open() const = 0;   ///< still a journal
  virtual bool alive() const = 0;  ///< open, and its process lives
  virtual const Attributes& attributes() const = 0;
  virtual const Value& plan() const = 0;
  /// Throws Error (Exit::data) if the plan is not what RunLog stores.
  virtual RunOutline outline() const;
  /// The plan's entry of one stage {name, type, settings, seed}; null if there is none.
  virtual const Table* node(std::string_view digest) const;
  /// The plan's entry of a dataset {type, files, ...} that settings name; null if there is none.
  virtual const Table* dataset(std::string_view digest) const;
  /// Records of one member; null if the result has no such member. Stages that were not finished count as absent,
  /// unless `partial`: then what they recorded so far is there too, for curves of a run that works or was killed.
  /// Lives as long as the result.
  virtual const RecordSource* member(std::string_view arm, std::int64_t seed, bool partial = false) const = 0;
  /// Ledgers of one stage, each with its first `most` rows; none if the run did not come to it.
  virtual std::map<std::string, LedgerHead> ledgers(const std::string& digest, std::size_t most) const = 0;
  virtual std::vector<StageStatus> stages() const = 0;      ///< of all digests, sorted
  virtual const std::vector<std::string>& log() const = 0;  ///< lines with UTC time
  virtual std::vector<std::string> digests() const = 0;     ///< of stages(), without a look at the cache
  /// Everything that a stage of a member recorded, read anew; nothing if it was not finished or is no stage of it.
  virtual std::optional<StageRecord> whole(std::string_view arm, std::int64_t seed, std::string_view node) const = 0;
};

/// Opens one; throws Error (Exit::data) saying what is wrong with the file. Records of an open journal come from
/// `cache`, by default the one beside it (results/cache). Records are read when asked for, those of an HDF5 file
/// without their ledgers.
XP_API std::unique_ptr<Result> read_result(const std::filesystem::path& file, const Cache* cache = nullptr);
/// All results of one recipe, or of every folder below `results` but the cache; newest first by run id. Unread: a run
/// whose HDF5 file is there counts once.
XP_API std::vector<std::filesystem::path> find_results(const std::filesystem::path& results,
                                                       std::string_view recipe = {});
/// The same, and those of all sweeps' trials, in no order.
XP_API std::vector<std::filesystem::path> find_all_results(const std::filesystem::path& results);
/// Folds journals whose process is dead, with status "killed"; returns the files written. A journal that cannot be
/// read is reported as a warning and stays.
XP_API std::vector<std::filesystem::path> repair(const std::filesystem::path& results);

}  // namespace xp
