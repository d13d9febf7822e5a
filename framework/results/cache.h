#pragma once
// Artifacts by digest: results/cache/<digest>/ holds the outputs, the stage's record, and a manifest written last.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/record.h"

namespace xp {

struct CacheEntry {
  std::string digest;
  std::filesystem::path folder;  ///< outputs in `<folder>/<output name>/`, the record in `record.journal`
  std::string stage_type, stage_name, recipe;
  std::string settings;  ///< digest of the stage's settings, the same for all seeds
  std::string made;      ///< UTC time
  double seconds = 0;
  std::uint64_t bytes = 0;
  Counters counters = {};  ///< what the stage counted; zeros if it did not
};

/// The name of the record in an entry and in a work folder.
inline constexpr const char* kRecordFile = "record.journal";
/// In a work folder: what its stage goes on from after a kill. It stays until the artifact stands, and is no part of
/// it.
inline constexpr const char* kScratchFolder = ".training";

/// The right to make an artifact, renewed by a thread of its own until it ends. Another process sees who works, and
/// takes over when the holder died. Ending it keeps the work folder.
class XP_API Lease {
 public:
  virtual ~Lease();
  virtual const std::filesystem::path& work() const = 0;  ///< survives a kill: the next holder goes on from it
  /// False if another machine took over because this one did not renew for a minute; then stop working.
  virtual bool held() const = 0;
  /// Hashes and syncs what lies in work(), writes the manifest, renames. Losing the race means the winner's entry. Of
  /// `about`, type, name, recipe, settings, seconds and counters count. Throws Error if the disk fails, if work()
  /// holds links or devices, or if the lease was lost and nobody made the entry yet.
  virtual CacheEntry commit(const CacheEntry& about) = 0;
};

class XP_API Cache {
 public:
  explicit Cache(std::filesystem::path results);  ///< makes nothing until something is claimed

  /// The entry if it is complete, and its use is noted. Sizes and the record are checked; hashes too if `verify`. A
  /// damaged entry is moved to `.damaged/` with a warning. Throws Error (Exit::data) if `digest` cannot name an
  /// entry.
  std::optional<CacheEntry> find(const std::string& digest, bool verify = false) const;
  /// The lease, or nothing while a living process holds it (`holder` then says who: "host 1234, since ..."). Look
  /// with find() again after a claim: the holder before may just have finished.
  std::unique_ptr<Lease> claim(const std::string& digest, std::string* holder = nullptr);
  std::vector<CacheEntry> list() const;  ///< complete entries, sorted by digest
  /// At most this many entries, those used last first, by what their manifests say: their files are not looked at.
  std::vector<CacheEntry> recent(std::size_t most) const;
  /// Removes entries that no result file or open journal refers to, oldest use first, until at most `most_bytes` are
  /// left; returns what was removed. `dry` only lists. Throws Error (Exit::data) and removes nothing if a result is
  /// unreadable.
  std::vector<CacheEntry> collect(std::uint64_t most_bytes, bool dry);
  /// Throws Error (Exit::data) if it is damaged; without a record file it is empty.
  StageRecord record(const CacheEntry& entry) const;
  /// Where a digest is made: holds what an unfinished stage recorded so far.
  std::filesystem::path work_folder(const std::string& digest) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::vector<std::filesystem::path> entry_folders() const;  ///< unsorted
  std::filesystem::path results_, folder_;
};

}  // namespace xp
