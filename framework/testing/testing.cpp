#include "testing/testing.h"

#include <map>
#include <memory>
#include <set>

#include "base/file.h"
#include "plugin/loader.h"

namespace xp::testing {

namespace fs = std::filesystem;

namespace {

struct Loaded {
  Catalogue catalogue;
  Registry registry;
};

// Never destroyed: components in static storage of a test may outlive main.
const Loaded& loaded(const fs::path& more) {
  static auto& all = *new std::map<fs::path, std::unique_ptr<Loaded>>;
  if (const auto found = all.find(more); found != all.end()) return *found->second;
  std::vector<fs::path> folders{own_plugins()};
  if (!more.empty()) folders.push_back(more);
  auto one = std::make_unique<Loaded>();
  one->catalogue = read_catalogue(folders, describer_path());
  for (const auto& bad : one->catalogue.quarantined) throw Error(bad.library + ": " + bad.reason, Exit::plugin);
  std::set<std::string> libraries;
  for (const auto* info : one->catalogue.list()) libraries.insert(info->library);
  load_plugins(one->registry, one->catalogue, {libraries.begin(), libraries.end()});
  return *all.emplace(more, std::move(one)).first->second;
}

}  // namespace

const Catalogue& catalogue_of(const fs::path& more) { return loaded(more).catalogue; }
const Registry& registry_of(const fs::path& more) { return loaded(more).registry; }

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
