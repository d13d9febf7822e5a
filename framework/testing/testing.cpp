#include "testing/testing.h"

#include <set>

#include "base/file.h"
#include "plugin/loader.h"

namespace xp::testing {

namespace fs = std::filesystem;

const Catalogue& catalogue() {
  static const auto& one = *new Catalogue([] {
    auto all = read_catalogue({XP_PLUGIN_OUTPUT}, describer_path());
    for (const auto& bad : all.quarantined) throw Error(bad.library + ": " + bad.reason, Exit::plugin);
    return all;
  }());
  return one;
}

const Registry& registry() {
  // Never destroyed: components in static storage of a test may outlive main.
  static const auto& one = *[] {
    std::set<std::string> libraries;
    for (const auto* info : catalogue().list()) libraries.insert(info->library);
    auto* all = new Registry;
    load_plugins(*all, catalogue(), {libraries.begin(), libraries.end()});
    return all;
  }();
  return one;
}

Scratch::Scratch() : path_(make_scratch(fs::temp_directory_path(), "xp-test-")) {
  fs::permissions(path_, fs::perms::owner_all);
}

Scratch::~Scratch() {
  std::error_code failed;
  for (auto at = fs::recursive_directory_iterator(path_, failed); !failed && at != fs::recursive_directory_iterator();
       at.increment(failed))
    if (std::error_code none; at->is_directory(none) && !at->is_symlink(none))
      fs::permissions(at->path(), fs::perms::owner_all, fs::perm_options::add, none);
  fs::remove_all(path_, failed);
}

}  // namespace xp::testing
