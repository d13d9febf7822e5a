#pragma once
// What tests of plugins and of the framework share.
#include <filesystem>
#include <string_view>

#include "plugin/registry.h"

namespace xp::testing {

/// All plugins of this build or install of xp and of one folder more, loaded once. Throws Error if one is
/// quarantined.
const Registry& registry_of(const std::filesystem::path& more);

/// The catalogue behind it.
const Catalogue& catalogue_of(const std::filesystem::path& more);

// Tests of plugins outside the tree are compiled with the folder of their own libraries.
#ifdef XP_PLUGIN_OUTPUT
inline const Registry& registry() { return registry_of(XP_PLUGIN_OUTPUT); }
inline const Catalogue& catalogue() { return catalogue_of(XP_PLUGIN_OUTPUT); }
#else
inline const Registry& registry() { return registry_of({}); }
inline const Catalogue& catalogue() { return catalogue_of({}); }
#endif

/// An own folder, gone at the end.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace xp::testing
