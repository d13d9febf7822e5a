#pragma once
// Append-only files of framed, checksummed records: what a killed process wrote is readable up to its last second.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "api/recorder.h"
#include "results/record.h"

namespace xp {

/// Appends records to one file; one writer per file at a time. Every mistake of the disk is an Error with path and
/// reason.
class XP_API JournalWriter {
 public:
  /// Opens for appending, in a folder that exists; what follows the last whole record is cut off first.
  explicit JournalWriter(const std::filesystem::path& file);
  ~JournalWriter();
  /// Thread-safe; handed to the system at once, on the disk within a second. `payload` is at most 1 GiB. A record
  /// that could not be written whole (full disk) is taken back before Error is thrown, so that a later one may
  /// succeed.
  void append(std::uint8_t kind, std::string_view payload);
  void sync();  ///< returns when all is on the disk; throws Error, also for a background sync that failed before
  void check() const;  ///< throws Error if a background sync failed
  /// Gives the file another name in its folder, in one moment; what stood there is replaced.
  void publish(const std::filesystem::path& file);
  const std::filesystem::path& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Visits whole records in order and stops at the first torn or damaged one; returns the bytes that were good, header
/// included: the file's size if nothing is wrong. Given such a number as `from`, it goes on there. Throws Error
/// (Exit::data) if the file cannot be read or is no journal.
XP_API std::uint64_t read_journal(const std::filesystem::path& file,
                                  const std::function<void(std::uint8_t kind, std::string_view payload)>& visit,
                                  std::uint64_t from = 0);

/// The bytes that a journal begins with, and those of one record, for files that several processes append to in turn.
std::string journal_header();
std::string journal_frame(std::uint8_t kind, std::string_view payload);

/// A Recorder that appends to a journal. Opening a file that exists starts a new session: a stage runs from its start
/// again, so what earlier sessions recorded counts only if rewind() brings it back. A part that can go on where it
/// stood, such as training, calls rewind() when it begins, mark(step) before it saves the state of a step, and
/// records after that.
class XP_API JournalRecorder final : public Recorder {
 public:
  explicit JournalRecorder(const std::filesystem::path& file);
  ~JournalRecorder() override;
  /// Throws Error if the curve has another signature already.
  void point(std::string_view curve, double value, const Counters& at, const MetricSignature& what) override;
  void metric(std::string_view name, double value, const MetricSignature& what) override;
  void item(std::string_view table, std::string_view id, std::string_view column, double value) override;
  /// Throws Error if `columns` repeat a name, differ from those of the first row, or do not fit `row`.
  void ledger(std::string_view table, const std::vector<std::string>& columns,
              const std::vector<std::string>& row) override;
  void counters(const Counters& final) override;
  Counters last_counters() const;  ///< zeros before the first
  void note(std::string_view text) override;
  /// What a step of training read, and a tensor that it left; as points, of one step those recorded last count.
  void batch_fingerprint(std::int64_t step, std::uint64_t hash);
  void weight_fingerprint(std::int64_t step, std::string_view tensor, std::uint64_t hash);
  /// What was recorded so far belongs to `step`; sync() before a state of that step counts.
  void mark(std::int64_t step);
  /// Goes on from `step`: what earlier sessions recorded after their rewind() (all, if they called none) counts up to
  /// the last mark of `step`. Without such a mark it counts if no later step was known when it was recorded, and of
  /// points at one step those recorded anew win. `step` < 0 starts from nothing.
  void rewind(std::int64_t step);
  void sync();
  void check() const;  ///< throws Error if something recorded may not reach the disk

 private:
  struct Names;
  JournalWriter out_;
  std::unique_ptr<Names> names_;
};

/// Folds a JournalRecorder's file: later finals and item values win, voided records are left out, points are sorted
/// by step. Throws Error (Exit::data) if it cannot be read; a torn end is left out unless `whole` demands every byte.
XP_API StageRecord read_record(const std::filesystem::path& journal, bool whole = false);

}  // namespace xp
