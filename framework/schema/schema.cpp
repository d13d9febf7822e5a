#include "schema/schema.h"

#include <algorithm>

#include "schema/checks.h"

namespace xp {
namespace {

struct RecipeKind {
  std::string_view name;
  std::vector<std::string> interfaces;
};

// The kinds of a recipe in the order of the manual. A source is no component: the reader of recipes knows it.
const std::vector<RecipeKind>& kinds() {
  static const std::vector<RecipeKind> all{
      {"dataset", {"data_source", "dataset"}},
      {"tokenizer", {"tokenizer"}},
      {"model", {"model"}},
      {"objective", {"objective"}},
      {"optimizer", {"optimizer"}},
      {"schedule", {"schedule"}},
      {"strategy", {"strategy"}},
      {"callback", {"callback"}},
      {"constraint", {"constraint"}},
      {"initializer", {"vocab_initializer"}},
      {"evaluator", {"evaluator"}},
      {"probe", {"evaluator"}},
      {"transform", {"transform"}},
      {"generator", {"generator"}},
      {"backend", {"backend"}},
      {"scorer", {"scorer"}},
      {"selector", {"selector"}},
      {"search", {"search"}},
      {"launcher", {"launcher"}},
      {"source", {}},
  };
  return all;
}

std::string bounds(const FieldInfo& field) {
  const auto low = field.min ? number_text(*field.min) : "";
  const auto high = field.max ? number_text(*field.max) : "";
  if (field.min && field.max && !field.above_min && !field.below_max) return ", " + low + " to " + high;
  std::string out;
  if (field.min) out += (field.above_min ? ", > " : ", >= ") + low;
  if (field.max) out += (field.min ? " and " : ", ") + std::string(field.below_max ? "< " : "<= ") + high;
  return out;
}

std::string alternatives(const std::vector<std::string>& parts) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? " or " : ", ";
    out += parts[i];
  }
  return out;
}

std::string units_text(const std::vector<Unit>& units) {
  if (units.empty()) return "amount with a unit";
  std::vector<std::string> names;
  bool bare = false;
  for (const Unit unit : units) {
    if (unit == Unit::none) bare = true;
    if (unit == Unit::percent) names.emplace_back("percent");
    if (unit == Unit::factor) names.emplace_back("as a factor (\"x0.25\")");
    if (unit != Unit::none && unit != Unit::percent && unit != Unit::factor) names.emplace_back(unit_name(unit));
  }
  if (names.empty()) return "number";
  return (bare ? "number, or amount in " : "amount in ") + alternatives(names);
}

// The value that a field wants, without its default.
std::string wanted(const FieldInfo& field) {
  switch (field.kind) {
    case Kind::boolean: return "true or false";
    case Kind::integer: return "integer" + bounds(field);
    case Kind::real: return "real" + bounds(field);
    case Kind::text: return "text";
    case Kind::choice: {
      std::vector<std::string> names;
      for (const auto& choice : field.choices) names.push_back(backquoted(choice));
      return "one of " + join(names, ", ");
    }
    case Kind::quantity: return units_text(field.units) + bounds(field);
    case Kind::distribution: return "number or distribution" + bounds(field);
    case Kind::part: return field.interface;
    case Kind::model: return "model";
    case Kind::artifact:
      return (field.interface.empty() ? "artifact" : field.interface) + (field.evaluates ? " with its split" : "");
    case Kind::files: return "path patterns";
    case Kind::list: return "list of " + (field.fields.empty() ? "anything" : wanted(field.fields.front()));
    case Kind::table: {
      std::vector<std::string> names;
      for (const auto& one : field.fields) names.push_back(one.name);
      return "table of " + listed(names);
    }
    case Kind::any_of: {
      std::vector<std::string> parts;
      for (const auto& one : field.fields) parts.push_back(wanted(one));
      return alternatives(parts);
    }
    case Kind::anything: return "any value";
    case Kind::map: return "table of " + wanted(field.fields.front());
  }
  return {};
}

std::string fallback_text(const FieldInfo& field) {
  const auto& value = *field.fallback;
  const auto* text = value.as<std::string>();
  if (field.kind == Kind::choice && text) return backquoted(*text);
  if (field.kind == Kind::quantity && text) return *text;
  return to_text(value);
}

