#include "recipe/graph.h"

#include <algorithm>

#include "base/text.h"
#include "recipe/resolver.h"
#include "recipe/toml_reader.h"

namespace xp::recipe {
namespace {

constexpr std::size_t kMostNodes = 2000;                     // of one arm
constexpr std::size_t kLongestChain = 128;                   // stages that wait for each other: resolving recurses
constexpr std::size_t kMostEachText = std::size_t{1} << 23;  // bytes of all members of one `each`

using Substitution = std::vector<std::pair<std::string, std::string>>;

void substitute(Value& value, const Substitution& with) {
  if (auto* text = value.as<std::string>()) {
    for (const auto& [key, by] : with) {
      const auto mark = "{" + key + "}";
      for (auto at = text->find(mark); at != std::string::npos; at = text->find(mark, at + by.size()))
        text->replace(at, mark.size(), by);
    }
  } else if (auto* list = value.as<List>()) {
    for (auto& one : *list) substitute(one, with);
  } else if (auto* table = value.as<Table>()) {
    for (auto& [key, one] : *table) substitute(one, with);
  }
}

/// Every combination of the values of `each`; nothing, and a problem, if it is none.
std::vector<Substitution> combinations(const Value& each, const std::string& owner, Problems& problems) {
  const auto wrong = [&](const SourceSpan& span, const std::string& what) {
    problems.error("bad-each", "`each` of " + owner + " " + what, span,
                   "such as { task = [\"first\", \"second\"] }; values are names");
    return std::vector<Substitution>{};
  };
  const auto* table = each.as<Table>();
  if (!table || table->empty()) return wrong(each.span, "must be a table of lists");
  std::vector<Substitution> out{{}};
  for (const auto* one : in_source_order(*table)) {
    const auto& [key, value] = *one;
    const auto* list = value.as<List>();
    if (!list || list->empty()) return wrong(value.span, "must be a table of lists");
    if (!is_name(key)) return wrong(value.key, "cannot have the key " + backquoted(printable(key)));
    if (out.size() * list->size() > kMostNodes)
      return wrong(value.span, "gives more than " + std::to_string(kMostNodes) + " members");
    std::vector<Substitution> more;
    std::vector<std::string> seen;
    for (const auto& item : *list) {
      const auto* text = item.as<std::string>();
      if (!text || !is_name(*text)) return wrong(item.span, "cannot have the value " + to_text(item));
      if (std::find(seen.begin(), seen.end(), *text) != seen.end())
        return wrong(item.span, "has the value " + to_text(item) + " twice");
      seen.push_back(*text);
    }
    for (const auto& base : out)
      for (const auto& text : seen) {
        more.push_back(base);
        more.back().emplace_back(key, text);
      }
    out = std::move(more);
  }
  return out;
}

std::optional<std::int64_t> read_seed(Table& table, const std::string& owner, const World& world, bool& good) {
  const auto found = table.find("seed");
  if (found == table.end()) return {};
  const Value value = found->second;
  table.erase(found);
  good = check_value({.name = "seed", .kind = Kind::integer, .min = 0}, value, owner, world.problems) && good;
  return value.as<std::int64_t>() ? std::optional(*value.as<std::int64_t>()) : std::nullopt;
}

}  // namespace

const Value* setting(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : &found->second;
}

const Reference* reference_in(const Value* value) {
  if (!value) return nullptr;
  if (const auto* list = value->as<List>()) return list->empty() ? nullptr : list->front().as<Reference>();
  return value->as<Reference>();
}

Graph::Graph(const World& world, const Arm& arm) : world_(world), arm_(arm), names_(arm.document, world.problems) {
  const auto stages = names_.of_kind("stage");
  for (const auto* stage : stages)
    if (planned_.size() <= kMostNodes) plan(*stage);
  if (planned_.size() > kMostNodes) {
    world_.problems.error("too-many", "an arm has at most " + std::to_string(kMostNodes) + " stages",
                          stages.back()->value->key);
    return;
  }
  for (const auto* stage : stages)
    for (const auto& member : members(stage->name)) node(member, {});
}

void Graph::plan(const NamedTable& stage) {
  auto& members = members_[stage.name];
  const auto each = stage.table().find("each");
  const auto& span = stage.value->key;
  if (each == stage.table().end()) {
    members.push_back(stage.name);
    planned_.emplace(stage.name, Planned{stage.name, stage.table(), span});
    return;
  }
  const auto all = combinations(each->second, "stage " + backquoted(stage.name), world_.problems);
  if (to_text(*stage.value).size() * all.size() > kMostEachText) {
    world_.problems.error("too-large", "the members of stage " + backquoted(stage.name) + " take too much text",
                          each->second.span, "fewer members, or a smaller stage");
    return;
  }
  for (const auto& values : all) {
    std::vector<std::string> parts;
    for (const auto& [key, value] : values) parts.push_back(value);
    const auto name = stage.name + "[" + join(parts, ",") + "]";
    Value table{stage.table()};
    table.as<Table>()->erase("each");
    substitute(table, values);
    members.push_back(name);
    planned_.emplace(name, Planned{stage.name, std::move(*table.as<Table>()), span});
  }
}

const std::vector<std::string>& Graph::members(std::string_view stage) const {
  static const std::vector<std::string> none;
  const auto found = members_.find(stage);
  return found == members_.end() ? none : found->second;
}

const StageNode* Graph::node(const std::string& name, const SourceSpan& asked) {
  if (const auto done = nodes_.find(name); done != nodes_.end()) return &done->second;
  if (const auto at = std::find(open_.begin(), open_.end(), name); at != open_.end()) {
    std::vector<std::string> path(at, open_.end());
    path.push_back(name);
    for (auto& one : path) one = backquoted(one);
    world_.problems.error("cycle", "stages wait for each other: " + join(path, " -> "), asked,
                          "`->` means needs; remove one of them");
    return nullptr;
  }
  const auto planned = planned_.find(name);
  if (planned == planned_.end()) return nullptr;
  if (open_.size() >= kLongestChain) {
    world_.problems.error("too-deep", "more than " + std::to_string(kLongestChain) + " stages wait for each other",
                          asked, "a chain of stages is shorter");
    return nullptr;
  }
  open_.push_back(name);
  StageNode out;
  out.name = name, out.stage = planned->second.stage, out.span = planned->second.span;
  Table table = planned->second.table;
  bool good = true;
  out.seed = read_seed(table, "stage " + backquoted(out.stage), world_, good);
  Resolver resolver(world_, names_, this);
  resolver.find_primary(table);
  Value whole{std::move(table)};
  whole.span = whole.key = out.span;
  auto settings = resolver.component({"stage"}, whole);
  out.inside = std::move(resolver.gathered());
  if (const auto* type = setting(*whole.as<Table>(), "type"); type && type->as<std::string>())
    out.type = *type->as<std::string>();
  out.info = world_.catalogue.find("stage", out.type);
  out.broken = !good || !settings;
  if (settings) out.settings = std::move(*settings);
  if (out.info && !out.broken)
    for (const auto& given : out.info->schema.gives)
      if (given.what == "output" && holds(given.when, out.settings))
        out.outputs.push_back({given.name, given.detail});
  open_.pop_back();
  order_.push_back(name);
  const auto& kept = nodes_.emplace(name, std::move(out)).first->second;
  if (!kept.broken && !kept.inside.unknown) check_needs(*this, kept);
  return &kept;
}

const ComponentInfo* Graph::model_of(const StageNode& node, std::string_view role, Table* settings) const {
  const auto* references = setting(node.settings, "references");
  const auto* frozen = references && references->as<Table>() ? setting(*references->as<Table>(), role) : nullptr;
  return frozen ? model_from(*frozen, "primary", settings) : kept_model(node, role, settings);
}

const ComponentInfo* Graph::kept_model(const StageNode& node, std::string_view role, Table* settings) const {
  const auto* own = setting(node.settings, "model");
  const auto* towers = setting(node.settings, "towers");
  if (towers && towers->as<List>())
    for (const auto& tower : *towers->as<List>()) {
      const auto* table = tower.as<Table>();
      const auto* name = table ? setting(*table, "name") : nullptr;
      const auto* model = table ? setting(*table, "model") : nullptr;
      const bool stands_for_it = role == "primary" && !own;  // the first tower does
      if (name && model && (stands_for_it || *name == Value(role))) return model_from(*model, role, settings);
    }
  if (!own) return nullptr;
  if (role == "primary") return model_from(*own, role, settings);
  const auto* reference = reference_in(own);  // a checkpoint brings its towers along
  const auto source = reference ? nodes_.find(reference->node) : nodes_.end();
  return source == nodes_.end() ? nullptr : kept_model(source->second, role, settings);
}

const ComponentInfo* Graph::model_from(const Value& model, std::string_view role, Table* settings) const {
  if (const auto* table = model.as<Table>()) {
    const auto* type = setting(*table, "type");
    if (!type || table->contains("like")) return nullptr;
    if (settings) *settings = *table;
    return world_.catalogue.find("model", *type->as<std::string>());
  }
  const auto* reference = reference_in(&model);
  const auto source = reference ? nodes_.find(reference->node) : nodes_.end();
  if (source == nodes_.end()) return nullptr;
  const auto* of_role = kept_model(source->second, role, settings);
  return of_role ? of_role : kept_model(source->second, "primary", settings);
}

}  // namespace xp::recipe
