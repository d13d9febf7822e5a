#include "testing/conformance_component.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

#include "base/text.h"

namespace xp::testing {
namespace {

bool is_sentence(std::string_view text) {
  return text.size() > 1 && text.ends_with('.') && !text.ends_with("..") &&
         text.find('\n') == std::string_view::npos && text == trim(text) && !(text[0] >= 'a' && text[0] <= 'z');
}

void check_fields(const std::vector<FieldInfo>& fields, const std::string& owner) {
  std::set<std::string> names;
  for (const auto& field : fields) {
    INFO("field " << field.name << " of " << owner);
    CHECK(is_name(field.name));
    CHECK(names.insert(field.name).second);
    CHECK(is_sentence(field.doc));
    CHECK_FALSE((field.required && field.fallback));
    if (field.kind == Kind::table) check_fields(field.fields, owner + "." + field.name);
    if (field.kind == Kind::list && !field.fields.empty() && field.fields[0].kind == Kind::table)
      check_fields(field.fields[0].fields, owner + "." + field.name);
  }
}

void check_defaults(const Schema& schema, const std::string& owner) {
  for (const auto& field : schema.fields) {
    if (!field.fallback || (field.kind != Kind::boolean && field.kind != Kind::integer && field.kind != Kind::real &&
                            field.kind != Kind::choice && field.kind != Kind::quantity))
      continue;
    Problems problems;
    check_value(field, *field.fallback, owner, problems);
    INFO(problems.text());
    CHECK(problems.empty());
  }
}

}  // namespace

Table default_settings(const ComponentInfo& info) {
  for (const auto& field : info.schema.fields)
    if (field.required) return {};
  return {{"type", info.type}};
}

void check_component(const Registry& registry, std::string_view interface, std::string_view type) {
  const auto* info = registry.catalogue().find(interface, type);
  INFO(interface << " " << type);
  REQUIRE(info);
  const std::string owner = info->interface + " `" + info->type + "`";
  CHECK(is_name(info->type));
  CHECK(is_sentence(info->summary));
  check_fields(info->schema.fields, owner);
  check_defaults(info->schema, owner);
  const auto json = schema_to_json(info->schema);
  CHECK(schema_to_json(schema_from_json(json)) == json);
  auto settings = default_settings(*info);
  if (settings.empty()) return;
  const auto made = registry.make_part(interface, settings);
  REQUIRE(made);
  CHECK(made->type() == type);
  for (const auto& field : info->schema.fields)
    if (field.fallback) CHECK(made->settings().contains(field.name));
  settings["no_such_key"] = true;
  CHECK_THROWS_AS(registry.make_part(interface, settings), Error);
}

}  // namespace xp::testing
