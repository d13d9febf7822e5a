// Lists, tables, choices between kinds, files, datasets and towers.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "recipe/resolver.h"
#include "recipe/toml_reader.h"
#include "schema/fields.h"

namespace xp::recipe {
namespace {

const FieldInfo& split_field() {
  static const FieldInfo share{
      .kind = Kind::real, .fallback = Value(0.05), .min = 0.0, .max = 1.0, .below_max = true};
  static const FieldInfo field = [] {
    FieldInfo dev = share, test = share;
    dev.name = "dev", test.name = "test";
    return FieldInfo{.name = "split", .kind = Kind::table, .fields = {dev, test}};
  }();
  return field;
}

const FieldInfo& sampling_field() {
  static const FieldInfo field{
      .name = "sampling",
      .kind = Kind::table,
      .nullable = true,
      .fields = {
          {.name = "alpha", .kind = Kind::real, .required = true, .min = 0.0, .max = 1.0},
          {.name = "by", .kind = Kind::choice, .fallback = Value("language"), .choices = {"language", "source"}}}};
  return field;
}

std::vector<FieldInfo> tower_fields() {
  FieldInfo model{.name = "model", .kind = Kind::any_of, .required = true};
  model.fields = {field::artifact("checkpoint"), {.kind = Kind::model}};
  FieldInfo train{.name = "train", .kind = Kind::any_of, .fallback = Value("all")};
  train.fields = {field::text({"all", "none"}), field::list(field::text())};
  FieldInfo rate{.name = "lr_mult", .kind = Kind::real, .fallback = Value(1.0), .min = 0.0};
  FieldInfo ema{.name = "ema_of", .kind = Kind::text};
  FieldInfo decay{.name = "ema_decay", .kind = Kind::real, .fallback = Value(0.996), .min = 0.0, .max = 1.0};
  return {model, train, rate, ema, decay};
}

// The patterns of parameters that a tower moves: a bare word is a role. Nothing, and a problem, if one cannot be.
std::optional<Value> tower_patterns(const Value& train, const Place& place, Problems& problems) {
  if (train == Value("all") || train == Value("none")) return train;
  List out;
  for (const auto& one : train.as<List>() ? *train.as<List>() : List{train}) {
    const auto& text = *one.as<std::string>();
    if (text == "adapter" || text.empty()) {
      problems.error(
          "bad-pattern", place.key("train").text() + " cannot be " + backquoted(printable(text)),
          one.span ? one.span : train.span,
          text.empty()
              ? "\"all\", \"none\", or a list of roles, such as [\"norm\", \"head\"]"
              : "no plugin offers adapters; \"all\", \"none\", or a list of roles, such as [\"norm\", \"head\"]");
      return {};
    }
    out.emplace_back(text.find(':') == std::string::npos && text != "*" ? "role:" + text : text);
  }
  return Value(std::move(out));
}

bool takes_text(const FieldInfo& info) {
  return info.kind == Kind::choice || info.kind == Kind::text || info.kind == Kind::quantity ||
         info.kind == Kind::distribution || info.kind == Kind::boolean || info.kind == Kind::integer ||
         info.kind == Kind::real || info.kind == Kind::anything;
}

const FieldInfo& element_of(const FieldInfo& info) {
  return info.kind == Kind::list ? element_of(info.fields.front()) : info;
}

}  // namespace

std::optional<Value> Resolver::files(const Value& value, const Place& place) {
  const List patterns = value.as<List>() ? *value.as<List>() : List{value};
  const auto before = world_.problems.errors();
  List out;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const auto* pattern = patterns[i].as<std::string>();
    if (!pattern) {
      world_.problems.error("wrong-type",
                            place.item(i).text() + " must be text, not " + std::string(type_name(patterns[i])),
                            patterns[i].span, "a path pattern");
      continue;
    }
    for (auto& file : world_.files.matching(*pattern, patterns[i].span)) {
      if (!seen.insert(file.path.string()).second) continue;
      out.push_back(
          Table{{"path", Value(file.path.string())}, {"name", Value(file.name)}, {"sha256", Value(file.sha256)}});
    }
  }
  if (world_.problems.errors() != before || out.empty()) {
    if (patterns.empty())
      world_.problems.error("missing-file", place.text() + " names no file", value.span, "a list of path patterns");
    return {};
  }
  return Value(std::move(out));
}