// The words that a field is known by: its name, and the beginning of its sentence ("Learning rate." ->
// learning_rate).
std::string doc_name(const FieldInfo& field) {
  std::string out;
  for (const char c : field.doc.substr(0, field.doc.find_first_of(".,;:("))) {
    if (c == ' ' || c == '-') {
      if (!out.empty() && out.back() != '_') out += '_';
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  while (out.ends_with('_')) out.pop_back();
  return out;
}

const FieldInfo* meant(const std::vector<FieldInfo>& fields, std::string_view key) {
  const auto by = [&](auto&& name_of) -> const FieldInfo* {
    std::vector<std::string> names;
    for (const auto& field : fields) names.push_back(name_of(field));
    const auto near = nearest(key, names);
    if (!near) return nullptr;
    return &fields[static_cast<std::size_t>(std::find(names.begin(), names.end(), *near) - names.begin())];
  };
  if (const auto* field = by([](const FieldInfo& f) { return f.name; })) return field;
  return by(doc_name);
}

void collect_ramps(const std::vector<FieldInfo>& fields, const Table& settings, const std::string& prefix,
                   std::vector<std::pair<std::string, Ramp>>& out) {
  for (const auto& field : fields) {
    const auto found = settings.find(field.name);
    const auto* table = found == settings.end() ? nullptr : found->second.as<Table>();
    if (!table) continue;
    if (field.kind == Kind::table) collect_ramps(field.fields, *table, prefix + field.name + ".", out);
    if (!field.schedulable || (field.learnable && detail::looks_learnable(*table))) continue;
    Problems problems;
    auto ramp = read_ramp(found->second, prefix + field.name, problems);
    problems.raise();
    if (ramp) out.emplace_back(prefix + field.name, std::move(*ramp));
  }
}

std::string condition_text(const Value* value) {
  if (!value) return "none";
  if (const auto* text = value->as<std::string>()) return *text;
  if (const auto* reference = value->as<Reference>()) return reference->text;
  if (const auto* list = value->as<List>(); list && list->empty()) return "none";
  if (const auto* table = value->as<Table>()) {
    const auto type = table->find("type");
    if (type != table->end() && type->second.as<std::string>()) return *type->second.as<std::string>();
  }
  return to_text(*value);
}

}  // namespace

const FieldInfo* Schema::find(std::string_view name) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const FieldInfo& f) { return f.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

std::vector<std::string> interfaces_of_kind(std::string_view recipe_kind) {
  for (const auto& kind : kinds())
    if (kind.name == recipe_kind) return kind.interfaces;
  return {};
}

const std::vector<std::string>& recipe_kinds() {
  static const auto names = [] {
    std::vector<std::string> out;
    for (const auto& kind : kinds()) out.emplace_back(kind.name);
    return out;
  }();
  return names;
}

std::string describe(const FieldInfo& field) {
  auto out = wanted(field);
  const auto* list = field.fallback ? field.fallback->as<List>() : nullptr;
  if (field.required) return out + ", required";
  if (field.fallback && !(list && list->empty())) return out + ", default " + fallback_text(field);
  return out;
}

void report_unknown_key(const std::vector<FieldInfo>& fields, std::string_view path, const SourceSpan& key,
                        std::string_view owner, Problems& problems, const std::vector<std::string>& more) {
  const auto name = path.substr(path.rfind('.') + 1);  // npos + 1 is 0
  std::string hint;
  if (const auto* field = meant(fields, name)) {
    hint = "did you mean " + backquoted(field->name) + "? (" + describe(*field) + ")";
  } else if (const auto near = nearest(name, more)) {
    hint = "did you mean " + backquoted(*near) + "?";
  } else {
    auto names = more;
    for (const auto& one : fields) names.push_back(one.name);
    hint = names.empty() ? "it takes no parameters" : "it takes " + listed(names);
  }
  problems.error("unknown-key", backquoted(path) + " is not a parameter of " + std::string(owner), key, hint);
}

std::vector<std::pair<std::string, Ramp>> ramps(const Schema& schema, const Table& settings) {
  std::vector<std::pair<std::string, Ramp>> out;
  collect_ramps(schema.fields, settings, "", out);
  return out;
}

bool holds(const std::vector<Condition>& when, const Table& settings) {
  return std::all_of(when.begin(), when.end(), [&](const Condition& condition) {
    const auto text = condition_text(find(settings, condition.field));
    return std::find(condition.values.begin(), condition.values.end(), text) != condition.values.end();
  });
}

}  // namespace xp
