// Files, packages and outside artifacts that a recipe names.
#include <algorithm>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "recipe/document.h"
#include "recipe/toml_reader.h"
#include "recipe/world.h"

namespace xp::recipe {
namespace {

namespace fs = std::filesystem;

bool climbs(std::string_view path) {
  const auto parts = split(path, '/');
  return std::find(parts.begin(), parts.end(), "..") != parts.end();
}

const std::vector<FieldInfo>& source_fields() {
  static const std::vector<FieldInfo> all = [] {
    std::vector<FieldInfo> out;
    for (const char* name : {"registry", "package", "version", "sha256", "licence", "summary", "root"})
      out.push_back({.name = name, .kind = Kind::text});
    for (const char* required : {"registry", "version", "sha256"})
      for (auto& field : out)
        if (field.name == required) field.required = true;
    out[0].kind = Kind::choice, out[0].choices = {"deb", "npm", "pypi"};
    out.push_back({.name = "size_bytes", .kind = Kind::integer, .min = 0});
    out.push_back({.name = "members", .kind = Kind::list, .fields = {{.kind = Kind::text}}});
    return out;
  }();
  return all;
}

}  // namespace

Files::Files(fs::path root, const Table& document, Problems& problems) : root_(std::move(root)), problems_(problems) {
  const auto found = document.find("source");
  const auto* table = found == document.end() ? nullptr : found->second.as<Table>();
  if (!table) return;
  for (const auto& [name, value] : *table)
    if (check_value({.name = "source", .kind = Kind::table, .fields = source_fields()}, value,
                    "package " + backquoted(name), problems))
      sources_.emplace(name, value);
}

void Files::read_shipped() {
  if (shipped_read_) return;
  shipped_read_ = true;
  const auto file = root_ / "datasets" / "sources.toml";
  std::error_code none;
  if (!fs::is_regular_file(file, none)) return;
  const auto source =
      std::make_shared<const SourceText>(SourceText{"datasets/sources.toml", read_file(file, 1 << 20)});
  const auto table = read_toml(source, problems_);
  const auto* sources = table && table->contains("source") ? table->at("source").as<Table>() : nullptr;
  if (sources) sources_.insert(sources->begin(), sources->end());  // the recipe's own win
}

std::vector<std::string> Files::packages() {
  read_shipped();
  std::vector<std::string> names;
  for (const auto& [name, value] : sources_) names.push_back(name);
  return names;
}

std::string Files::pinned(const std::string& package, const std::string& key) {
  read_shipped();
  const auto* value = find(sources_, package + "." + key);
  return value && value->as<std::string>() ? *value->as<std::string>() : std::string();
}

const std::string& Files::hash(const fs::path& file) {
  auto& known = hashes_[file.string()];
  if (known.empty()) known = sha256_file_cached(file);
  return known;
}

std::vector<Files::Member> Files::in_package(const std::string& rest, const SourceSpan& span) {
  const auto slash = rest.find('/');
  const auto name = rest.substr(0, slash);
  const auto member = slash == std::string::npos ? std::string() : rest.substr(slash + 1);
  if (member.empty() || climbs(member) || member.starts_with('/')) {
    problems_.error("bad-path", backquoted(printable("package:" + rest)) + " names no member of a package", span,
                    "\"package:NAME/member\", without `..`");
    return {};
  }
  const auto version = is_name(name) ? pinned(name, "version") : std::string();
  if (version.empty() || climbs(version) || version.find('/') != std::string::npos) {
    problems_.error("unknown-package", "there is no package " + backquoted(printable(name)), span,
                    suggestion(name, packages(), "a package is pinned in [source.NAME] or in datasets/sources.toml"));
    return {};
  }
  const auto folder = user_cache() / "packages" / (name + "-" + version);
  // The stamp is written last: a folder without it, or with another content's, counts as absent.
  const fs::path stamp = folder.string() + ".sha256";
  std::error_code none;
  const bool there = fs::is_directory(folder, none) && fs::is_regular_file(stamp, none) &&
                     trim(read_file(stamp, 4096)) == pinned(name, "sha256");
  if (!there) {
    const auto digest = std::string(kNotFetched) + name + " " + pinned(name, "sha256");
    not_fetched_.push_back({digest, "package " + backquoted(name) + " " + version + " is not on this machine", span,
                            "fetch it before a run: xp data fetch " + name});
    return {{folder / member, digest}};
  }
  std::vector<Member> found;
  for (auto& path : glob(folder, member)) found.push_back({std::move(path), {}});
  if (found.empty() && fs::is_directory(folder / member, none)) found.push_back({folder / member, {}});
  if (found.empty())
    problems_.error("missing-file",
                    "package " + backquoted(name) + " " + version + " has no " + backquoted(printable(member)), span,
                    "`*` stands for any part of a name, `**` for any folders");
  return found;
}

std::vector<FoundFile> Files::matching(const std::string& pattern, const SourceSpan& span) {
  std::vector<fs::path> paths;
  if (pattern.starts_with("package:")) {
    for (auto& member : in_package(pattern.substr(8), span)) {
      if (!member.not_fetched.empty())
        return {{member.path, pattern.substr(pattern.rfind('/') + 1), member.not_fetched}};
      paths.push_back(std::move(member.path));
    }
  } else if (pattern.empty() || climbs(pattern) || !is_utf8(pattern) || pattern.find('\0') != std::string::npos) {
    problems_.error("bad-path", backquoted(printable(pattern)) + " is not a path pattern", span,
                    "a path below the project's root, without `..`, such as \"datasets/handbook/*.txt.zst\"");
  } else {
    paths = glob(root_, pattern);
    if (paths.empty())
      problems_.error(
          "missing-file", "no file fits " + backquoted(printable(pattern)), span,
          "paths are relative to the project's root; `*` stands for any part of a name, `**` for any folders");
  }
  std::vector<FoundFile> out;
  bool readable = true;
  for (const auto& path : paths) {
    std::error_code none;
    if (!fs::is_regular_file(path, none)) continue;
    try {
      out.push_back({fs::absolute(path).lexically_normal(), path.filename().string(), hash(path)});
    } catch (const Error& error) {
      problems_.error("missing-file", error.what(), span);
      readable = false;
    }
  }
  if (out.empty() && !paths.empty() && readable)
    problems_.error("missing-file", "no file fits " + backquoted(printable(pattern)), span, "only folders do");
  return out;
}

std::optional<Files::Outside> Files::outside(const std::string& scheme, const std::string& rest,
                                             const SourceSpan& span) {
  const auto refuse = [&](const std::string& what, const std::string& hint) -> std::optional<Outside> {
    problems_.error("missing-file", what, span, hint);
    return {};
  };
  std::vector<fs::path> paths;
  if (scheme == "package") {
    for (auto& member : in_package(rest, span)) {
      if (!member.not_fetched.empty()) return Outside{member.path, member.not_fetched};
      paths.push_back(std::move(member.path));
    }
    if (paths.empty()) return {};
    if (paths.size() > 1)
      return refuse(
          count(paths.size(), "file") + " fit " + backquoted(printable("package:" + rest)) + ", one is wanted",
          "name it whole");
  } else if (rest.empty() || rest.find('\0') != std::string::npos) {
    return refuse(backquoted(scheme + ":") + " names no file", scheme == "hf" ? "\"hf:DIR\"" : "\"gguf:FILE\"");
  } else {
    paths.push_back(fs::path(rest).is_absolute() ? fs::path(rest) : root_ / rest);
  }
  const auto path = fs::absolute(paths.front()).lexically_normal();
  std::error_code none;
  const bool folder = fs::is_directory(path, none);
  if (scheme == "hf" && !folder)
    return refuse("there is no folder " + backquoted(printable(rest)),
                  "a model directory, relative to the project's root");
  if (scheme == "gguf" && !fs::is_regular_file(path, none))
    return refuse("there is no file " + backquoted(printable(rest)), "relative to the project's root");
  try {
    if (!folder) return Outside{path, hash(path)};
    std::vector<fs::path> members;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.is_regular_file()) members.push_back(entry.path());
      if (!entry.is_directory()) continue;
      for (const auto& inner : fs::directory_iterator(entry.path()))  // "1_Pooling/config.json" changes results
        if (inner.is_regular_file() && inner.path().extension() == ".json") members.push_back(inner.path());
    }
    std::sort(members.begin(), members.end());
    if (members.empty()) return refuse("there is no file in " + backquoted(printable(rest)), "");
    Digest digest;
    for (const auto& member : members) digest.add(member.lexically_relative(path).string()).add(hash(member));
    return Outside{path, digest.hex()};
  } catch (const Error& error) {
    return refuse(error.what(), "");
  } catch (const fs::filesystem_error& error) {
    return refuse("cannot list " + backquoted(printable(rest)) + ": " + error.code().message(), "");
  }
}