std::optional<Value> Resolver::list(const FieldInfo& info, const Value& value, const Place& place) {
  FieldInfo element = info.fields.front();
  element.weighted = element.weighted || (info.weighted && element.kind == Kind::part);
  const List written = value.as<List>() ? *value.as<List>() : List{value};
  List out;
  bool good = true;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto at = value.as<List>() ? place.item(i) : place;
    if (element.kind == Kind::artifact) {
      auto some = references(element, written[i], at, true);
      good = good && some;
      if (some) out.insert(out.end(), some->begin(), some->end());
      continue;
    }
    auto one = field(element, written[i], at);
    good = good && one;
    if (!one) continue;
    one->span = written[i].span;
    out.push_back(std::move(*one));
  }
  if (!good) return {};
  if (element.named) name_evaluators(out, written, place);
  return Value(std::move(out));
}

void Resolver::name_evaluators(List& list, const List& written, const Place& place) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.size() && i < written.size(); ++i) {
    const auto& name = *list[i].as<Table>()->at("as").as<std::string>();
    if (!seen.insert(name).second)
      world_.problems.error("duplicate-name", "two entries of " + place.text() + " are named " + backquoted(name),
                            written[i].span, "tell them apart with `as`");
  }
}

std::optional<Value> Resolver::table(const FieldInfo& info, const Value& value, const Place& place) {
  const auto* from = value.as<Table>();
  if (!from) return plain(info, value, place);
  Table out;
  if (!settings(info.fields, *from, place, value.span ? value.span : value.key, out)) return {};
  return Value(std::move(out));
}

std::optional<Value> Resolver::map(const FieldInfo& info, const Value& value, const Place& place) {
  const auto* from = value.as<Table>();
  if (!from) return plain(info, value, place);
  Table out;
  bool good = true;
  for (const auto* one : in_source_order(*from)) {
    auto resolved = field(info.fields.front(), one->second, place.key(one->first));
    good = good && resolved;
    if (resolved) out.emplace(one->first, std::move(*resolved));
  }
  return good ? std::optional(Value(std::move(out))) : std::nullopt;
}

std::optional<Value> Resolver::any_of(const FieldInfo& info, const Value& value, const Place& place) {
  if (const auto* text = value.as<std::string>()) return any_name(info, *text, value, place);
  const auto try_first = [&](auto&& fits_kind) -> const FieldInfo* {
    const FieldInfo* only = nullptr;
    for (const auto& one : info.fields) {
      if (!fits_kind(one)) continue;
      if (!only) only = &one;
      Problems ignored;
      if (check_value(one, value, place.owner, ignored)) return &one;
    }
    return only;
  };
  const FieldInfo* chosen = nullptr;
  if (const auto* table = value.as<Table>()) {
    const bool typed = table->contains("type") || table->contains("like");
    for (const auto& one : info.fields) {
      const bool is_part = one.kind == Kind::part || one.kind == Kind::model;
      if (typed && is_part && !chosen) chosen = &one;
      const auto type = table->find("type");
      const auto* name = type == table->end() ? nullptr : type->second.as<std::string>();
      if (is_part && name && world_.catalogue.find(one.kind == Kind::model ? "model" : one.interface, *name)) {
        chosen = &one;
        break;
      }
    }
    if (!chosen)
      chosen = try_first([](const FieldInfo& one) {
        return one.kind == Kind::table || one.kind == Kind::map || one.kind == Kind::distribution ||
               one.schedulable || one.learnable;
      });
    if (!chosen)
      chosen = try_first([](const FieldInfo& one) {
        return one.kind == Kind::part || one.kind == Kind::model || one.kind == Kind::list ||
               one.kind == Kind::anything;
      });
  } else if (value.as<List>()) {
    chosen = try_first([](const FieldInfo& one) {
      return one.kind == Kind::list || one.kind == Kind::files || one.kind == Kind::anything;
    });
  } else {
    Problems ignored;
    for (const auto& one : info.fields)
      if (!chosen && takes_text(one) && check_value(one, value, place.owner, ignored)) chosen = &one;
  }
  return chosen ? field(*chosen, value, place) : plain(info, value, place);
}

