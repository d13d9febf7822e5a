#include "plugin/manifest.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kFormat = 1;
constexpr std::uint64_t kMostBytes = std::uint64_t{16} << 20;

fs::path beside(fs::path library) { return library.replace_extension(".json"); }
fs::path in_cache(const fs::path& library) {
  return user_cache() / "manifests" / (sha256(library.string()) + ".json");
}

// A changed time alone does not make a manifest stale: copying a plugin with its manifest changes the time only.
bool describes(const Manifest& manifest, const fs::path& library, const FileState& state) {
  if (manifest.state == state) return true;
  return manifest.failure.empty() && manifest.state.size == state.size &&
         manifest.sha256 == sha256_file_cached(library);
}

std::optional<Manifest> read_manifest(const fs::path& file, const fs::path& library, const FileState& state) {
  std::error_code none;
  if (!fs::is_regular_file(file, none) || !writable_by_others(file).empty()) return {};
  try {
    auto manifest = manifest_from_json(read_file(file, kMostBytes), library.string());
    if (describes(manifest, library, state)) return manifest;
  } catch (const Error& error) {
    log::debug("manifest not used: " + file.string() + ": " + error.what());
  }
  return {};
}

}  // namespace

FileState file_state(const fs::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0)
    throw Error("cannot read " + backquoted(file.string()) + ": " + std::strerror(errno), Exit::plugin);
  return {static_cast<std::uint64_t>(s.st_size), std::int64_t{s.st_mtim.tv_sec} * 1'000'000'000 + s.st_mtim.tv_nsec};
}

std::string manifest_to_json(const Manifest& manifest) {
  Json out = {{"format", kFormat},
              {"plugin", manifest.plugin},
              {"library size", manifest.state.size},
              {"mtime", manifest.state.changed},
              {"sha256", manifest.sha256},
              {"build", manifest.build}};
  if (!manifest.failure.empty()) out["failure"] = manifest.failure;
  auto& components = out["components"] = Json::array();
  for (const auto& one : manifest.components)
    components.push_back({{"interface", one.interface},
                          {"type", one.type},
                          {"summary", one.summary},
                          {"schema", Json::parse(schema_to_json(one.schema))}});
  // A failure quotes what the library printed, which may be no UTF-8.
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Manifest manifest_from_json(std::string_view json, const std::string& library) {
  try {
    const auto in = Json::parse(json);
    if (const auto& format = in.at("format"); format != kFormat)
      throw Error("a manifest has format " + format.dump() + ", this program reads " + std::to_string(kFormat),
                  Exit::plugin);
    Manifest manifest;
    manifest.plugin = in.at("plugin").get<std::string>();
    manifest.state = {in.at("library size").get<std::uint64_t>(), in.at("mtime").get<std::int64_t>()};
    manifest.sha256 = in.at("sha256").get<std::string>();
    manifest.build = in.at("build").get<std::string>();
    manifest.failure = in.value("failure", "");
    for (const auto& one : in.at("components")) {
      ComponentInfo info;
      info.interface = one.at("interface").get<std::string>();
      info.type = one.at("type").get<std::string>();
      info.summary = one.at("summary").get<std::string>();
      info.schema = schema_from_json(one.at("schema").dump());
      info.plugin = manifest.plugin, info.library = library, info.hash = manifest.sha256;
      manifest.components.push_back(std::move(info));
    }
    return manifest;
  } catch (const Json::exception& error) {
    throw Error(std::string("not a plugin's manifest: ") + error.what(), Exit::plugin);
  }
}

std::optional<Manifest> find_manifest(const fs::path& library) {
  const auto state = file_state(library);
  if (auto found = read_manifest(beside(library), library, state)) return found;
  return read_manifest(in_cache(library), library, state);
}

void keep_manifest(const fs::path& library, const Manifest& manifest) {
  const auto text = manifest_to_json(manifest);
  std::string why;
  if (manifest.failure.empty() && ::access(library.parent_path().c_str(), W_OK) == 0) {
    try {
      return write_file(beside(library), text);
    } catch (const Error& error) {
      log::debug(error.what());
    }
  }
  try {
    const auto file = in_cache(library);
    fs::create_directories(file.parent_path());
    write_file(file, text);
  } catch (const std::exception& error) {  // it is only described again next time
    log::debug(std::string("manifest not kept: ") + error.what());
  }
}

std::string writable_by_others(const fs::path& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return std::string("cannot be read: ") + std::strerror(errno);
  if (s.st_mode & (S_IWGRP | S_IWOTH)) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(s.st_mode & 07777));
    return std::string("can be written by others than its owner (mode ") + mode + "); `chmod go-w` makes it usable";
  }
  if (s.st_uid == 0 || s.st_uid == ::geteuid()) return {};
  Dl_info self{};
  struct stat program {};
  if (::dladdr(reinterpret_cast<const void*>(&writable_by_others), &self) != 0 && self.dli_fname &&
      ::stat(self.dli_fname, &program) == 0 && program.st_uid == s.st_uid)
    return {};  // who owns this program could change it anyway
  return "belongs to user " + std::to_string(s.st_uid) +
         ", who is neither you nor root nor the owner of this program";
}

std::string stamp_difference(std::string_view library, std::string_view program) {
  if (library == program) return {};
  const auto parts = [](std::string_view stamp) {
    std::vector<std::string> out;
    for (std::size_t at; (at = stamp.find(", ")) != std::string_view::npos; stamp.remove_prefix(at + 2))
      out.emplace_back(stamp.substr(0, at));
    out.emplace_back(stamp);
    return out;
  };
  const auto theirs = parts(library), ours = parts(program);
  std::vector<std::string> differ;
  if (theirs.size() == ours.size())
    for (std::size_t i = 0; i < ours.size(); ++i)
      if (theirs[i] != ours[i])
        differ.push_back(backquoted(theirs[i]) + ", this program with " + backquoted(ours[i]));
  if (differ.empty()) differ.push_back(backquoted(library) + ", this program with " + backquoted(program));
  return "was built with " + join(differ, "; with ") + "; build it again";
}

}  // namespace xp
