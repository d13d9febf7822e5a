#include "schema/fields.h"

#include "schema/checks.h"

namespace xp {

PartMaker::~PartMaker() = default;

namespace detail {
namespace {

// Settings are checked before they are bound: a value of another type is a mistake of the framework, not of the user.
[[noreturn]] void unfit(std::string_view wanted, const Value& value) {
  throw Error("settings hold " + to_text(value) + " (" + std::string(type_name(value)) + ") where " +
              std::string(wanted) + " was expected");
}

template <class T>
const T& held(std::string_view wanted, const Value& value) {
  if (const auto* found = value.as<T>()) return *found;
  unfit(wanted, value);
}

std::string moved_text(Table& table, std::string_view key) {
  const auto found = table.find(key);
  if (found == table.end()) return {};
  auto text = held<std::string>("text", found->second);
  table.erase(found);
  return text;
}

}  // namespace

void take(const Value& value, bool& out) { out = held<bool>("true or false", value); }
void take(const Value& value, std::int64_t& out) { out = held<std::int64_t>("an integer", value); }

void take(const Value& value, double& out) {
  if (value.is_number()) {
    out = value.number();
    return;
  }
  if (!value.as<Table>()) unfit("a number", value);
  Problems problems;
  const auto ramp = read_ramp(value, Place{"schedule", {}}, problems);
  if (!ramp) unfit("a number or a schedule", value);
  out = ramp->from;  // Component::set moves it from here on
}

void take(const Value& value, std::string& out) { out = held<std::string>("text", value); }

void take(const Value& value, Quantity& out) {
  if (value.is_number()) {
    out = {value.number(), Unit::none};
    return;
  }
  const auto quantity = parse_quantity(held<std::string>("an amount with a unit", value));
  if (!quantity) unfit("an amount with a unit", value);
  out = *quantity;
}

void take(const Value& value, Distribution& out) {
  Problems problems;
  const auto read = read_distribution(value, Place{"value", {}}, problems);
  if (!read) unfit("a number or a distribution", value);
  out = *read;
}

void take(const Value& value, Learnable& out) {
  Problems problems;
  auto read = read_learnable(value, Place{"value", {}}, problems);
  if (!read) unfit("a number or a learnable one", value);
  const auto* table = value.as<Table>();
  if (table && !table->contains("start")) read->start = out.start;  // the default stays
  out = *read;
}

void take(const Value& value, ModelSpec& out) {
  if (const auto* name = value.as<std::string>()) {
    out = {*name, {}, {}};
    return;
  }
  out.settings = held<Table>("a model", value);
  out.type = moved_text(out.settings, "type");
  out.like = moved_text(out.settings, "like");
}

void take(const Value& value, Reference& out) { out = held<Reference>("an artifact", value); }
void take(const Value& value, Value& out) { out = value; }

void take(const Value& value, Table& out) {
  if (const auto* name = value.as<std::string>()) {
    out = Table{{"type", Value(*name)}};  // a component without parameters
    return;
  }
  out = held<Table>("a table", value);
}

Table take_weight(const Value& value, double& weight) {
  Table table;
  take(value, table);
  if (const auto found = table.find("weight"); found != table.end()) {
    take(found->second, weight);
    table.erase(found);
  }
  if (!table.contains("type")) unfit("a component with `type`", value);
  return table;
}

Table take_name(const Value& value, std::string& name) {
  Table table;
  take(value, table);
  if (!table.contains("type")) unfit("a component with `type`", value);
  take(table.contains("as") ? table.at("as") : table.at("type"), name);
  table.erase("as");
  return table;
}

}  // namespace detail

namespace field {

FieldInfo text(std::vector<std::string> choices) {
  FieldInfo info{.kind = choices.empty() ? Kind::text : Kind::choice};
  info.choices = std::move(choices);
  return info;
}

FieldInfo number(bool whole) { return {.kind = whole ? Kind::integer : Kind::real}; }
FieldInfo part(std::string interface) { return {.kind = Kind::part, .interface = std::move(interface)}; }

FieldInfo artifact(std::string kind, bool evaluates) {
  return {.kind = Kind::artifact, .interface = std::move(kind), .evaluates = evaluates};
}

FieldInfo list(FieldInfo element) {
  FieldInfo info{.kind = Kind::list};
  info.weighted = element.weighted;
  info.fields.push_back(std::move(element));
  return info;
}

FieldInfo table(std::vector<FieldInfo> fields) { return {.kind = Kind::table, .fields = std::move(fields)}; }

FieldInfo named(FieldInfo field, std::string name, std::string doc, bool required) {
  field.name = std::move(name);
  field.doc = std::move(doc);
  field.required = required;
  return field;
}

}  // namespace field

}  // namespace xp