// Text may be a choice, the name of a component, an artifact, or plain text; the names at hand decide.
std::optional<Value> Resolver::any_name(const FieldInfo& info, const std::string& text, const Value& value,
                                        const Place& place) {
  for (const auto& one : info.fields)
    if (one.kind == Kind::choice && std::find(one.choices.begin(), one.choices.end(), text) != one.choices.end())
      return value;
  const auto* named = names_.find(text);
  const auto is_part_of = [&](const FieldInfo& one) {
    if (one.kind != Kind::part && one.kind != Kind::model) return false;
    const auto all = names_.of_interface(one.kind == Kind::model ? "model" : one.interface);
    return named && std::find(all.begin(), all.end(), named) != all.end();
  };
  const auto base = text.substr(0, text.find_first_of("[.:#"));
  const auto* source = names_.find(base);
  const bool artifact = is_outside(text) || (source && (source->kind == "stage" || source->kind == "dataset"));
  const bool many = text.find("[*]") != std::string::npos;
  for (const bool in_list : {many, !many})
    for (const auto& one : info.fields) {
      const auto& element = element_of(one);
      if ((one.kind == Kind::list) != in_list) continue;
      if (is_part_of(element) || (artifact && element.kind == Kind::artifact)) return field(one, value, place);
    }
  std::vector<FieldInfo> by_name;
  for (const auto& one : info.fields) {
    Problems ignored;
    if (takes_text(one) && check_value(one, value, place.owner, ignored)) return plain(one, value, place);
    const auto& element = element_of(one);
    if (!takes_text(element) && element.kind != Kind::table) by_name.push_back(element);
  }
  for (const auto& one : info.fields) {
    Problems ignored;
    if (one.kind == Kind::list && takes_text(one.fields.front()) && check_value(one, value, place.owner, ignored))
      return field(one, value, place);
  }
  if (by_name.empty()) return plain(info, value, place);
  unknown_name(by_name, text, value, place);
  return {};
}

std::shared_ptr<const Table> Resolver::dataset(const NamedTable& named) {
  const std::vector<std::string> own{"split", "sampling"};
  bool good = true;
  Table framework;
  const std::string owner = "dataset " + backquoted(named.name);
  for (const auto* info : {&split_field(), &sampling_field()}) {
    const auto found = named.table().find(info->name);
    const Place place{info->name, owner};
    std::optional<Value> value;
    const bool none = found != named.table().end() && found->second == Value("none");
    if (found != named.table().end() && !(none && info->nullable)) {
      value = table(*info, found->second, place);
      good = good && value;
    } else if (!none) {
      value = fallback(*info, {"", owner});
    }
    if (value) framework.emplace(info->name, std::move(*value));
  }
  if (const auto* dev = find(framework, "split.dev");
      dev && dev->number() + find(framework, "split.test")->number() >= 1) {
    const auto& written = named.table().at("split");
    world_.problems.error("out-of-range", "the shares of `split` of " + owner + " leave nothing to train on",
                          written.span, "their sum is below 1");
    good = false;
  }
  auto out = component(interfaces_of_kind("dataset"), *named.value, own);
  if (!out || !good) return nullptr;
  for (auto& [key, value] : framework) out->insert_or_assign(key, std::move(value));
  return std::make_shared<const Table>(std::move(*out));
}

std::optional<Table> Resolver::tower(const NamedTable& named) {
  Table out;
  const Place place{"", "tower " + backquoted(named.name)};
  if (!settings(tower_fields(), named.table(), place, named.value->key, out)) return {};
  auto train = tower_patterns(out.at("train"), place, world_.problems);
  if (!train) return {};
  out.insert_or_assign("train", std::move(*train));
  if (const auto ema = out.find("ema_of"); ema != out.end()) {
    const auto& of = *ema->second.as<std::string>();
    const auto* followed = names_.find(of);
    if (of == named.name || !followed || followed->kind != "tower") {
      std::vector<std::string> others;
      for (const auto* one : names_.of_kind("tower"))
        if (one->name != named.name) others.push_back(one->name);
      world_.problems.error(
          "unknown-name",
          place.key("ema_of").text() + " wants another tower, and " + backquoted(printable(of)) + " is none",
          ema->second.span, suggestion(of, others, "there is no other"));
      return {};
    }
  }
  out.emplace("name", Value(named.name));
  return out;
}

}  // namespace xp::recipe
