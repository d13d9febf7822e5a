#include "plugin/loader.h"

#include <dlfcn.h>

#include <boost/dll/shared_library.hpp>
#include <exception>
#include <mutex>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/text.h"
#include "plugin/manifest.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& library, const std::string& reason) {
  throw Error(library.string() + ": " + reason, Exit::plugin);
}

/// Libraries by path. They stay open, and this list stays, until the process ends: objects and functions of a plugin
/// may be reached from anywhere.
boost::dll::shared_library& pinned(const fs::path& library) {
  static auto& mutex = *new std::mutex;
  static auto& all = *new std::map<std::string, boost::dll::shared_library>;
  const std::lock_guard lock(mutex);
  if (const auto found = all.find(library.string()); found != all.end()) return found->second;
  boost::dll::shared_library one;
  try {
    // Boost.DLL opens with NOW unless LAZY is asked for, and LOCAL unless GLOBAL is.
    one.load(library, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& error) {
    refuse(library, std::string("cannot be loaded: ") + error.what());
  } catch (...) {
    refuse(library, "cannot be loaded: a static constructor threw something that is no std::exception");
  }
  return all.emplace(library.string(), std::move(one)).first->second;
}

boost::dll::shared_library& engine_library() {
  const auto library = framework_folder() / "libxp_engine.so";
  std::error_code none;
  if (!fs::exists(library, none)) refuse(library, "is missing; it belongs beside libxp_core.so");
  return pinned(library);
}

/// Loads a library that can be tried and compares what it says of itself with this program.
const PluginInfo& info_of(const fs::path& library) {
  const auto look = look_at(library);
  if (!look.reason.empty()) refuse(library, look.reason);
  // Plugins carry no run path, so that their bytes do not depend on where LibTorch lies: what they need is here
  // before.
  if (look.tensors) engine_library();
  auto& opened = pinned(library);
  const auto symbol = "xp_plugin_abi" + std::to_string(look.abi) + "_" + look.name;
  const auto* info = static_cast<const PluginInfo*>(opened.get<const void*>(symbol));
  if (!info) refuse(library, "has an empty entry");
  if (info->abi != XP_PLUGIN_ABI)
    refuse(library, "says ABI " + std::to_string(info->abi) + " inside, its entry says " + std::to_string(look.abi));
  if (info->size != sizeof(PluginInfo))
    refuse(library, "has an entry of " + count(info->size, "byte") + ", this program expects " +
                        std::to_string(sizeof(PluginInfo)));
  if (const auto differ = stamp_difference(info->build, XP_BUILD_STAMP); !differ.empty()) refuse(library, differ);
  if (look.name != info->name)
    refuse(library, "names itself " + backquoted(info->name) + " inside, its entry says " + backquoted(look.name));
  return *info;
}

void add_to(Registry& registry, const PluginInfo& info, const fs::path& library, const std::string& hash) {
  const struct Owner {
    Registry& registry;
    ~Owner() { registry.adding_for("program", "", ""); }
  } owner{registry};
  registry.adding_for(info.name, library.string(), hash);
  const std::string what = "threw while adding its components: ";
  try {
    info.add_to(registry);
  } catch (const std::exception& error) {
    refuse(library, what + error.what());
  } catch (...) {
    refuse(library, what + "something that is no std::exception");
  }
}

bool holds_library(const Registry& registry, const std::string& library) {
  for (const auto* info : registry.catalogue().list())
    if (info->library == library) return true;
  return false;
}

// The sha256 that the catalogue has for a library.
std::string expected_hash(const Catalogue& catalogue, const std::string& library) {
  for (const auto* info : catalogue.list())
    if (info->library == library) return info->hash;
  for (const auto& one : catalogue.quarantined)
    if (one.library == library) refuse(library, one.reason);
  throw Error("no plugin library " + backquoted(library) + " was found in " + listed(catalogue.searched),
              Exit::plugin);
}

}  // namespace

std::string describe_library(const fs::path& given) {
  std::error_code failed;
  const auto library = fs::canonical(given, failed);
  if (failed) refuse(given, "cannot be read: " + failed.message());
  Manifest manifest;
  manifest.state = file_state(library);
  manifest.sha256 = sha256_file(library);
  const auto& info = info_of(library);
  manifest.plugin = info.name, manifest.build = info.build;
  Registry registry;
  add_to(registry, info, library, manifest.sha256);
  for (const auto* one : registry.catalogue().list()) manifest.components.push_back(*one);
  if (manifest.components.empty()) refuse(library, "adds no component");
  return manifest_to_json(manifest);
}

void load_plugins(Registry& registry, const Catalogue& catalogue, const std::vector<std::string>& libraries) {
  registry.catalogue().quarantined = catalogue.quarantined;
  registry.catalogue().searched = catalogue.searched;
  for (const auto& library : libraries) {
    const auto expected = expected_hash(catalogue, library);
    if (holds_library(registry, library)) continue;
    if (const auto hash = sha256_file_cached(library); hash != expected)
      refuse(library, "changed since it was described: its sha256 is " + hash + ", the catalogue has " + expected);
    add_to(registry, info_of(library), library, expected);
  }
}

fs::path framework_folder() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<const void*>(&framework_folder), &self) == 0 || !self.dli_fname)
    throw Error("the folder of libxp_core.so cannot be found", Exit::plugin);
  return fs::canonical(self.dli_fname).parent_path();
}

void* engine_function(std::string_view name) {
  auto& opened = engine_library();
  const std::string symbol(name);
  if (!opened.has(symbol))
    refuse(opened.location(),
           "has no function " + backquoted(symbol) + "; it is of another version than libxp_core.so");
  return reinterpret_cast<void*>(&opened.get<void()>(symbol));
}

}  // namespace xp
