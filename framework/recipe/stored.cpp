#include "recipe/stored.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "plugin/build_stamp.h"
#include "recipe/provenance.h"
#include "results/settings.h"
#include "results/stored_json.h"

namespace xp {
namespace {

using detail::Stored;

constexpr std::size_t kShownDigits = 16;  // digits of a digest that a message shows

std::string attribute(const Result& result, const std::string& name) {
  const auto found = result.attributes().find(name);
  return found == result.attributes().end() ? std::string() : found->second;
}

template <class T>
List list_of(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

template <class T>
std::vector<T> values_of(const Stored& from, std::string_view key, std::string_view right) {
  std::vector<T> out;
  for (const auto& one : from.list(key)) {
    if (!one.as<T>()) throw from.wrong(key, right);
    out.push_back(*one.as<T>());
  }
  return out;
}

/// What a plan reads that is no artifact of its own: files by dataset, models and folders from outside by their
/// digest.
struct Content {
  std::map<std::string, std::map<std::string, std::set<std::string>>> files;  ///< dataset -> name -> sha256
  std::map<std::string, std::string> outside;
  std::set<std::pair<std::string, std::string>> seen;  ///< datasets with their digests

  void add(const Value& value, const std::string& owner, const detail::DatasetByDigest& datasets) {
    if (const auto* list = value.as<List>())
      for (const auto& one : *list) add(one, owner, datasets);
    const auto* table = value.as<Table>();
    if (!table) return;
    const auto text = [&](const char* key) {
      const auto found = table->find(key);
      return found == table->end() ? nullptr : found->second.as<std::string>();
    };
    if (text("path") && text("name") && text("sha256")) {
      files[owner][*text("name")].insert(*text("sha256"));
    } else if (const auto* name = text("reference")) {
      const auto short_name = name->substr(0, name->find_first_of(":#"));
      if (const auto* dataset = detail::dataset_of(*table, datasets)) {
        if (!text("digest") || seen.emplace(short_name, *text("digest")).second)
          add(Value(*dataset), short_name, datasets);
      } else if (!text("node") && text("digest"))
        outside[*name] = *text("digest");
    } else {
      for (const auto& [key, one] : *table) add(one, owner, datasets);
    }
  }
};

Content content_of(const Value& plan) {
  Content out;
  const auto datasets = [&](std::string_view digest) { return detail::planned(plan, "datasets", digest); };
  if (const auto* nodes = find(*plan.as<Table>(), "nodes")) out.add(*nodes, "the stages", datasets);
  return out;
}

std::string shown(const std::set<std::string>& digests) {
  if (digests.empty()) return "is missing";
  std::vector<std::string> all;
  for (const auto& one : digests) all.push_back(one.substr(0, kShownDigits));
  return "has sha256 " + join(all, ", ");
}

void check_data(const Content& then, const Content& now, const std::string& where) {
  for (const auto& files : {&then.files, &now.files})
    for (const auto& [dataset, names] : *files)
      for (const auto& [name, unused] : names) {
        const auto of = [&](const Content& content) {
          const auto found = content.files.find(dataset);
          const auto* all = found == content.files.end() ? nullptr : &found->second;
          return all && all->contains(name) ? all->at(name) : std::set<std::string>();
        };
        if (of(then) != of(now))
          throw Error("dataset " + backquoted(dataset) + " holds something else than when " + where +
                          " was made: " + backquoted(printable(name)) + " " + shown(of(now)) + " here and " +
                          shown(of(then)) + " there",
                      Exit::data);
      }
  for (const auto& [name, digest] : then.outside)
    if (const auto found = now.outside.find(name); found != now.outside.end() && found->second != digest)
      throw Error(backquoted(printable(name)) + " holds something else than when " + where +
                      " was made: its digest is " + found->second.substr(0, kShownDigits) + " here and " +
                      digest.substr(0, kShownDigits) + " there",
                  Exit::data);
}

void check_build(const Result& result, const Plan& plan, const Catalogue& catalogue, const std::string& where) {
  std::map<std::string, std::string> then;
  for (const auto& line : split(attribute(result, "plugins"), '\n'))
    if (const auto space = line.find(' '); space != std::string::npos)
      then[line.substr(0, space)] = line.substr(space + 1);
  std::vector<std::string> differ;
  const auto add = [&](const std::string& what, const std::string& old, const std::string& now) {
    if (!old.empty() && old != now)
      differ.push_back(what + " (" + old.substr(0, kShownDigits) + " there, " + now.substr(0, kShownDigits) +
                       " here)");
  };
  for (const auto& [name, hash] : plugin_hashes(plan, catalogue))
    add("plugin " + backquoted(name), then.contains(name) ? then.at(name) : "none", hash);
  add("the engine", attribute(result, "engine"), plan.engine);
  add("LibTorch", attribute(result, "libtorch"), XP_TORCH_VERSION);
  if (!differ.empty())
    throw Error(where + " was made with other binaries: " + join(differ, ", ") + "; --any-build takes these instead",
                Exit::plugin);
}

void check_text(const std::string& then, const std::string& now, const std::string& where) {
  const auto before = split(then, '\n'), after = split(now, '\n');
  for (std::size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    const auto line = [&](const std::vector<std::string>& lines) {
      return i < lines.size() ? backquoted(printable(trim(lines[i]))) : std::string("nothing");
    };
    if (i >= before.size() || i >= after.size() || before[i] != after[i])
      throw Error("the plan is not that of " + where + ": line " + std::to_string(i + 1) + " is " + line(after) +
                      " here and " + line(before) + " there",
                  Exit::usage);
  }
}

}  // namespace

Table recipe::overrides_table(const ResolveOptions& options) {
  Table out{{"set", list_of(options.set)},     {"unset", list_of(options.unset)}, {"arms", list_of(options.arms)},
            {"seeds", list_of(options.seeds)}, {"smoke", options.smoke},          {"processes", options.processes}};
  if (!options.sweep.empty()) out.emplace("sweep", options.sweep);
  return out;
}

ResolveOptions stored_experiment(const Result& result) {
  const auto where = backquoted(result.path().string());
  ResolveOptions out;
  if (const auto files = attribute(result, "recipe_files"); !files.empty()) {
    const auto value = value_from_json(files);
    const auto* list = value.as<List>();
    for (const auto& one : list ? *list : List()) {
      if (!one.as<Table>()) throw Error(where + " is damaged: `recipe_files` are not objects", Exit::data);
      const Stored file(*one.as<Table>(), where + ": recipe_files");
      out.stored.push_back({file.text("path"), file.text("text")});
    }
  }
  if (out.stored.empty())
    throw Error(where + " does not hold the files of its recipe; run the recipe itself", Exit::data);
  const auto stored = detail::stored_object(attribute(result, "overrides"), where + ": overrides");
  const Stored overrides(stored, where + ": overrides");
  out.set = values_of<std::string>(overrides, "set", "a list of texts");
  out.unset = values_of<std::string>(overrides, "unset", "a list of texts");
  out.arms = values_of<std::string>(overrides, "arms", "a list of texts");
  out.seeds = values_of<std::int64_t>(overrides, "seeds", "a list of integers");
  out.processes = overrides.integer("processes");
  const auto smoke = stored.find("smoke");
  out.smoke = smoke != stored.end() && smoke->second == Value(true);
  if (overrides.has("sweep")) out.sweep = overrides.table("sweep");
  return out;
}

void check_same_experiment(const Result& result, const Plan& plan, const Catalogue& catalogue, bool any_build) {
  const auto where = backquoted(result.path().string());
  const auto now = to_value(plan);
  check_data(content_of(result.plan()), content_of(value_from_json(to_json(now))), where);
  const Stored stored(*result.plan().as<Table>(), where + ": plan");
  if (any_build && stored.text("plan_id") == plan.plan_id) return;
  if (!any_build) check_build(result, plan, catalogue, where);
  check_text(stored.text("text"), *find(*now.as<Table>(), "text")->as<std::string>(), where);
}

}  // namespace xp