const ComponentInfo* World::find(const std::vector<std::string>& interfaces, std::string_view type) const {
  for (const auto& interface : interfaces)
    if (const auto* info = catalogue.find(interface, type)) return info;
  return nullptr;
}

void World::unknown_type(const std::vector<std::string>& interfaces, std::string_view word, const Value& type) const {
  const auto& name = *type.as<std::string>();
  std::vector<std::string> known;
  for (const auto& interface : interfaces)
    for (auto& one : catalogue.types(interface)) known.push_back(std::move(one));
  // The one that has the wanted name explains the miss; the others are a number, or the message drowns in them.
  const auto& broken = catalogue.quarantined;
  const auto own = std::find_if(broken.begin(), broken.end(), [&](const auto& one) { return one.plugin == name; });
  std::string hint;
  if (own != broken.end()) {
    hint = "plugin " + backquoted(own->plugin) + " is quarantined: " + own->reason;
  } else if (nearest(name, known)) {
    hint = suggestion(name, known, "");
  } else {
    hint = suggestion(name, known, "no plugin offers " + with_article(word));
    if (!catalogue.searched.empty()) hint += "; looked in " + join(catalogue.searched, ", ");
    if (!broken.empty()) hint += "; " + count(broken.size(), "plugin") + " quarantined, `xp plugins` says why";
  }
  problems.error("unknown-type", "there is no " + std::string(word) + " " + backquoted(printable(name)), type.span,
                 hint);
}

}  // namespace xp::recipe
