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

class XP_API JournalWriter {
 public:
  /// Opens for appending; a torn record at the end is cut off first.
  explicit JournalWriter(const std::filesystem::path& file);
  ~JournalWriter();
  void append(std::uint8_t kind, std::string_view payload);  ///< thread-safe; synced at least every second
  void sync();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Visits whole records in order and stops at the first torn or damaged one; returns the bytes that were good.
XP_API std::uint64_t read_journal(const std::filesystem::path& file,
                                  const std::function<void(std::uint8_t kind, std::string_view payload)>& visit);

/// A Recorder that appends to a journal. After a resume, points beyond the resumed step are taken back by rewind().
class XP_API JournalRecorder final : public Recorder {
 public:
  explicit JournalRecorder(const std::filesystem::path& file);
  ~JournalRecorder() override;
  void point(std::string_view curve, double value, const Counters& at, const MetricSignature& what) override;
  void metric(std::string_view name, double value, const MetricSignature& what) override;
  void item(std::string_view table, std::string_view id, std::string_view column, double value) override;
  void ledger(std::string_view table, const std::vector<std::string>& columns,
              const std::vector<std::string>& row) override;
  void counters(const Counters& final) override;
  void note(std::string_view text) override;
  void rewind(std::int64_t step);  ///< later points are void; written as a record of its own
  void sync();

 private:
  JournalWriter out_;
  struct Names;
  std::unique_ptr<Names> names_;
};

XP_API StageRecord read_record(const std::filesystem::path& journal);

}  // namespace xp
