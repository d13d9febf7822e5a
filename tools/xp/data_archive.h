#pragma once
// Members of package archives as plain files; nothing that an archive says is believed.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace xp::program {

struct UnpackRule {
  std::string registry;              ///< "pypi": zip; "npm": tar.gz; "deb": ar with data.tar.{gz,xz,zst}
  std::string root;                  ///< folder of the archive that names start from
  std::vector<std::string> members;  ///< globs below `root`: `*` stays within a folder, `**` crosses folders
  std::uint64_t most_bytes = std::uint64_t{2} << 30;  ///< unpacked
  std::uint64_t most_files = 100000;
};

struct Unpacked {
  std::uint64_t files = 0, bytes = 0;
};

/// True if the glob fits the whole name.
bool glob_fits(std::string_view name, std::string_view pattern);

/// Writes the wanted members of an archive (its bytes; `name` is for messages) below the new folder `into`. Throws
/// Error (Exit::data) on damage, on absolute paths and `..` anywhere, on wanted links, devices and repeated names,
/// beyond the limits, and if no member is wanted.
Unpacked unpack(std::string_view archive, const std::string& name, const UnpackRule& rule,
                const std::filesystem::path& into);

}  // namespace xp::program
