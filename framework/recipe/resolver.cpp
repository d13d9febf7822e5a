#include "recipe/resolver.h"

#include <algorithm>

#include "base/text.h"
#include "recipe/toml_reader.h"

namespace xp::recipe {
namespace {

constexpr std::size_t kMostNested = 16;   // named components inside each other
constexpr std::size_t kMostParts = 5000;  // of one stage: a component may name another one many times

const FieldInfo* field_named(const std::vector<FieldInfo>& fields, std::string_view key) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const FieldInfo& field) { return field.name == key; });
  return found == fields.end() ? nullptr : &*found;
}

bool is_none(const Value& value) { return value.as<std::string>() && *value.as<std::string>() == "none"; }

const FieldInfo& weight_field() {
  static const FieldInfo field{.name = "weight", .kind = Kind::real, .min = 0.0, .schedulable = true};
  return field;
}

// Equal experiments give equal text: units and whole numbers have one spelling.
Value normal(const FieldInfo& info, const Value& value) {
  Value out = value;
  if (info.kind == Kind::real && value.as<std::int64_t>()) out.data = value.number();
  if (info.kind == Kind::quantity) {
    if (const auto* text = value.as<std::string>()) {
      if (const auto quantity = parse_quantity(*text)) out.data = to_text(*quantity);
    } else if (value.is_number()) {
      out.data = to_text(Quantity{value.number(), Unit::none});
    }
  }
  return out;
}

// Datasets that a component's own settings name; those of its parts are theirs.
std::vector<Reference> datasets_in(const Table& settings) {
  std::vector<Reference> out;
  const auto add = [&](const Value& value) {
    const auto* reference = value.as<Reference>();
    if (reference && reference->kind == "dataset") out.push_back(*reference);
  };
  for (const auto& [key, value] : settings) {
    add(value);
    if (const auto* list = value.as<List>())
      for (const auto& one : *list) {
        add(one);
        if (const auto* entry = one.as<Table>(); entry && !entry->contains("type"))
          for (const auto& [name, inner] : *entry) add(inner);
      }
  }
  return out;
}

}  // namespace

void Gathered::add(const Gathered& other) {
  components.insert(other.components.begin(), other.components.end());
  for (const auto& input : other.inputs)
    if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) inputs.push_back(input);
  needs.insert(needs.end(), other.needs.begin(), other.needs.end());
  metrics.insert(metrics.end(), other.metrics.begin(), other.metrics.end());
  evaluators.insert(evaluators.end(), other.evaluators.begin(), other.evaluators.end());
  unknown = unknown || other.unknown;
}

std::optional<Table> Resolver::component(const std::vector<std::string>& interfaces, const Value& value,
                                         const std::vector<std::string>& more) {
  if (++parts_ > kMostParts) {
    if (parts_ == kMostParts + 1)
      world_.problems.error("too-many", "one stage holds more than " + std::to_string(kMostParts) + " components",
                            value.span, "components that name each other multiply");
    gathered_.unknown = true;
    return {};
  }
  const auto& table = *value.as<Table>();
  const auto word = kind_of_interface(interfaces.front());
  const auto type = table.find("type");
  if (type == table.end() || !type->second.as<std::string>()) {
    const auto span = type == table.end() ? (value.span ? value.span : value.key) : type->second.span;
    world_.problems.error("missing-type", with_article(word) + " needs `type`, as text", span,
                          "which " + word + " it is, such as { type = \"...\" }");
    gathered_.unknown = true;
    return {};
  }
  const auto* info = world_.find(interfaces, *type->second.as<std::string>());
  if (!info) {
    world_.unknown_type(interfaces, word, type->second);
    gathered_.unknown = true;
    return {};
  }
  Table rest = table, out;
  rest.erase("type");
  out.emplace("type", type->second);
  for (const auto& key : more)
    if (const auto found = rest.find(key); found != rest.end() && !info->schema.find(key)) {
      out.insert(*found);
      rest.erase(found);
    }
  const Place place{"", word + " " + backquoted(info->type)};
  const bool good = settings(info->schema.fields, rest, place, type->second.span, out);
  gathered_.components.emplace(info->interface, info->type);
  if (!good) return {};
  declare(*info, out, place.owner, type->second.span);
  return out;
}

