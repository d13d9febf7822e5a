#include "data_sources.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "recipe/toml_reader.h"
#include "schema/schema.h"

namespace xp::program {
namespace {

namespace fs = std::filesystem;

FieldInfo text_field(const char* name, bool required) {
  FieldInfo field;
  field.name = name, field.kind = Kind::text, field.required = required;
  return field;
}

FieldInfo source_table() {
  FieldInfo table;
  table.name = "source", table.kind = Kind::table;
  for (const char* name : {"package", "version", "sha256", "licence", "root"})
    table.fields.push_back(text_field(name, true));
  table.fields.push_back(text_field("summary", false));
  auto registry = text_field("registry", true);
  registry.kind = Kind::choice, registry.choices = {"deb", "npm", "pypi"};
  auto size = text_field("size_bytes", true);
  size.kind = Kind::integer, size.min = 1;
  auto members = text_field("members", true);
  members.kind = Kind::list, members.fields = {text_field("", false)};
  table.fields.insert(table.fields.end(), {registry, size, members});
  return table;
}

/// A package name or version is an argument of a program: no option, no path, no blank.
bool is_plain(std::string_view text) {
  return !text.empty() && text.front() != '-' && text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '_' || c == '+' || c == '~' || c == ':' || c == '-' || c == '@';
         });
}

/// Of npm also a name in a scope: @scope/name.
bool is_package(std::string_view text, const std::string& registry) {
  const auto slash = text.find('/');
  if (registry != "npm" || !text.starts_with('@') || slash == std::string_view::npos) return is_plain(text);
  return is_plain(text.substr(1, slash - 1)) && is_plain(text.substr(slash + 1));
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string text_of(const Table& table, const char* key) {
  const auto found = table.find(key);
  return found == table.end() ? std::string() : *found->second.as<std::string>();
}

PackageSource source_of(const std::string& name, const Value& value, Problems& problems) {
  const auto& table = *value.as<Table>();
  PackageSource out;
  out.name = name;
  out.registry = text_of(table, "registry"), out.package = text_of(table, "package"),
  out.version = text_of(table, "version");
  out.sha256 = text_of(table, "sha256"), out.licence = text_of(table, "licence"),
  out.summary = text_of(table, "summary");
  out.root = text_of(table, "root");
  out.size = static_cast<std::uint64_t>(*table.at("size_bytes").as<std::int64_t>());
  for (const auto& member : *table.at("members").as<List>()) out.members.push_back(*member.as<std::string>());
  if (!is_name(name)) problems.error("bad-name", backquoted(printable(name)) + " is no name of a source", value.key);
  const auto plain = [&](const char* key, bool good, const char* hint) {
    if (!good)
      problems.error("bad-value",
                     backquoted(key) + " of source " + backquoted(printable(name)) + " is " +
                         backquoted(printable(text_of(table, key))),
                     table.at(key).span, hint);
  };
  plain("package", is_package(out.package, out.registry),
        "letters, digits and . _ + ~ : @ -, no - in front; of npm also @scope/name");
  plain("version", is_plain(out.version), "letters, digits and . _ + ~ : @ -, no - in front");
  if (!is_sha256(out.sha256))
    problems.error("bad-value", "`sha256` of source " + backquoted(printable(name)) + " is no digest",
                   table.at("sha256").span, "64 hexadecimal digits in lower case");
  return out;
}

}  // namespace

std::map<std::string, PackageSource> read_sources(const fs::path& file) {
  Problems problems;
  const auto text = std::make_shared<const SourceText>(SourceText{file.string(), read_file(file, 1 << 20)});
  const auto document = recipe::read_toml(text, problems);
  problems.raise("nothing was fetched");
  std::map<std::string, PackageSource> out;
  const auto found = document->find("source");
  if (found == document->end() || !found->second.as<Table>())
    throw Error(file.string() + " has no [source.NAME] table", Exit::usage);
  const auto fields = source_table();
  for (const auto& [name, value] : *found->second.as<Table>())
    if (check_value(fields, value, "source " + backquoted(printable(name)), problems))
      out.emplace(name, source_of(name, value, problems));
  problems.raise("nothing was fetched");
  return out;
}

std::map<std::string, ShippedData> read_shipped(const fs::path& manifest) {
  std::map<std::string, ShippedData> out;
  std::error_code none;
  if (!fs::exists(manifest, none)) return out;
  Problems problems;
  const auto text = std::make_shared<const SourceText>(SourceText{manifest.string(), read_file(manifest, 1 << 22)});
  const auto document = recipe::read_toml(text, problems);
  problems.raise("nothing was read", Exit::data);
  const auto wrong = [&](const Value& where, const std::string& what) {
    Problems one;
    one.error("bad-manifest", what, where.span ? where.span : where.key,
              "tools/data/build_datasets.py writes the manifest");
    one.raise("nothing was read", Exit::data);
  };
  const auto found = document->find("file");
  if (found == document->end() || !found->second.as<List>())
    throw Error(manifest.string() + " has no [[file]]", Exit::data);
  for (const auto& one : *found->second.as<List>()) {
    const auto* table = one.as<Table>();
    if (!table) wrong(one, "an entry of `file` is no table");
    const auto words = [&](const char* key) -> const std::string& {
      const auto at = table->find(key);
      if (at == table->end() || !at->second.as<std::string>()) wrong(one, std::string("a file has no `") + key + "`");
      return *table->at(key).as<std::string>();
    };
    const auto number = [&](const char* key) {
      const auto at = table->find(key);
      if (at == table->end() || !at->second.as<std::int64_t>() || *at->second.as<std::int64_t>() < 0)
        wrong(one, std::string("a file has no `") + key + "`");
      return static_cast<std::uint64_t>(*table->at(key).as<std::int64_t>());
    };
    const auto& path = words("path");
    auto& folder = out[path.substr(0, path.find('/'))];
    folder.name = path.substr(0, path.find('/')), folder.type = words("type");
    folder.languages.insert(words("language")), folder.licences.insert(words("licence"));
    folder.sources.insert(words("package") + " " + words("version"));
    folder.bytes += number("bytes"), folder.raw_bytes += number("raw_bytes"), ++folder.files;
  }
  return out;
}

fs::path package_folder(const fs::path& cache, const PackageSource& source) {
  return cache / "packages" / (source.name + "-" + source.version);
}

fs::path package_stamp(const fs::path& cache, const PackageSource& source) {
  return package_folder(cache, source).string() + ".sha256";
}

bool is_fetched(const fs::path& cache, const PackageSource& source) {
  std::error_code none;
  const auto stamp = package_stamp(cache, source);
  return fs::is_directory(package_folder(cache, source), none) && fs::is_regular_file(stamp, none) &&
         trim(read_file(stamp, 4096)) == source.sha256;
}

}  // namespace xp::program
