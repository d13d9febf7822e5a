#include "results/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "results/cache_files.h"
#include "results/journal.h"
#include "results/run_log.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

// Moves an entry aside unless somebody mended it meanwhile.
void move_aside(const fs::path& cache, const std::string& digest, bool verify, const std::string& why) {
  log::warn(why + "; it is made again");
  try {
    const detail::CacheLock lock(cache);
    try {
      detail::read_manifest(cache / digest, digest, verify ? detail::Held::hashes : detail::Held::sizes);
      return;
    } catch (const Error&) {  // still damaged
    }
    const auto aside = detail::make_scratch_name(cache / detail::kDamaged, digest);
    if (::rename((cache / digest).c_str(), aside.c_str()) != 0 && errno != ENOENT)
      throw Error("cannot move " + backquoted((cache / digest).string()) + " aside: " + std::strerror(errno));
  } catch (const Error& error) {
    log::warn(error.what());
  }
}

// The modification time of the manifest is the time of the last use.
void note_use(const fs::path& manifest) {
  if (::utimensat(AT_FDCWD, manifest.c_str(), nullptr, 0) != 0)  // read-only: then age alone decides
    log::debug("use of " + backquoted(manifest.string()) + " is not noted: " + std::strerror(errno));
}

}  // namespace

namespace detail {

void remove_scratch(const fs::path& folder) {
  std::error_code failed;
  fs::remove_all(folder / kScratchFolder, failed);
  if (failed) log::debug("training states in " + backquoted(folder.string()) + " stay: " + failed.message());
}

void check_digest(const std::string& digest) {
  const bool good =
      digest.size() >= 8 && digest.size() <= 128 && std::all_of(digest.begin(), digest.end(), [](unsigned char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
      });
  if (!good)
    throw Error(backquoted(printable(digest)) + " is no digest: 8 to 128 letters, digits, `-` and `_` are",
                Exit::data);
}

CacheLock::CacheLock(const fs::path& cache) {
  make_folders(cache / kLeases);
  try {
    lock_.emplace(cache / kLeases / "lock");
  } catch (const Error& error) {
    log::debug(error.what());
  }
}

fs::path make_scratch_name(const fs::path& parent, const std::string& name) {
  const auto scratch = make_scratch(parent, name + ".");
  return scratch / name;
}

}  // namespace detail

Cache::Cache(fs::path results) : results_(std::move(results)), folder_(results_ / "cache") {}

std::optional<CacheEntry> Cache::find(const std::string& digest, bool verify) const {
  detail::check_digest(digest);
  const auto folder = folder_ / digest;
  std::error_code failed;
  if (!fs::exists(folder, failed)) return std::nullopt;
  try {
    auto entry = detail::read_manifest(folder, digest, verify ? detail::Held::hashes : detail::Held::sizes);
    note_use(folder / detail::kManifest);
    detail::remove_scratch(folder);  // left by a kill right behind the commit
    return entry;
  } catch (const Error& error) {
    if (!fs::exists(folder, failed)) return std::nullopt;  // collected meanwhile
    move_aside(folder_, digest, verify, error.what());
    return std::nullopt;
  }
}

std::unique_ptr<Lease> Cache::claim(const std::string& digest, std::string* holder) {
  detail::check_digest(digest);
  return detail::claim(*this, digest, holder);
}

fs::path Cache::work_folder(const std::string& digest) const {
  detail::check_digest(digest);
  return folder_ / detail::kWork / digest;
}

std::vector<fs::path> Cache::entry_folders() const {
  std::vector<fs::path> folders;
  std::error_code none;
  if (!fs::is_directory(folder_, none)) return folders;
  std::error_code failed;
  fs::directory_iterator found(folder_, failed);
  if (failed) throw Error("cannot list " + backquoted(folder_.string()) + ": " + failed.message(), Exit::data);
  for (const auto& one : found)
    if (!one.path().filename().string().starts_with('.') && one.is_directory(none)) folders.push_back(one.path());
  return folders;
}

namespace {

// Adds the entry, or warns of what is wrong with it.
void add_entry(std::vector<CacheEntry>& entries, const fs::path& folder, detail::Held held) {
  const auto name = folder.filename().string();
  try {
    detail::check_digest(name);
    entries.push_back(detail::read_manifest(folder, name, held));
  } catch (const Error& error) {
    log::warn(error.what());
  }
}

}  // namespace

std::vector<CacheEntry> Cache::list() const {
  std::vector<CacheEntry> entries;
  for (const auto& folder : entry_folders()) add_entry(entries, folder, detail::Held::sizes);
  std::sort(entries.begin(), entries.end(),
            [](const CacheEntry& a, const CacheEntry& b) { return a.digest < b.digest; });
  return entries;
}

std::vector<CacheEntry> Cache::recent(std::size_t most) const {
  std::vector<std::pair<fs::file_time_type, fs::path>> by_use;
  for (auto& folder : entry_folders()) {
    std::error_code gone;
    const auto used = fs::last_write_time(folder / detail::kManifest, gone);
    if (!gone) by_use.emplace_back(used, std::move(folder));
  }
  std::sort(by_use.begin(), by_use.end(), std::greater<>());
  if (by_use.size() > most) by_use.resize(most);
  std::vector<CacheEntry> entries;
  for (const auto& [used, folder] : by_use) add_entry(entries, folder, detail::Held::no);
  return entries;
}

StageRecord Cache::record(const CacheEntry& entry) const {
  const auto file = entry.folder / kRecordFile;
  std::error_code none;
  return fs::exists(file, none) ? read_record(file, true) : StageRecord{};
}

std::vector<CacheEntry> Cache::collect(std::uint64_t most_bytes, bool dry) {
  std::set<std::string> kept;
  for (const auto& file : find_all_results(results_))
    for (const auto& digest : read_result(file, this)->digests()) kept.insert(digest);
  auto entries = list();
  std::uint64_t bytes = 0;
  std::vector<std::pair<fs::file_time_type, CacheEntry>> free;
  for (auto& entry : entries) {
    bytes += entry.bytes;
    if (kept.contains(entry.digest)) continue;
    std::error_code gone;
    const auto used = fs::last_write_time(entry.folder / detail::kManifest, gone);
    if (!gone) free.emplace_back(used, std::move(entry));
  }
  std::stable_sort(free.begin(), free.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<CacheEntry> removed;
  for (auto& [used, entry] : free) {
    if (bytes <= most_bytes) break;
    bytes -= entry.bytes;
    if (!dry) {
      // Out of sight in one moment: an entry is there whole or not at all.
      const auto aside = detail::make_scratch_name(folder_ / detail::kDamaged, entry.digest);
      std::error_code failed;
      fs::rename(entry.folder, aside, failed);
      if (!failed) fs::remove_all(aside.parent_path(), failed);
      if (failed) throw Error("cannot remove " + backquoted(entry.folder.string()) + ": " + failed.message());
    }
    removed.push_back(std::move(entry));
  }
  return removed;
}

}  // namespace xp
