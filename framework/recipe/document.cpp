#include "recipe/document.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "recipe/toml_reader.h"
#include "schema/schema.h"

namespace xp::recipe {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kMostSeeds = 1000;

FieldInfo choice(std::string name, std::vector<std::string> names) {
  return {.name = std::move(name), .kind = Kind::choice, .choices = std::move(names)};
}

// Top keys that are plain values.
const std::vector<FieldInfo>& top_fields() {
  static const std::vector<FieldInfo> all{
      {.name = "recipe", .kind = Kind::integer},
      {.name = "name", .kind = Kind::text},
      {.name = "summary", .kind = Kind::text},
      {.name = "extends", .kind = Kind::anything},
      {.name = "seeds", .kind = Kind::anything},
      choice("device", {"cpu", "cuda"}),
      choice("precision", {"float32", "bfloat16"}),
      {.name = "threads", .kind = Kind::integer, .min = 0, .max = 4096},
      choice("determinism", {"bitwise", "seeded", "off"}),
  };
  return all;
}

std::vector<std::string> top_keys() {
  std::vector<std::string> keys;
  for (const auto& field : top_fields()) keys.push_back(field.name);
  for (const auto& kind : recipe_kinds()) keys.push_back(kind);
  for (const char* key : {"tower", "stage", "arm", "claim", "table", "figure", "sweep", "smoke", "plugins"})
    keys.emplace_back(key);
  return keys;
}

void check_top_keys(const Table& document, Problems& problems) {
  const auto known = top_keys();
  for (const auto& [key, value] : document) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      const auto near = nearest(key, known);
      problems.error(
          "unknown-key", backquoted(printable(key)) + " is not a key of a recipe", value.key,
          near ? "did you mean " + backquoted(*near) + "?" : "top keys are " + listed(known, known.size()));
      continue;
    }
    const auto field =
        std::find_if(top_fields().begin(), top_fields().end(), [&](const auto& f) { return f.name == key; });
    if (field != top_fields().end() && field->kind != Kind::anything)
      check_value(*field, value, "the recipe", problems);
  }
}

void check_format(const Table& document, Problems& problems) {
  const auto found = document.find("recipe");
  if (found == document.end()) {
    SourceSpan span;  // the first line of the last layer, which is the recipe itself
    for (const auto* one : in_source_order(document)) span = one->second.key;
    if (span) span.line = 1, span.column = 1, span.length = 1;
    problems.error("missing-key", "`recipe` is missing", span,
                   "write `recipe = 1`, the version of the format, at the top");
  } else if (const auto* version = found->second.as<std::int64_t>(); version && *version != kFormat) {
    problems.error("unknown-format",
                   "this program does not know version " + std::to_string(*version) + " of the format",
                   found->second.span, "it reads version " + std::to_string(kFormat));
  }
}

template <class T>
T get_or(const Table& document, std::string_view key, T fallback) {
  const auto found = document.find(key);
  const T* value = found == document.end() ? nullptr : found->second.as<T>();
  return value ? *value : fallback;
}

std::vector<std::int64_t> read_seeds(const Value& value, const std::string& name, Problems& problems) {
  const auto wrong = [&](const SourceSpan& span, const std::string& found) {
    problems.error("bad-seeds", name + " cannot be " + found, span,
                   value.span ? "a number (4 means 0, 1, 2, 3) or a list of different integers >= 0"
                              : "different integers >= 0");
    return std::vector<std::int64_t>{0};
  };
  std::vector<std::int64_t> seeds;
  if (const auto* n = value.as<std::int64_t>()) {
    if (*n < 1 || *n > static_cast<std::int64_t>(kMostSeeds)) return wrong(value.span, std::to_string(*n));
    for (std::int64_t i = 0; i < *n; ++i) seeds.push_back(i);
    return seeds;
  }
  const auto* list = value.as<List>();
  if (!list || list->empty() || list->size() > kMostSeeds) return wrong(value.span, to_text(value));
  for (const auto& one : *list) {
    const auto* seed = one.as<std::int64_t>();
    if (!seed || *seed < 0) return wrong(one.span, to_text(one));
    if (std::find(seeds.begin(), seeds.end(), *seed) != seeds.end()) return wrong(one.span, to_text(one) + " twice");
    seeds.push_back(*seed);
  }
  return seeds;
}

void check_plugins(const Value& value, bool trusted, Problems& problems) {
  const FieldInfo paths{.name = "path", .kind = Kind::list, .fields = {{.name = "", .kind = Kind::text}}};
  const FieldInfo field{.name = "plugins", .kind = Kind::table, .fields = {paths}};
  if (!check_value(field, value, "the recipe", problems)) return;
  const auto* table = value.as<Table>();
  const auto path = table->find("path");
  if (path == table->end() || trusted) return;
  problems.error("untrusted-plugins", "the recipe names folders of plugins, whose code would run", path->second.span,
                 "pass --trust-plugins if you trust them");
}

}  // namespace

bool is_named_group(std::string_view key) {
  const auto& kinds = recipe_kinds();
  return key == "tower" || key == "stage" || std::find(kinds.begin(), kinds.end(), key) != kinds.end();
}

