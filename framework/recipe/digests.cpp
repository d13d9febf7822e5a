#include "recipe/digests.h"

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"
#include "plugin/build_stamp.h"

namespace xp::recipe {
namespace {

Value strip(const Catalogue& catalogue, const FieldInfo& field, const Value& value);

Table strip_fields(const Catalogue& catalogue, const std::vector<FieldInfo>& fields, const Table& settings) {
  Table out;
  for (const auto& [key, value] : settings) {
    const FieldInfo* field = nullptr;
    for (const auto& one : fields)
      if (one.name == key) field = &one;
    if (field && !field->changes_results) continue;
    out.emplace(key, field ? strip(catalogue, *field, value) : value);
  }
  return out;
}

Value strip_files(const Value& value) {
  List out;
  if (const auto* list = value.as<List>())
    for (const auto& one : *list) {
      Value file = one;
      if (auto* table = file.as<Table>()) table->erase("path");
      out.push_back(std::move(file));
    }
  return out;
}

std::string type_of(const Table& table) {
  const auto type = table.find("type");
  return type != table.end() && type->second.as<std::string>() ? *type->second.as<std::string>() : std::string();
}

std::string interface_of(const FieldInfo& field) { return field.kind == Kind::model ? "model" : field.interface; }

// Which of several kinds a resolved value was read as.
const FieldInfo* chosen(const Catalogue& catalogue, const FieldInfo& field, const Value& value) {
  for (const auto& one : field.fields) {
    if (const auto* table = value.as<Table>()) {
      const bool part = one.kind == Kind::part || one.kind == Kind::model;
      if (part ? catalogue.find(interface_of(one), type_of(*table)) != nullptr
               : one.kind == Kind::table || one.kind == Kind::map)
        return &one;
    } else if (value.as<List>() && (one.kind == Kind::list || one.kind == Kind::files)) {
      return &one;
    }
  }
  return nullptr;
}

Value strip(const Catalogue& catalogue, const FieldInfo& field, const Value& value) {
  const auto* table = value.as<Table>();
  switch (field.kind) {
    case Kind::part:
    case Kind::model:
      if (!table) return value;
      if (field.interface == "tower") {
        Table out = *table;
        const FieldInfo model{.kind = Kind::model};
        if (const auto found = out.find("model"); found != out.end())
          found->second = strip(catalogue, model, found->second);
        return out;
      }
      return result_settings(catalogue, {interface_of(field)}, *table);
    case Kind::files: return strip_files(value);
    case Kind::table: return table ? Value(strip_fields(catalogue, field.fields, *table)) : value;
    case Kind::map: {
      if (!table) return value;
      Table out;
      for (const auto& [key, one] : *table) out.emplace(key, strip(catalogue, field.fields.front(), one));
      return out;
    }
    case Kind::list: {
      const auto* list = value.as<List>();
      if (!list) return value;
      List out;
      for (const auto& one : *list) out.push_back(strip(catalogue, field.fields.front(), one));
      return out;
    }
    case Kind::any_of: {
      const auto* one = chosen(catalogue, field, value);
      return one ? strip(catalogue, *one, value) : value;
    }
    default: return value;
  }
}

bool has_node(const Value& value) {
  if (const auto* reference = value.as<Reference>())
    return !reference->node.empty() || (reference->component && has_node(Value(*reference->component)));
  if (const auto* list = value.as<List>())
    return std::any_of(list->begin(), list->end(), [](const Value& one) { return has_node(one); });
  const auto* table = value.as<Table>();
  return table && std::any_of(table->begin(), table->end(), [](const auto& one) { return has_node(one.second); });
}

}  // namespace

Table result_settings(const Catalogue& catalogue, const std::vector<std::string>& interfaces, const Table& settings) {
  for (const auto& interface : interfaces)
    if (const auto* info = catalogue.find(interface, type_of(settings)))
      return strip_fields(catalogue, info->schema.fields, settings);
  return settings;
}

void PlanBuilder::fill_dataset(Reference& reference, const PlanMember& member, PlanNode& node) {
  const auto original = reference.component;
  if (const auto known = datasets_.find(original); known != datasets_.end()) {
    reference.component = known->second.component, reference.digest = known->second.digest;
    return;
  }
  Value table{*original};
  const bool of_nodes = has_node(table);
  fill(table, member, node);
  auto filled = std::make_shared<const Table>(std::move(*table.as<Table>()));
  const auto interfaces = interfaces_of_kind("dataset");
  const auto stripped = result_settings(catalogue_, interfaces, *filled);
  std::set<std::pair<std::string, std::string>> components;
  for (const auto& interface : interfaces)
    if (catalogue_.find(interface, type_of(*filled))) components.emplace(interface, type_of(*filled));
  Digest full, identity;
  full.add("dataset").add(to_text(Value(stripped), true)).add(libraries_of(components));
  identity.add("dataset").add(identity_text(stripped));
  reference.digest = full.hex();
  identities_[reference.digest] = identity.hex();
  reference.component = filled;
  if (!of_nodes) datasets_.emplace(original, Filled{std::move(filled), reference.digest});
}

void PlanBuilder::fill(Value& value, const PlanMember& member, PlanNode& node) {
  if (auto* reference = value.as<Reference>()) {
    if (!reference->node.empty()) {
      const auto index = member.nodes.at(reference->node);
      reference->digest = plan_.nodes[index].digest;
      if (std::find(node.inputs.begin(), node.inputs.end(), index) == node.inputs.end()) node.inputs.push_back(index);
    } else if (reference->component) {
      fill_dataset(*reference, member, node);
    } else {
      identities_.emplace(reference->digest, reference->digest);  // content from outside
    }
  } else if (auto* list = value.as<List>()) {
    for (auto& one : *list) fill(one, member, node);
  } else if (auto* table = value.as<Table>()) {
    for (auto& [key, one] : *table) fill(one, member, node);
  }
}

void PlanBuilder::with_identities(Value& value) const {
  if (auto* reference = value.as<Reference>()) {
    if (const auto found = identities_.find(reference->digest); found != identities_.end())
      reference->digest = found->second;
  } else if (auto* list = value.as<List>()) {
    for (auto& one : *list) with_identities(one);
  } else if (auto* table = value.as<Table>()) {
    for (auto& [key, one] : *table) with_identities(one);
  }
}

std::string PlanBuilder::identity_text(const Table& settings) const {
  Value value{settings};
  with_identities(value);
  return to_text(value, true);
}

std::string PlanBuilder::libraries_of(const std::set<std::pair<std::string, std::string>>& components) const {
  std::string out;
  for (const auto& [interface, type] : components) {
    const auto* info = catalogue_.find(interface, type);
    out += interface + " " + type + " " + (info ? info->hash : std::string()) + "\n";
  }
  return out;
}

PlanBuilder::Both PlanBuilder::digest_of(const PlanNode& node) const {
  const auto settings = result_settings(catalogue_, {"stage"}, node.settings);
  const auto& setting = plan_.setting;
  const auto common = [&](Digest& digest) {
    digest.add("stage")
        .add(setting.precision)
        .add(setting.device)
        .add(setting.determinism)
        .add("world " + std::to_string(setting.processes));
    digest.add(node.draws ? "seed " + std::to_string(node.seed) : std::string("no seed"));
  };
  Digest full, identity;
  common(full), common(identity);
  full.add(to_text(Value(settings), true)).add(libraries_of(node.components)).add(engine_hash_).add(XP_TORCH_VERSION);
  identity.add(identity_text(settings));
  return {full.hex(), identity.hex()};
}

void PlanBuilder::add(const Graph& graph, const std::set<std::string>& wanted, std::int64_t seed) {
  PlanMember member{graph.arm().name, graph.arm().label, seed, {}};
  for (const auto& name : graph.order()) {
    if (!wanted.contains(name)) continue;
    const auto& from = graph.nodes().at(name);
    PlanNode node;
    node.name = name, node.type = from.type;
    node.outputs = from.outputs;
    node.draws = from.info->schema.draws;
    node.seed = node.draws ? from.seed.value_or(seed) : 0;
    node.components = from.inside.components;
    Value settings{from.settings};
    fill(settings, member, node);
    node.settings = std::move(*settings.as<Table>());
    std::sort(node.inputs.begin(), node.inputs.end());
    const auto digest = digest_of(node);
    node.digest = digest.full;
    const auto [at, fresh] = index_.emplace(digest.full, plan_.nodes.size());
    identities_[digest.full] = digest.identity;
    if (fresh) plan_.nodes.push_back(std::move(node));
    member.nodes.emplace(name, at->second);
  }
  plan_.members.push_back(std::move(member));
}

std::string PlanBuilder::plan_id() const {
  Digest digest;
  digest.add("plan 1");
  for (const auto& member : plan_.members) {
    digest.add(member.arm).add(member.seed);
    for (const auto& [name, index] : member.nodes) digest.add(name).add(identities_.at(plan_.nodes[index].digest));
  }
  const auto whole = to_value(plan_);
  return digest.add(to_json(whole.as<Table>()->at("claims"))).add(to_json(whole.as<Table>()->at("tables"))).hex();
}

}  // namespace xp::recipe
