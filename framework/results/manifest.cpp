// The manifest of a cache entry: every file with size and sha256.
#include <algorithm>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "results/cache_files.h"
#include "results/counters.h"
#include "results/journal.h"
#include "results/process.h"
#include "results/stored_json.h"

namespace xp::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFormat = 1;

// Files below `folder` but the manifest, sorted; and all folders, parents first; without the scratch folder.
std::pair<std::vector<fs::path>, std::vector<fs::path>> contents(const fs::path& folder) try {
  std::vector<fs::path> files, folders{folder};
  for (fs::recursive_directory_iterator at(folder), end; at != end; ++at) {
    const auto& one = *at;
    const auto status = one.symlink_status();
    if (one.path() == folder / kScratchFolder) {
      at.disable_recursion_pending();
    } else if (fs::is_directory(status)) {
      folders.push_back(one.path());
    } else if (!fs::is_regular_file(status)) {
      throw Error("an artifact is made of files and folders only; " + backquoted(one.path().string()) +
                  " is neither");
    } else if (one.path() != folder / kManifest) {
      files.push_back(one.path());
    }
  }
  std::sort(files.begin(), files.end());
  return {files, folders};
} catch (const fs::filesystem_error& error) {
  throw Error("cannot read " + backquoted(folder.string()) + ": " + error.code().message());
}

std::uint64_t size_of(const fs::path& file) {
  std::error_code failed;
  const auto size = fs::file_size(file, failed);
  if (failed) throw Error("cannot read " + backquoted(file.string()) + ": " + failed.message());
  return size;
}

Error damaged(const fs::path& folder, const std::string& why) {
  return Error("cache entry " + backquoted(folder.string()) + " is damaged: " + why, Exit::data);
}

// Names in a manifest lead to files of the entry and nowhere else.
fs::path inside(const fs::path& folder, const std::string& name) {
  const fs::path path(name);
  const bool leaves = path.is_absolute() || name.empty() || name.find('\0') != std::string::npos ||
                      std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  if (leaves) throw damaged(folder, "its manifest names " + backquoted(printable(name)) + ", which is no file of it");
  return folder / path;
}

void check_file(const fs::path& folder, const Table& stated, bool verify) {
  const Stored file(stated, (folder / kManifest).string());
  const auto& name = file.text("path");
  const auto path = inside(folder, name);
  std::error_code failed;
  const auto status = fs::symlink_status(path, failed);
  if (!fs::is_regular_file(status)) throw damaged(folder, backquoted(name) + " is missing");
  const auto size = static_cast<std::int64_t>(size_of(path));
  if (size != file.integer("size"))
    throw damaged(folder, backquoted(name) + " has " + std::to_string(size) + " bytes, the manifest says " +
                              std::to_string(file.integer("size")));
  if (verify && sha256_file(path) != file.text("sha256"))
    throw damaged(folder, backquoted(name) + " does not have the sha256 that the manifest states");
  if (name == kRecordFile && read_journal(path, [](std::uint8_t, std::string_view) {}) != size_of(path))
    throw damaged(folder, "its record does not fit its checksums");
}

}  // namespace

CacheEntry read_manifest(const fs::path& folder, const std::string& digest, Held held) {
  const auto file = folder / kManifest;
  const auto json = stored_object(read_file(file, std::uint64_t{1} << 28), file.string());
  const Stored manifest(json, file.string());
  if (manifest.integer("format") != kFormat)
    throw Error(file.string() + ": it is of format " + std::to_string(manifest.integer("format")) +
                    "; this program reads format " + std::to_string(kFormat),
                Exit::data);
  if (manifest.text("digest") != digest)
    throw damaged(folder, "its manifest is of digest " + backquoted(printable(manifest.text("digest"))));
  const Stored about(manifest.table("about"), file.string());
  CacheEntry entry{.digest = digest,
                   .folder = folder,
                   .stage_type = about.text("stage_type"),
                   .stage_name = about.text("stage_name"),
                   .recipe = about.text("recipe"),
                   .settings = about.has("settings") ? about.text("settings") : "",
                   .made = manifest.text("made"),
                   .seconds = manifest.number("seconds")};
  if (manifest.has("counters")) entry.counters = counters_from(manifest.table("counters"), file.string());
  for (const auto& one : manifest.list("files")) {
    const auto* stated = one.as<Table>();
    if (!stated) throw manifest.wrong("files", "an array of objects");
    if (held != Held::no) check_file(folder, *stated, held == Held::hashes);
    entry.bytes += static_cast<std::uint64_t>(Stored(*stated, file.string()).integer("size"));
  }
  return entry;
}

CacheEntry write_manifest(const fs::path& folder, const std::string& digest, const CacheEntry& about) {
  CacheEntry entry = about;
  entry.digest = digest, entry.folder = folder, entry.made = utc_now(), entry.bytes = 0;
  const auto [files, folders] = contents(folder);
  List stated;
  for (const auto& file : files) {
    const auto size = size_of(file);
    entry.bytes += size;
    stated.push_back(Table{{"path", file.lexically_relative(folder).generic_string()},
                           {"size", static_cast<std::int64_t>(size)},
                           {"sha256", sha256_file(file)}});
  }
  Table json{{"format", kFormat}, {"digest", digest}, {"made", entry.made}, {"seconds", entry.seconds}};
  json["about"] = Table{{"stage_type", entry.stage_type},
                        {"stage_name", entry.stage_name},
                        {"recipe", entry.recipe},
                        {"settings", entry.settings}};
  json["counters"] = to_table(entry.counters);
  json["files"] = std::move(stated);
  // A half-written one is of a work folder, which nobody reads.
  write_plainly(folder / kManifest, to_json(json) + "\n");
  sync_path(folder / kManifest);
  for (const auto& file : files) sync_path(file);
  for (auto i = folders.size(); i-- > 0;) sync_path(folders[i]);
  return entry;
}

}  // namespace xp::detail
