#pragma once
// The layout of a result file, and what a run's journal holds: both are turned into a RunContent and back.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "results/hdf5.h"
#include "results/process.h"
#include "results/record.h"
#include "results/run_log.h"

namespace xp::detail {

/// A member of the plan as stored.
struct StoredMember {
  std::string arm;
  std::int64_t seed = 0;
  std::map<std::string, std::string, std::less<>> stages;  ///< node -> digest
};
/// Throws Error (Exit::data) naming `where` if the plan has no such members, or a digest that can be none.
std::vector<StoredMember> members_of(const Value& plan, const std::string& where);

/// All of a run but the records.
struct RunContent {
  Attributes attributes;
  Value plan;
  std::vector<StoredMember> members;
  std::map<std::string, std::string> status;  ///< digest -> last status
  std::vector<std::string> log;
  ProcessIdentity process;
};

enum class RunEntry : std::uint8_t { begin = 1, plan = 2, stage = 3, line = 4 };

/// Reads a run's journal; throws Error (Exit::data).
RunContent read_run_journal(const std::filesystem::path& journal);

/// A stage's record where the cache has it: whole, or what the unfinished stage wrote so far.
struct FoundRecord {
  StageRecord record;
  std::optional<CacheEntry> entry;  ///< of a whole one
};
/// Nothing if the digest was not begun. A record that cannot be read is reported as a warning and counts as absent.
std::optional<FoundRecord> find_record(const Cache& cache, const std::string& digest);

/// Writes a whole result file: records once under /records/<digest>, and /<arm>/<seed>/<stage> linked to them.
void write_result(const std::filesystem::path& file, const RunContent& run, const Cache& cache);

void write_record(Hdf5Writer& to, const std::string& group, const StageRecord& record);
/// Not `whole`: without ledgers, which have a row for every token of a vocabulary and which no table or claim looks
/// at, without fingerprints, and without what stands in its curves. It takes a fraction of the time.
StageRecord read_record(const Hdf5Reader& from, const std::string& group, bool whole = true);
/// The ledgers of the record in `group`, each with its first `most` rows.
std::map<std::string, LedgerHead> read_ledgers(const Hdf5Reader& from, const std::string& group, std::size_t most);
/// A curve of the record in `group`.
Curve read_curve(const Hdf5Reader& from, const std::string& group, const std::string& name);

/// Attributes that are whole texts, and stand as datasets where people look for them.
bool is_long(std::string_view attribute);

/// The first link of a member's path; arms may not hide the file's own groups.
std::string arm_name(const std::string& arm);

constexpr std::int64_t kResultFormat = 1;

}  // namespace xp::detail
