// Schemas as JSON: what a plugin's manifest holds.
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "schema/schema.h"

namespace xp {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 16> kKinds{
    "boolean", "integer",  "real",  "text", "choice", "quantity", "distribution", "part",
    "model",   "artifact", "files", "list", "table",  "any_of",   "anything",     "map"};
constexpr std::array<std::string_view, 12> kUnits{"none",      "tokens",  "supervised", "steps", "epochs",  "items",
                                                  "documents", "seconds", "flops",      "bytes", "percent", "factor"};
constexpr int kDeepestSchema = 32;

Json to(const FieldInfo& field) {
  Json out{{"kind", kKinds[static_cast<std::size_t>(field.kind)]}};
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) out[key] = value;
  };
  const auto flag = [&](const char* key, bool value) {
    if (value) out[key] = true;
  };
  text("name", field.name), text("doc", field.doc), text("interface", field.interface);
  if (field.fallback) out["default"] = Json::parse(to_json(*field.fallback));
  if (field.min) out["min"] = *field.min;
  if (field.max) out["max"] = *field.max;
  flag("required", field.required), flag("nullable", field.nullable);
  flag("above_min", field.above_min), flag("below_max", field.below_max), flag("schedulable", field.schedulable);
  flag("learnable", field.learnable), flag("weighted", field.weighted), flag("named", field.named),
      flag("evaluates", field.evaluates);
  if (!field.changes_results) out["changes_results"] = false;
  if (!field.choices.empty()) out["choices"] = field.choices;
  for (const Unit unit : field.units) out["units"].push_back(kUnits[static_cast<std::size_t>(unit)]);
  for (const auto& one : field.fields) out["fields"].push_back(to(one));
  return out;
}

Json to(const Trait& trait) {
  Json out{{"what", trait.what}, {"name", trait.name}};
  if (!trait.detail.empty()) out["detail"] = trait.detail;
  for (const auto& one : trait.when) out["when"].push_back({{"field", one.field}, {"values", one.values}});
  return out;
}

[[noreturn]] void refuse(const std::string& why) { throw Error("JSON does not hold a schema: " + why, Exit::plugin); }

/// Reads the keys of one object; what is left over at the end is a mistake.
class Reader {
 public:
  Reader(const Json& json, std::string_view what) : what_(what) {
    if (!json.is_object()) refuse(what_ + " is " + json.type_name() + ", not an object");
    left_ = json;
  }

  std::optional<Json> any(const char* key) {
    const auto found = left_.find(key);
    if (found == left_.end()) return {};
    Json value = std::move(*found);
    left_.erase(found);
    return value;
  }
  std::string text(const char* key, bool required = false) {
    const auto value = any(key);
    if (!value && required) refuse(what_ + " has no `" + key + "`");
    if (!value) return {};
    if (!value->is_string()) wrong(key, "text");
    return value->get<std::string>();
  }
  bool flag(const char* key, bool fallback) {
    const auto value = any(key);
    if (value && !value->is_boolean()) wrong(key, "true or false");
    return value ? value->get<bool>() : fallback;
  }
  std::optional<double> number(const char* key) {
    const auto value = any(key);
    if (!value) return {};
    if (!value->is_number()) wrong(key, "a number");
    return value->get<double>();
  }
  Json list(const char* key) {
    auto value = any(key);
    if (value && !value->is_array()) wrong(key, "a list");
    return value ? std::move(*value) : Json::array();
  }
  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> out;
    for (const auto& one : list(key)) {
      if (!one.is_string()) wrong(key, "a list of texts");
      out.push_back(one.get<std::string>());
    }
    return out;
  }
  void end() const {
    if (!left_.empty()) refuse(what_ + " has the unknown key `" + printable(left_.begin().key()) + "`");
  }

 private:
  [[noreturn]] void wrong(const char* key, const char* wanted) const {
    refuse("`" + std::string(key) + "` of " + what_ + " is not " + wanted);
  }
  Json left_;
  std::string what_;
};

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& names, const std::string& name, const char* what) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return i;
  refuse(std::string("there is no ") + what + " `" + printable(name) + "`");
}

FieldInfo field_from(const Json& json, int depth) {
  if (depth > kDeepestSchema) refuse("fields are nested deeper than " + std::to_string(kDeepestSchema));
  Reader read(json, "a field");
  FieldInfo out;
  out.name = read.text("name");
  out.kind = static_cast<Kind>(index_of(kKinds, read.text("kind", true), "kind"));
  out.doc = read.text("doc");
  out.interface = read.text("interface");
  if (const auto fallback = read.any("default")) out.fallback = value_from_json(fallback->dump());
  out.min = read.number("min"), out.max = read.number("max");
  out.required = read.flag("required", false), out.nullable = read.flag("nullable", false);
  out.above_min = read.flag("above_min", false), out.below_max = read.flag("below_max", false);
  out.schedulable = read.flag("schedulable", false), out.learnable = read.flag("learnable", false);
  out.weighted = read.flag("weighted", false), out.named = read.flag("named", false),
  out.evaluates = read.flag("evaluates", false);
  out.changes_results = read.flag("changes_results", true);
  out.choices = read.texts("choices");
  for (const auto& unit : read.texts("units")) out.units.push_back(static_cast<Unit>(index_of(kUnits, unit, "unit")));
  for (const auto& one : read.list("fields")) out.fields.push_back(field_from(one, depth + 1));
  read.end();
  if ((out.kind == Kind::list || out.kind == Kind::map) && out.fields.size() != 1)
    refuse("a list or map has one kind of element");
  return out;
}

Trait trait_from(const Json& json) {
  Reader read(json, "a trait");
  Trait out{read.text("what", true), read.text("name", true), read.text("detail")};
  for (const auto& one : read.list("when")) {
    Reader condition(one, "a condition");
    out.when.push_back({condition.text("field", true), condition.texts("values")});
    condition.end();
  }
  read.end();
  return out;
}

}  // namespace

std::string schema_to_json(const Schema& schema) {
  Json out{{"fields", Json::array()}, {"needs", Json::array()}, {"gives", Json::array()}, {"draws", schema.draws}};
  for (const auto& field : schema.fields) out["fields"].push_back(to(field));
  for (const auto& trait : schema.needs) out["needs"].push_back(to(trait));
  for (const auto& trait : schema.gives) out["gives"].push_back(to(trait));
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Schema schema_from_json(std::string_view json) {
  Schema out;
  try {
    const auto parsed = Json::parse(json, [](int depth, Json::parse_event_t, Json&) {
      if (depth > 2 * kDeepestSchema + 8) refuse("it is nested too deeply");
      return true;
    });
    Reader read(parsed, "a schema");
    for (const auto& one : read.list("fields")) {
      out.fields.push_back(field_from(one, 0));
      if (out.fields.back().name.empty()) refuse("a field has no name");
    }
    for (const auto& one : read.list("needs")) out.needs.push_back(trait_from(one));
    for (const auto& one : read.list("gives")) out.gives.push_back(trait_from(one));
    out.draws = read.flag("draws", false);
    read.end();
  } catch (const Json::exception& error) {
    refuse(error.what());
  } catch (const Error& error) {
    throw Error(error.what(), Exit::plugin);  // a default that is no value
  }
  return out;
}

}  // namespace xp
