#pragma once
// Artifacts by digest: results/cache/<digest>/ holds the outputs, the stage's record, and a manifest written last.
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
  std::string made;              ///< UTC time
  double seconds = 0;
  std::uint64_t bytes = 0;
};

/// The right to make an artifact, renewed by a thread of its own until it ends. Another process sees who works, and takes
/// over when the holder died.
class XP_API Lease {
 public:
  virtual ~Lease();
  virtual const std::filesystem::path& work() const = 0;  ///< survives a kill: the next holder goes on from it
  /// Hashes and syncs what lies in work(), writes the manifest, renames. Losing the race means the winner's entry.
  virtual CacheEntry commit(const CacheEntry& about) = 0;
};

class XP_API Cache {
 public:
  explicit Cache(std::filesystem::path results);  ///< makes nothing until something is claimed

  /// The entry if it is complete. Sizes are checked; hashes too if `verify`. A damaged entry is moved aside with a warning.
  std::optional<CacheEntry> find(const std::string& digest, bool verify = false) const;
  /// The lease, or nothing while a living process holds it (`holder` then says who: "host 1234, since ...").
  std::unique_ptr<Lease> claim(const std::string& digest, std::string* holder = nullptr);
  std::vector<CacheEntry> list() const;
  /// Removes entries that no result file or open journal refers to, oldest use first, until at most `most_bytes` are left;
  /// returns what was removed. `dry` only lists.
  std::vector<CacheEntry> collect(std::uint64_t most_bytes, bool dry);
  StageRecord record(const CacheEntry& entry) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path results_, folder_;
};

}  // namespace xp