void Resolver::declare(const ComponentInfo& info, const Table& settings, const std::string& owner,
                       const SourceSpan& span) {
  for (const auto& need : info.schema.needs) {
    if (!holds(need.when, settings)) continue;
    if (need.what == "parameter") {
      const auto* field = info.schema.find(need.name);
      if (!find(settings, need.name))
        world_.problems.error(
            "missing-key", backquoted(need.name) + " of " + owner + " is missing", span,
            field ? describe(*field) + ", required with these settings" : "required with these settings");
    } else {
      gathered_.needs.push_back({need, owner, span, datasets_in(settings)});
    }
  }
  if (info.interface == "evaluator") return;
  for (const auto& given : info.schema.gives)
    if (given.what == "metric" && holds(given.when, settings)) gathered_.metrics.push_back(given.name);
}

bool Resolver::settings(const std::vector<FieldInfo>& fields, const Table& from, const Place& place,
                        const SourceSpan& span, Table& out) {
  bool good = true;
  for (const auto* one : in_source_order(from)) {
    const auto& [key, value] = *one;
    const auto* info = field_named(fields, key);
    const auto at = place.key(key);
    if (!info) {
      report_unknown_key(fields, at.path, value.key, place.owner, world_.problems);
      good = false;
      continue;
    }
    if (is_none(value) && (info->nullable || info->kind == Kind::part || info->kind == Kind::model) &&
        !info->required) {
      if (info->kind == Kind::list)
        out.insert_or_assign(key, Value(List{}));
      else if (info->fallback)
        out.insert_or_assign(key, value);
      continue;
    }
    auto resolved = field(*info, value, at);
    if (!resolved) {
      good = false;
      continue;
    }
    resolved->span = value.span, resolved->key = value.key;
    out.insert_or_assign(key, std::move(*resolved));
  }
  for (const auto& info : fields) {
    if (from.contains(info.name)) continue;
    if (info.required) {
      good = false;
      if (follows_from_unknown(fields, from, info.name)) continue;
      world_.problems.error("missing-key", place.key(info.name).text() + " is missing", span, describe(info));
    } else if (auto value = fallback(info, place)) {
      out.emplace(info.name, std::move(*value));
    }
  }
  return good;
}

const NamedTable* Resolver::only_component(const FieldInfo& info) const {
  if (info.kind != Kind::part) return nullptr;
  const auto all = names_.of_interface(info.interface);
  if (all.size() != 1) return nullptr;
  const bool inside = std::find(open_.begin(), open_.end(), all[0]->name) != open_.end();
  return inside ? nullptr : all[0];
}

std::optional<Value> Resolver::fallback(const FieldInfo& info, const Place& place) {
  if (const auto* only = only_component(info))
    return named_part(info, only->name, *only->value, place.key(info.name));
  if (info.fallback) {
    const bool inside =
        info.kind == Kind::part || info.kind == Kind::model || info.kind == Kind::any_of || info.kind == Kind::files;
    if (!inside || is_none(*info.fallback)) return normal(info, *info.fallback);
    const auto* list = info.fallback->as<List>();
    return list && list->empty() ? *info.fallback : field(info, *info.fallback, place.key(info.name));
  }
  const bool open = info.kind == Kind::table && !info.nullable && !info.fields.empty() &&
                    std::none_of(info.fields.begin(), info.fields.end(), [](const auto& f) { return f.required; });
  if (!open) return {};
  Table out;
  settings(info.fields, {}, place.key(info.name), {}, out);
  return out.empty() ? std::nullopt : std::optional(Value(std::move(out)));
}

std::optional<Value> Resolver::field(const FieldInfo& info, const Value& value, const Place& place) {
  switch (info.kind) {
    case Kind::part: return part(info, value, place);
    case Kind::model: return model(info, value, place);
    case Kind::artifact: return reference(info, value, place);
    case Kind::files: return files(value, place);
    case Kind::list: return list(info, value, place);
    case Kind::table: return table(info, value, place);
    case Kind::map: return map(info, value, place);
    case Kind::any_of: return any_of(info, value, place);
    default: return plain(info, value, place);
  }
}

