#pragma once
// What is known about a library without loading it: the file that stands beside it, or in the user's cache.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "plugin/registry.h"

namespace xp {

/// Tells one state of a file from the next without reading it.
struct FileState {
  std::uint64_t size = 0;    ///< bytes
  std::int64_t changed = 0;  ///< modification time, ns since 1970
  bool operator==(const FileState&) const = default;
};
/// Throws Error (Exit::plugin) if there is no such file.
FileState file_state(const std::filesystem::path& file);

struct Manifest {
  std::string plugin;
  FileState state;
  std::string sha256;
  std::string build;         ///< stamp of the library; of a failure, that of the program it failed in
  std::string failure = {};  ///< why it could not be described; empty: it was
  std::vector<ComponentInfo> components = {};
};

std::string manifest_to_json(const Manifest& manifest);
/// `library` goes into the components. Throws Error (Exit::plugin) on anything that is not a manifest.
Manifest manifest_from_json(std::string_view json, const std::string& library);

/// The manifest of this very state of the library: beside it, else in the user's cache; nothing if it must be made.
std::optional<Manifest> find_manifest(const std::filesystem::path& library);
/// Written beside the library if that is possible, else (and for failures always) into the user's cache.
void keep_manifest(const std::filesystem::path& library, const Manifest& manifest);

/// Empty if only the owner can write the path, and the owner is this user, root or the owner of this program.
std::string writable_by_others(const std::filesystem::path& path);

/// What differs between a library's stamp and this program's, with the advice; empty if nothing does.
std::string stamp_difference(std::string_view library, std::string_view program);

}  // namespace xp
