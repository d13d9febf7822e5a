#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/log.h"
#include "base/text.h"
#include "plugin/child.h"
#include "plugin/loader.h"
#include "plugin/manifest.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostManifest = std::size_t{16} << 20;

std::string limit_text(std::chrono::milliseconds limit) {
  return number_text(static_cast<double>(limit.count()) / 1000) + " s";
}

/// The child says "PATH: reason"; the path stands beside the reason already.
std::string reason_in(std::string errors, const fs::path& library) {
  const auto prefix = library.string() + ": ";
  const auto text = trim(errors);
  return printable(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

std::string last_line(const std::string& errors) {
  const auto text = trim(errors);
  const auto at = text.rfind('\n');
  return printable(at == std::string_view::npos ? text : text.substr(at + 1));
}

/// Why the child gave no manifest; empty if it did.
std::string failure_of(const ChildResult& child, const fs::path& library, std::chrono::milliseconds limit) {
  const auto said = last_line(child.errors);
  const auto quoted = said.empty() ? said : " (its last words: " + said + ")";
  if (child.too_much) return "printed more than " + bytes_text(kMostManifest) + " while being described";
  if (!child.finished) return "did not finish within " + limit_text(limit) + " while being described" + quoted;
  if (child.signal != 0)
    return "crashed with signal " + std::to_string(child.signal) + " (" + signal_name(child.signal) +
           ") while being described" + quoted;
  if (child.code == static_cast<int>(Exit::plugin) && !said.empty()) return reason_in(child.errors, library);
  if (child.code != 0) return "ended with code " + std::to_string(child.code) + " while being described" + quoted;
  return {};
}

/// Describes a library in a child process. What failed is kept too, so that a plugin that hangs does so once.
Manifest describe_in_child(const fs::path& library, const fs::path& describer, std::chrono::milliseconds limit) {
  Manifest failed;
  failed.plugin = library.stem().string(), failed.build = XP_BUILD_STAMP, failed.state = file_state(library);
  const auto child = run_child({describer.string(), library.string()}, limit, kMostManifest);
  failed.failure = failure_of(child, library, limit);
  if (failed.failure.empty()) {
    try {
      auto manifest = manifest_from_json(child.output, library.string());
      keep_manifest(library, manifest);
      return manifest;
    } catch (const Error& error) {
      failed.failure = child.output.empty() ? "ended the process without describing itself" : error.what();
    }
  }
  keep_manifest(library, failed);
  return failed;
}

/// The manifest of a library that can be used, or the reason why it cannot as an Error.
Manifest manifest_of(const fs::path& library, const fs::path& describer, std::chrono::milliseconds limit) {
  const auto refuse = [](const std::string& reason) { throw Error(reason, Exit::plugin); };
  if (const auto reason = writable_by_others(library); !reason.empty()) refuse(reason);
  auto found = find_manifest(library);
  if (found && !found->failure.empty() && found->build != XP_BUILD_STAMP)
    found.reset();  // it failed in another program
  if (!found) {
    if (const auto look = look_at(library); !look.reason.empty()) refuse(look.reason);
    found = describe_in_child(library, describer, limit);
  }
  if (!found->failure.empty()) refuse(found->failure);
  if (const auto differ = stamp_difference(found->build, XP_BUILD_STAMP); !differ.empty()) refuse(differ);
  return *std::move(found);
}

std::vector<fs::path> libraries_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
    if (at->path().extension() == ".so" && !at->path().filename().string().starts_with('.'))
      found.push_back(at->path());
  if (failed) log::warn("plugin folder " + folder.string() + " cannot be listed: " + failed.message());
  std::sort(found.begin(), found.end());
  return found;
}

/// All components of a plugin or none.
void add_all(Catalogue& catalogue, const Manifest& manifest) {
  for (const auto& info : manifest.components)
    if (catalogue.find(info.interface, info.type)) return catalogue.add(info);  // throws, naming both libraries
  for (const auto& info : manifest.components) catalogue.add(info);
}

}  // namespace

std::vector<fs::path> plugin_path(const std::vector<std::string>& from_command_line) {
  std::vector<fs::path> out;
  const auto add = [&](const fs::path& folder) {
    const auto path = fs::absolute(folder).lexically_normal();
    if (std::find(out.begin(), out.end(), path) == out.end()) out.push_back(path);
  };
  for (const auto& folder : from_command_line) {
    std::error_code none;
    if (!fs::is_directory(folder, none))
      throw Error("--plugin-path " + backquoted(folder) + " is not a folder", Exit::usage);
    add(folder);
  }
  if (const char* variable = std::getenv("XP_PLUGIN_PATH"))
    for (const auto& folder : split(variable, ':'))
      if (!folder.empty()) add(folder);
  if (const char* home = std::getenv("HOME"); home && *home) add(fs::path(home) / ".local/lib/xp");
  add(own_plugins());
  return out;
}

fs::path own_plugins() {
  const auto lib = framework_folder();
  std::error_code none;
  return fs::is_directory(lib / "xp/plugins", none) ? lib / "xp/plugins" : lib.parent_path() / "plugins";
}

fs::path describer_path() { return framework_folder().parent_path() / "bin" / "xp-describe"; }

Catalogue read_catalogue(const std::vector<fs::path>& folders, const fs::path& describer,
                         std::chrono::milliseconds limit) {
  Catalogue catalogue;
  std::set<fs::path> seen;
  for (const auto& folder : folders) {
    catalogue.searched.push_back(folder.string());
    std::error_code none;
    if (!fs::is_directory(folder, none)) continue;
    for (const auto& entry : libraries_in(folder)) {
      fs::path library = entry;
      try {
        library = fs::canonical(entry);
        if (!seen.insert(library).second) continue;
        for (const auto& place : {folder, library.parent_path()})
          if (const auto reason = writable_by_others(place); !reason.empty())
            throw Error("lies in a folder that " + reason, Exit::plugin);
        add_all(catalogue, manifest_of(library, describer, limit));
      } catch (const std::exception& error) {
        catalogue.quarantined.push_back({library.string(), entry.stem().string(), error.what()});
      }
    }
  }
  return catalogue;
}

}  // namespace xp