Head read_head(const Table& document, const ResolveOptions& options, Problems& problems) {
  Head head;
  const auto before = problems.errors();
  check_format(document, problems);
  check_top_keys(document, problems);
  head.name = get_or<std::string>(document, "name", "");
  head.summary = get_or<std::string>(document, "summary", "");
  if (const auto name = document.find("name");
      name != document.end() && name->second.as<std::string>() && !is_name(head.name))
    problems.error("bad-name", "a recipe cannot be named " + backquoted(printable(head.name)), name->second.span,
                   "a letter, then letters, digits, `_` or `-`, at most 64 in all");
  head.setting.device = get_or<std::string>(document, "device", head.setting.device);
  head.setting.precision = get_or<std::string>(document, "precision", head.setting.precision);
  head.setting.determinism = get_or<std::string>(document, "determinism", head.setting.determinism);
  head.setting.threads = get_or<std::int64_t>(document, "threads", head.setting.threads);
  head.setting.processes = options.processes;
  if (options.processes > 1 && head.setting.determinism == "bitwise")
    problems.error("bitwise-processes",
                   "`determinism = \"bitwise\"` needs one process, not " + std::to_string(options.processes),
                   document.find("determinism")->second.span,
                   "sums over processes come in another order than sums within one");
  if (const auto seeds = document.find("seeds"); seeds != document.end())
    head.seeds = read_seeds(seeds->second, "`seeds`", problems);
  if (!options.seeds.empty()) {
    List given;
    for (const auto seed : options.seeds) given.emplace_back(seed);
    head.seeds = read_seeds(Value(std::move(given)), "`--seed`", problems);
  }
  if (const auto plugins = document.find("plugins"); plugins != document.end())
    check_plugins(plugins->second, options.trust_plugins, problems);
  head.sound = problems.errors() == before;
  return head;
}

Names::Names(const Table& document, Problems& problems) {
  for (const auto* group : in_source_order(document)) {
    if (!is_named_group(group->first)) continue;
    const auto* table = group->second.as<Table>();
    if (!table) {
      problems.error(
          "wrong-type",
          backquoted(group->first) + " must hold named tables, not " + std::string(type_name(group->second)),
          group->second.span, "write [" + group->first + ".NAME]");
      continue;
    }
    for (const auto* one : in_source_order(*table)) {
      const auto& [name, value] = *one;
      if (!is_name(name) || name == "none") {
        problems.error(
            "bad-name", with_article(group->first) + " cannot be named " + backquoted(printable(name)), value.key,
            name == "none" ? "`none` means absent" : "a letter, then letters, digits, `_` or `-`, at most 64 in all");
      } else if (!value.as<Table>()) {
        problems.error(
            "wrong-type",
            backquoted(group->first + "." + name) + " must be a table, not " + std::string(type_name(value)),
            value.span, "write [" + group->first + "." + name + "]");
      } else if (const auto [other, fresh] = names_.emplace(name, NamedTable{group->first, name, &value}); !fresh) {
        const auto& place = other->second.value->key;
        const bool later = !before(value.key, place);
        problems.error("duplicate-name",
                       "the name " + backquoted(name) + " is given twice, to " + with_article(other->second.kind) +
                           " and to " + with_article(group->first),
                       later ? value.key : place, "datasets, towers, components and stages share one namespace");
      }
    }
  }
}

const NamedTable* Names::find(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

std::vector<const NamedTable*> Names::of_kind(std::string_view kind) const {
  std::vector<const NamedTable*> out;
  for (const auto& [name, one] : names_)
    if (one.kind == kind) out.push_back(&one);
  std::stable_sort(out.begin(), out.end(),
                   [](const NamedTable* a, const NamedTable* b) { return before(a->value->key, b->value->key); });
  return out;
}

std::vector<const NamedTable*> Names::of_interface(std::string_view interface) const {
  std::vector<const NamedTable*> out;
  for (const auto& kind : recipe_kinds()) {
    const auto interfaces = interfaces_of_kind(kind);
    if (std::find(interfaces.begin(), interfaces.end(), interface) == interfaces.end()) continue;
    for (const auto* one : of_kind(kind)) out.push_back(one);
  }
  if (interface == "tower") out = of_kind("tower");
  std::stable_sort(out.begin(), out.end(),
                   [](const NamedTable* a, const NamedTable* b) { return before(a->value->key, b->value->key); });
  return out;
}

std::string kind_of_interface(std::string_view interface) {
  for (const auto& kind : recipe_kinds()) {
    const auto interfaces = interfaces_of_kind(kind);
    if (std::find(interfaces.begin(), interfaces.end(), interface) != interfaces.end()) return kind;
  }
  return std::string(interface);
}

std::string with_article(std::string_view word) {
  const bool vowel = !word.empty() && std::string_view("aeiou").find(word[0]) != std::string_view::npos;
  return (vowel ? "an " : "a ") + std::string(word);
}

bool follows_from_unknown(const std::vector<FieldInfo>& fields, const Table& written, const std::string& missing) {
  return std::any_of(written.begin(), written.end(), [&](const auto& one) {
    const bool known =
        std::any_of(fields.begin(), fields.end(), [&](const FieldInfo& f) { return f.name == one.first; });
    return !known && nearest(one.first, {missing});
  });
}

std::string suggestion(std::string_view name, const std::vector<std::string>& known, std::string_view none) {
  if (const auto near = nearest(name, known)) return "did you mean " + backquoted(*near) + "?";
  return known.empty() ? std::string(none) : "there is " + listed(known);
}

}  // namespace xp::recipe
