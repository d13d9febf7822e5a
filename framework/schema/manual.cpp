// What people and editors read of a schema: the manual page and JSON Schema.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "schema/schema.h"

namespace xp {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

void rows(const std::vector<FieldInfo>& fields, const std::string& prefix, std::string& out) {
  for (const auto& field : fields) {
    std::string meaning = field.doc;
    const auto note = [&](bool is, const char* text) {
      if (is) meaning += (meaning.empty() ? "" : " ") + std::string(text);
    };
    note(field.schedulable, "Also `{ from, to, shape, until }`.");
    note(field.learnable, "Also `{ learn = true, start, min, max }`.");
    note(!field.changes_results, "Does not change results.");
    out += "| `" + prefix + field.name + "` | " + cell(describe(field)) + " | " + cell(meaning) + " |\n";
    const FieldInfo* inner = &field;
    std::string path = prefix + field.name;
    for (; inner->kind == Kind::list && !inner->fields.empty(); inner = &inner->fields.front()) path += "[]";
    if (inner->kind == Kind::table) rows(inner->fields, path + ".", out);
    if (inner->kind == Kind::any_of)
      for (const auto& one : inner->fields)
        if (one.kind == Kind::table) rows(one.fields, path + ".", out);
  }
}

void traits(std::string_view title, const std::vector<Trait>& list, std::string& out) {
  if (list.empty()) return;
  out += "\n## " + std::string(title) + "\n\n";
  for (const auto& trait : list) {
    out += "- " + trait.what + " " + backquoted(trait.name);
    if (!trait.detail.empty()) out += " (" + trait.detail + ")";
    for (const auto& one : trait.when) {
      out += &one == &trait.when.front() ? ", if " : " and ";
      std::vector<std::string> values;
      for (const auto& value : one.values) values.push_back(backquoted(value));
      out += backquoted(one.field) + " is " + join(values, " or ");
    }
    out += "\n";
  }
}

OrderedJson plain(const Value& value) { return OrderedJson::parse(to_json(value)); }

OrderedJson object_of(const std::vector<FieldInfo>& fields);

OrderedJson number_of(const FieldInfo& field) {
  OrderedJson out{{"type", field.kind == Kind::integer ? "integer" : "number"}};
  if (field.min) out[field.above_min ? "exclusiveMinimum" : "minimum"] = *field.min;
  if (field.max) out[field.below_max ? "exclusiveMaximum" : "maximum"] = *field.max;
  return out;
}

OrderedJson object_with(OrderedJson properties, OrderedJson required) {
  OrderedJson out{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

OrderedJson number_forms(const FieldInfo& field) {
  auto forms = OrderedJson::array({number_of(field)});
  const OrderedJson number{{"type", "number"}};
  if (field.schedulable)
    forms.push_back(object_with({{"from", number_of(field)},
                                 {"to", number_of(field)},
                                 {"shape", {{"enum", {"linear", "cosine", "exponential", "step"}}}},
                                 {"until", {{"type", "string"}}}},
                                {"from", "to"}));
  if (field.learnable)
    forms.push_back(object_with(
        {{"learn", {{"type", "boolean"}}}, {"start", number_of(field)}, {"min", number}, {"max", number}}, {}));
  return forms.size() == 1 ? forms[0] : OrderedJson{{"anyOf", forms}};
}

OrderedJson distribution_of(const FieldInfo& field) {
  const OrderedJson pair{{"type", "array"}, {"items", {{"type", "number"}}}, {"minItems", 2}, {"maxItems", 2}};
  const OrderedJson one{{"type", "number"}};
  auto number = number_of(field);
  return {{"anyOf", OrderedJson::array({std::move(number), object_with({{"uniform", pair}}, {"uniform"}),
                                        object_with({{"normal", pair}}, {"normal"}),
                                        object_with({{"poisson", one}}, {"poisson"}),
                                        object_with({{"geometric", one}}, {"geometric"})})}};
}

OrderedJson part_of() {
  const OrderedJson type{{"type", "string"}};
  return {{"anyOf", OrderedJson::array({type, OrderedJson{{"type", "object"}}})}};
}

OrderedJson form_of(const FieldInfo& field) {
  switch (field.kind) {
    case Kind::boolean: return {{"type", "boolean"}};
    case Kind::integer: return number_of(field);
    case Kind::real: return number_forms(field);
    case Kind::text: return {{"type", "string"}};
    case Kind::choice: return {{"enum", field.choices}};
    case Kind::quantity: return {{"type", OrderedJson::array({"string", "number"})}};
    case Kind::distribution: return distribution_of(field);
    case Kind::part:
    case Kind::model: return part_of();
    case Kind::artifact: return {{"type", "string"}};
    case Kind::files: {
      const OrderedJson text{{"type", "string"}};
      return {{"anyOf", OrderedJson::array({text, OrderedJson{{"type", "array"}, {"items", text}}})}};
    }
    case Kind::list: {
      const auto element = form_of(field.fields.front());
      return {{"anyOf", OrderedJson::array({OrderedJson{{"type", "array"}, {"items", element}}, element})}};
    }
    case Kind::table: return object_of(field.fields);
    case Kind::any_of: {
      auto forms = OrderedJson::array();
      for (const auto& one : field.fields) forms.push_back(form_of(one));
      return {{"anyOf", std::move(forms)}};
    }
    case Kind::anything: return OrderedJson::object();
    case Kind::map: return {{"type", "object"}, {"additionalProperties", form_of(field.fields.front())}};
  }
  return OrderedJson::object();
}

OrderedJson property_of(const FieldInfo& field) {
  auto out = form_of(field);
  if (field.nullable)
    out = OrderedJson{{"anyOf", OrderedJson::array({std::move(out), OrderedJson{{"const", "none"}}})}};
  out["description"] = field.doc.empty() ? describe(field) : field.doc + " (" + describe(field) + ")";
  if (field.fallback) out["default"] = plain(*field.fallback);
  return out;
}

OrderedJson object_of(const std::vector<FieldInfo>& fields) {
  auto properties = OrderedJson::object();
  auto required = OrderedJson::array();
  for (const auto& field : fields) {
    properties[field.name] = property_of(field);
    if (field.required) required.push_back(field.name);
  }
  return object_with(std::move(properties), std::move(required));
}

}  // namespace

std::string to_markdown(std::string_view interface, std::string_view type, std::string_view summary,
                        const Schema& schema) {
  std::string out = "# " + std::string(interface) + " `" + std::string(type) + "`\n";
  if (!summary.empty()) out += "\n" + std::string(summary) + "\n";
  if (schema.fields.empty()) {
    out += "\nIt takes no parameters.\n";
  } else {
    out += "\n| key | value | meaning |\n|---|---|---|\n";
    rows(schema.fields, "", out);
  }
  traits("Needs", schema.needs, out);
  traits("Gives", schema.gives, out);
  return out;
}

std::string to_json_schema(std::string_view type, std::string_view summary, const Schema& schema) {
  auto out = object_of(schema.fields);
  OrderedJson properties{{"type", {{"const", type}}}};
  properties.update(out["properties"]);
  out["properties"] = std::move(properties);
  auto required = OrderedJson::array({"type"});
  if (out.contains("required")) required.insert(required.end(), out["required"].begin(), out["required"].end());
  out["required"] = std::move(required);
  OrderedJson head{{"$schema", "https://json-schema.org/draft/2020-12/schema"}};
  if (!summary.empty()) head["description"] = summary;
  head.update(out);
  return head.dump(2, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace xp
