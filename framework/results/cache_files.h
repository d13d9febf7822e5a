#pragma once
// The folders below results/cache/ and what cache and leases share.
#include <filesystem>
#include <optional>
#include <string>

#include "base/file.h"
#include "results/cache.h"

namespace xp::detail {

constexpr const char* kManifest = "manifest.json";
constexpr const char* kLeases = ".leases";
constexpr const char* kWork = ".work";
constexpr const char* kDamaged = ".damaged";

/// Digests come from files: throws Error (Exit::data) unless it is 8 to 128 letters, digits, `-` or `_`.
void check_digest(const std::string& digest);

/// A lock over claims, take-overs and renames into the cache; none where the file system has no locks, because each
/// of these steps is a link or a rename that only one process can win.
class CacheLock {
 public:
  explicit CacheLock(const std::filesystem::path& cache);

 private:
  std::optional<FileLock> lock_;
};

/// How far an entry is held against its manifest: not at all, sizes and the record's checksums, every sha256 too.
enum class Held : std::uint8_t { no, sizes, hashes };

/// Reads a manifest; throws Error (Exit::data) saying what is wrong with the entry.
CacheEntry read_manifest(const std::filesystem::path& folder, const std::string& digest, Held held);
/// Hashes all files of `folder`, writes the manifest, syncs all of them and the folders.
CacheEntry write_manifest(const std::filesystem::path& folder, const std::string& digest, const CacheEntry& about);

/// Of an entry that stands; what cannot be removed is left.
void remove_scratch(const std::filesystem::path& folder);

std::unique_ptr<Lease> claim(const Cache& cache, const std::string& digest, std::string* holder);

/// A name that nobody has, in a new folder of its own below `parent`.
std::filesystem::path make_scratch_name(const std::filesystem::path& parent, const std::string& name);

/// For files that nobody reads before something else happens: not atomic, not synced. Throws Error.
void write_plainly(const std::filesystem::path& file, std::string_view bytes);

void make_folders(const std::filesystem::path& folder);  ///< throws Error with path and reason
/// The same; the names of new folders are on the disk when it returns.
void make_lasting_folders(const std::filesystem::path& folder);

}  // namespace xp::detail
