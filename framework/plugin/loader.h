#pragma once
// Finding, checking and loading plugin libraries. The only place that opens one; nothing is ever closed.
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "plugin/registry.h"

namespace xp {

/// Folders in the order of the design: --plugin-path, XP_PLUGIN_PATH, ~/.local/lib/xp, the build or install tree.
XP_API std::vector<std::filesystem::path> plugin_path(const std::vector<std::string>& from_command_line);

/// What a library is, without running any code of it: from its dynamic symbols.
struct LibraryLook {
  bool plugin = false;  ///< it has a symbol xp_plugin_abi*
  int abi = 0;
  std::string name;      ///< as in the symbol
  bool tensors = false;  ///< it needs libxp_engine, or LibTorch, which comes with it
  std::string reason;    ///< why it cannot be used; empty: it can be tried
};
XP_API LibraryLook look_at(const std::filesystem::path& library);

/// All components that the folders offer, from manifests. A missing or stale manifest is made by running `describer`
/// (xp-describe) as a child with a time limit; what crashes, hangs, does not match or lies where others can write is
/// quarantined with the reason, a clause that reads on from the library's path. What failed is remembered until the
/// library or this program changes. No plugin is loaded into this process.
XP_API Catalogue read_catalogue(const std::vector<std::filesystem::path>& folders,
                                const std::filesystem::path& describer,
                                std::chrono::milliseconds limit = std::chrono::seconds(20));

/// The xp-describe that belongs to this libxp_core: ../bin/xp-describe.
XP_API std::filesystem::path describer_path();
/// Where the plugins of this build or install of xp lie.
XP_API std::filesystem::path own_plugins();
/// Where libxp_core lies.
XP_API std::filesystem::path framework_folder();

/// The child's part: loads one library and gives its manifest as JSON. Throws Error (Exit::plugin).
XP_API std::string describe_library(const std::filesystem::path& library);

/// Loads the libraries that offer these components into the registry (sha256 checked against the catalogue), each
/// once. The catalogue is kept in the registry for messages. Throws Error (Exit::plugin) with path and both values.
XP_API void load_plugins(Registry& registry, const Catalogue& catalogue, const std::vector<std::string>& libraries);

/// Opens a library of the framework itself (libxp_engine beside libxp_core) and returns one of its C functions.
XP_API void* engine_function(std::string_view name);

}  // namespace xp
