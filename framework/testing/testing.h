#pragma once
// What tests of plugins and of the framework share.
#include <filesystem>
#include <string_view>

#include "plugin/registry.h"

namespace xp::testing {

/// All plugins of the build tree, loaded once. Throws Error if one of them is quarantined.
const Registry& registry();

/// The catalogue behind registry().
const Catalogue& catalogue();

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