std::optional<Value> Resolver::plain(const FieldInfo& info, const Value& value, const Place& place) {
  if (place.relative && value.as<std::string>() && (info.kind == Kind::integer || info.kind == Kind::real)) {
    const auto factor = parse_quantity(*value.as<std::string>());
    if (factor && factor->unit == Unit::factor && factor->amount > 0) return Value(to_text(*factor));
  }
  FieldInfo named = info;
  named.name = place.path;
  if (!check_value(named, value, place.owner, world_.problems)) return {};
  return normal(info, value);
}

/// False, with an error, for keys that only a dataset that stages read can have.
bool Resolver::is_part_of_dataset(const Table& table) {
  bool good = true;
  for (const auto* key : {"split", "sampling"}) {
    const auto found = table.find(key);
    if (found == table.end()) continue;
    world_.problems.error(
        "part-of-dataset", backquoted(key) + " is for a dataset that stages read; this one is a part of another",
        found->second.key, "give it to the dataset that holds the part, or write the part without it");
    good = false;
  }
  return good;
}

std::optional<Value> Resolver::part(const FieldInfo& info, const Value& value, const Place& place) {
  if (value.as<Table>()) return inline_part(info, value, place);
  const auto* name = value.as<std::string>();
  if (!name) return plain(info, value, place);
  const auto* named = names_.find(*name);
  const auto fitting_ones = names_.of_interface(info.interface);
  if (!named || std::find(fitting_ones.begin(), fitting_ones.end(), named) == fitting_ones.end()) {
    unknown_name({info}, *name, value, place);
    return {};
  }
  return named_part(info, *name, value, place);
}

std::optional<Value> Resolver::named_part(const FieldInfo& info, const std::string& name, const Value& value,
                                          const Place& place) {
  const auto& named = *names_.find(name);
  if (open_.size() > kMostNested || std::find(open_.begin(), open_.end(), name) != open_.end()) {
    auto path = open_;
    path.push_back(name);
    for (auto& one : path) one = backquoted(one);
    world_.problems.error("cycle", "components contain each other: " + join(path, " -> "), value.span,
                          "a component cannot be a part of itself");
    return {};
  }
  open_.push_back(name);
  std::optional<Value> out;
  if (info.interface == "tower") {
    if (auto settings = tower(named)) out = Value(std::move(*settings));
  } else {
    out = inline_part(info, *named.value, place);
    if (out && info.named) out->as<Table>()->insert_or_assign("as", Value(name));
    if (out && info.interface == "evaluator") gathered_.evaluators.back().name = name;
  }
  open_.pop_back();
  return out;
}

std::optional<Value> Resolver::inline_part(const FieldInfo& info, const Value& value, const Place& place) {
  Value whole = value;
  auto& table = *whole.as<Table>();
  if (!table.contains("type")) {
    // Below a part that is not written the default is changed: the only component of the kind, or the field's own.
    const Value* base = nullptr;
    if (const auto* only = only_component(info))
      base = only->value;
    else if (info.fallback && info.fallback->as<Table>())
      base = &*info.fallback;
    if (base && base->as<Table>()) {
      Table merged = *base->as<Table>();
      lay_over(merged, table, {});
      table = std::move(merged);
    }
  }
  std::vector<std::string> more;
  if (kind_of_interface(info.interface) == "dataset" && !is_part_of_dataset(table)) return {};
  bool good = true;
  if (info.weighted) {
    more.emplace_back("weight");
    if (const auto weight = table.find("weight"); weight != table.end())
      good = plain(weight_field(), weight->second, place.key("weight")).has_value();
  }
  if (info.named) {
    more.emplace_back("as");
    if (const auto as = table.find("as");
        as != table.end() && !(as->second.as<std::string>() && is_name(*as->second.as<std::string>()))) {
      world_.problems.error("bad-name", place.key("as").text() + " cannot be " + to_text(as->second), as->second.span,
                            "a letter, then letters, digits, `_` or `-`, at most 64 in all");
      good = false;
    }
  }
  auto out = component({info.interface}, whole, more);
  if (!out || !good) return {};
  const auto& type = *out->at("type").as<std::string>();
  if (info.named) out->emplace("as", Value(type));
  if (info.interface == "evaluator") {
    const auto& name = info.named ? *out->at("as").as<std::string>() : type;
    gathered_.evaluators.push_back({name, world_.catalogue.find(info.interface, type), *out});
  }
  return Value(std::move(*out));
}

std::optional<Value> Resolver::model(const FieldInfo& info, const Value& value, const Place& place) {
  FieldInfo as_part = info;
  as_part.kind = Kind::part, as_part.interface = "model";
  if (const auto* table = value.as<Table>(); table && table->contains("like")) return like(value, place);
  return part(as_part, value, place);
}

void Resolver::find_primary(const Table& stage) {
  auto found = stage.find("model");
  if (const auto towers = stage.find("towers"); found == stage.end() && towers != stage.end()) {
    const auto* list = towers->second.as<List>();
    const Value* first = list ? (list->empty() ? nullptr : &list->front()) : &towers->second;
    const auto* named = first && first->as<std::string>() ? names_.find(*first->as<std::string>()) : nullptr;
    if (!named || named->kind != "tower") return;
    return find_primary({{"model", named->table().contains("model") ? named->table().at("model") : Value()}});
  }
  if (found == stage.end()) return;
  const auto type_of = [](const Table& table) {
    const auto type = table.find("type");
    return type != table.end() && type->second.as<std::string>() ? *type->second.as<std::string>() : std::string();
  };
  if (const auto* table = found->second.as<Table>()) primary_ = type_of(*table);
  const auto* name = found->second.as<std::string>();
  const auto* named = name ? names_.find(*name) : nullptr;
  if (named && named->kind == "model") primary_ = type_of(named->table());
  if (!named || named->kind != "stage" || !graph_ || graph_->members(*name).size() != 1) return;
  const auto* made = graph_->node(graph_->members(*name).front(), found->second.span);
  const auto* info = made ? graph_->model_of(*made, "primary") : nullptr;
  if (info) primary_ = info->type;
}

// The settings of a model that is like another: laid over those of the other when it is made, so nothing is filled
// in.
std::optional<Value> Resolver::like(const Value& value, const Place& place) {
  const auto& table = *value.as<Table>();
  const auto& role = table.at("like");
  if (!role.as<std::string>()) {
    world_.problems.error("wrong-type",
                          place.key("like").text() + " must be text, not " + std::string(type_name(role)), role.span,
                          "a role, such as \"primary\"");
    return {};
  }
  const auto type = table.find("type");
  const ComponentInfo* info = nullptr;
  if (type != table.end() && type->second.as<std::string>()) {
    info = world_.catalogue.find("model", *type->second.as<std::string>());
    if (!info) {
      world_.unknown_type({"model"}, "model", type->second);
      gathered_.unknown = true;
      return {};
    }
  } else if (*role.as<std::string>() == "primary") {
    info = world_.catalogue.find("model", primary_);
  }
  Table rest = table, out;
  rest.erase("type"), rest.erase("like");
  if (type != table.end()) out.emplace("type", type->second);
  out.emplace("like", role);
  if (!info) {  // another stage's model may not be known before it runs
    out.insert(rest.begin(), rest.end());
    return Value(std::move(out));
  }
  gathered_.components.emplace("model", info->type);
  bool good = true;
  for (const auto* one : in_source_order(rest)) {
    const auto& [key, setting] = *one;
    Place at{key, "model " + backquoted(info->type), true};
    const auto* field_info = info->schema.find(key);
    if (!field_info) report_unknown_key(info->schema.fields, key, setting.key, at.owner, world_.problems, {"like"});
    auto resolved = field_info ? field(*field_info, setting, at) : std::nullopt;
    if (resolved)
      out.emplace(key, std::move(*resolved));
    else
      good = false;
  }
  return good ? std::optional(Value(std::move(out))) : std::nullopt;
}

}  // namespace xp::recipe
