#include "recipe/arms.h"

#include <algorithm>

#include "base/text.h"
#include "recipe/overlay.h"
#include "recipe/toml_reader.h"
#include "schema/schema.h"

namespace xp::recipe {
namespace {

constexpr std::size_t kMostArms = 1000;
constexpr std::size_t kMostText = std::size_t{1} << 23;  // bytes of all arms' recipes

std::vector<Table> product(const Table& lists, const std::string& owner, Problems& problems) {
  std::vector<Table> out{{}};
  for (const auto* one : in_source_order(lists)) {
    const auto* values = one->second.as<List>();
    if (!values || values->empty()) {
      problems.error("bad-expand",
                     backquoted(printable(one->first)) + " in `expand` of " + owner + " must be a list of values",
                     one->second.span, "such as { \"stage.finetune.stop\" = [\"1 epochs\", \"2 epochs\"] }");
      return {};
    }
    if (out.size() * values->size() > kMostArms) {
      problems.error("too-many", "`expand` of " + owner + " gives more than " + std::to_string(kMostArms) + " arms",
                     one->second.span);
      return {};
    }
    std::vector<Table> more;
    for (const auto& base : out)
      for (const auto& value : *values) {
        Table next = base;
        Value placed = value;
        placed.key = one->second.key;
        next.emplace(one->first, std::move(placed));
        more.push_back(std::move(next));
      }
    out = std::move(more);
  }
  return out;
}

std::vector<Table> expansions(const Value& expand, const std::string& owner, Problems& problems) {
  if (const auto* table = expand.as<Table>(); table && !table->empty()) return product(*table, owner, problems);
  const auto* list = expand.as<List>();
  std::vector<Table> out;
  bool good = list && !list->empty() && list->size() <= kMostArms;
  if (good)
    for (const auto& one : *list) {
      if (const auto* table = one.as<Table>())
        out.push_back(*table);
      else
        good = false;
    }
  if (good) return out;
  problems.error("bad-expand", "`expand` of " + owner + " must be a list of overlays or a table of lists",
                 expand.span,
                 "such as [{ \"stage.finetune.stop\" = \"1 epochs\" }, { \"stage.finetune.stop\" = \"2 epochs\" }]");
  return {};
}

struct ArmPlan {
  std::string name, group, label;
  std::vector<std::vector<Assignment>> overlays;
};

void plan_arm(const std::string& name, const Value& value, std::vector<ArmPlan>& out, Problems& problems) {
  const std::string owner = "arm " + backquoted(name);
  const auto* table = value.as<Table>();
  if (!is_name(name)) {
    problems.error("bad-name", "an arm cannot be named " + backquoted(printable(name)), value.key,
                   "a letter, then letters, digits, `_` or `-`, at most 64 in all");
    return;
  }
  if (!table) {
    problems.error("wrong-type", owner + " must be a table, not " + std::string(type_name(value)), value.span,
                   "write [arm." + name + "]");
    return;
  }
  Table overlay = *table;
  ArmPlan arm{name, name, name, {}};
  if (const auto label = overlay.find("label"); label != overlay.end()) {
    if (check_value({.name = "label", .kind = Kind::text}, label->second, owner, problems))
      arm.label = *label->second.as<std::string>();
    overlay.erase(label);
  }
  std::optional<Value> expand;
  if (const auto found = overlay.find("expand"); found != overlay.end()) {
    expand = found->second;
    overlay.erase(found);
  }
  arm.overlays.push_back(flatten(overlay, owner, problems));
  if (!expand) {
    out.push_back(std::move(arm));
    return;
  }
  std::size_t n = 0;
  for (const auto& one : expansions(*expand, owner, problems)) {
    ArmPlan member = arm;
    const std::string index = "[" + std::to_string(n++) + "]";
    member.name += index, member.label += " " + index;
    member.overlays.push_back(flatten(one, owner, problems));
    out.push_back(std::move(member));
  }
}

std::vector<ArmPlan> plan_arms(const Table& document, Problems& problems) {
  std::vector<ArmPlan> out;
  const auto found = document.find("arm");
  if (found == document.end()) return {{"main", "main", "", {}}};
  const auto* arms = found->second.as<Table>();
  if (!arms) {
    problems.error("wrong-type", "`arm` must hold named tables, not " + std::string(type_name(found->second)),
                   found->second.span, "write [arm.NAME]");
    return {};
  }
  for (const auto* one : in_source_order(*arms)) plan_arm(one->first, one->second, out, problems);
  if (out.size() > kMostArms) {
    problems.error("too-many", "the recipe has more than " + std::to_string(kMostArms) + " arms", found->second.key);
    return {};
  }
  return out;
}

std::vector<ArmPlan> chosen(std::vector<ArmPlan> all, const std::vector<std::string>& wanted, Problems& problems) {
  if (wanted.empty()) return all;
  std::vector<std::string> names;
  for (const auto& arm : all) names.push_back(arm.name);
  bool known = true;
  for (const auto& name : wanted)
    if (std::none_of(all.begin(), all.end(),
                     [&](const ArmPlan& arm) { return arm.name == name || arm.group == name; })) {
      known = false;
      problems.error("unknown-arm", "there is no arm " + backquoted(printable(name)), {},
                     suggestion(name, names, "the recipe has no arms"));
    }
  if (!known) return all;  // without its arms a recipe has other mistakes, which would only follow from this one
  std::erase_if(all, [&](const ArmPlan& arm) {
    return std::none_of(wanted.begin(), wanted.end(),
                        [&](const auto& name) { return arm.name == name || arm.group == name; });
  });
  return all;
}

void put_override(Table& document, const Overrides::One& one, Problems& problems) {
  const Table before = document;
  const bool good = one.remove ? remove_at(document, one.path) : put_at(document, one.path, one.value, before);
  if (!good)
    problems.error("unknown-path",
                   backquoted(path_text(one.path)) + " of " + std::string(one.flag()) + " is not in the recipe",
                   one.value.key, suggestion(one.path[0].key, keys_of(&document), ""));
}

void apply_overrides(std::vector<Arm>& arms, const Overrides& overrides, Problems& problems) {
  for (const auto& one : overrides.list) {
    if (!is_named_group(one.path[0].key)) continue;
    bool anywhere = arms.empty();
    for (auto& arm : arms) {
      if (!there(arm.document, one.path) && !(!one.remove && creates({one.path, one.value}))) continue;
      const Table before = arm.document;
      anywhere =
          (one.remove ? remove_at(arm.document, one.path) : put_at(arm.document, one.path, one.value, before)) ||
          anywhere;
    }
    if (!anywhere) unknown_path(arms.front().document, one.path, std::string(one.flag()), one.value.key, problems);
  }
}

const Table* smoke_of(const Table& document, Problems& problems) {
  const auto found = document.find("smoke");
  if (found == document.end()) return nullptr;
  if (!found->second.as<Table>())
    problems.error("wrong-type", "`smoke` must be a table, not " + std::string(type_name(found->second)),
                   found->second.span, "write [smoke]");
  return found->second.as<Table>();
}

// What [smoke] changes in components and stages.
std::vector<Assignment> smoke_below(const Table& document, Problems& problems) {
  Table below;
  if (const auto* table = smoke_of(document, problems))
    for (const auto& [key, value] : *table)
      if (is_named_group(key) || is_path(key)) below.emplace(key, value);
  return flatten(below, "[smoke]", problems);
}

// A recipe that is right only until somebody asks for its smoke run is wrong.
void check_smoke(const std::vector<Assignment>& smoke, const Table& base, const std::vector<Arm>& arms,
                 Problems& problems) {
  for (const auto& one : smoke) {
    const bool in_arm =
        std::any_of(arms.begin(), arms.end(), [&](const Arm& arm) { return there(arm.document, one.path); });
    if (!in_arm && !there(base, one.path) && !creates(one))
      unknown_path(base, one.path, "[smoke]", one.value.key, problems);
  }
}

}  // namespace

Overrides::Overrides(const ResolveOptions& options, Problems& problems) {
  const auto add = [&](const std::string& text, bool remove, std::size_t number) {
    const std::string flag = remove ? "--unset" : "--set";
    auto source = std::make_shared<SourceText>(
        SourceText{flag + " number " + std::to_string(number), printable(text), true, 1 << 20});
    source->order += static_cast<int>(list.size());
    const auto equals = remove ? text.size() : text.find('=');
    const std::string key(trim(text.substr(0, equals)));
    const auto path = equals == std::string::npos ? std::nullopt : parse_path(key);
    const SourceSpan whole{source, 1, 1, std::max(1, static_cast<int>(display_width(text)))};
    if (!path || !is_utf8(text)) {
      problems.error("bad-override", backquoted(printable(text)) + " is not an override", whole,
                     remove ? "such as stage.adapt.evaluate" : "such as stage.adapt.stop=\"20k tokens\"");
      return;
    }
    One one{key, *path, Value(), remove};
    if (!remove) {
      const auto front = static_cast<int>(display_width(text.substr(0, equals + 1)));
      one.value = read_override(source, std::string_view(text).substr(equals + 1), front + 1);
    }
    one.value.key = {source, 1, 1, std::max(1, static_cast<int>(display_width(key)))};
    for (const auto& other : list)
      if (path_text(other.path) == path_text(one.path)) {
        problems.error("duplicate-key", backquoted(printable(key)) + " is overridden twice", one.value.key,
                       "keep one of " + other.value.key.source->name + " and " + source->name);
        return;
      }
    list.push_back(std::move(one));
  };
  for (std::size_t i = 0; i < options.set.size(); ++i) add(options.set[i], false, i + 1);
  for (std::size_t i = 0; i < options.unset.size(); ++i) add(options.unset[i], true, i + 1);
}

Table outer_document(const Table& document, const Overrides& overrides, const ResolveOptions& options,
                     Problems& problems) {
  Table out = document;
  if (const auto* smoke = smoke_of(document, problems); smoke && options.smoke) {
    Table top;
    for (const auto& [key, value] : *smoke)
      if (!is_named_group(key) && !is_path(key)) top.emplace(key, value);
    lay_over(out, top, document);
  }
  for (const auto& one : overrides.list)
    if (!is_named_group(one.path[0].key)) put_override(out, one, problems);
  return out;
}

void lay_all(Table& document, const Overrides& overrides, const ResolveOptions& options, Problems& problems) {
  const auto smoke = smoke_below(document, problems);
  if (options.smoke) apply(document, smoke, "[smoke]", problems);
  std::vector<Arm> whole{{"", "", "", std::move(document)}};
  apply_overrides(whole, overrides, problems);
  document = std::move(whole.front().document);
}

std::vector<Arm> make_arms(const Table& document, const Overrides& overrides, const ResolveOptions& options,
                           Problems& problems) {
  Table base;
  for (const auto& [key, value] : document)
    if (is_named_group(key)) base.emplace(key, value);
  const auto smoke = smoke_below(document, problems);
  std::vector<Arm> arms;
  const auto plans = chosen(plan_arms(document, problems), options.arms, problems);
  if (to_text(Value(base)).size() * plans.size() > kMostText) {
    problems.error("too-large", "the recipe is too large for " + count(plans.size(), "arm"), {},
                   "fewer arms, or a smaller recipe");
    return {};
  }
  for (const auto& plan : plans) {
    Arm arm{plan.name, plan.group, plan.label, base};
    for (const auto& overlay : plan.overlays) apply(arm.document, overlay, "arm " + backquoted(plan.group), problems);
    for (const auto& [key, value] : options.sweep) {
      const auto path = parse_path(key);
      if (path) apply(arm.document, {{*path, value}}, "the sweep", problems);
    }
    if (options.smoke) apply_smoke(arm.document, base, smoke, problems);
    arms.push_back(std::move(arm));
  }
  if (!options.smoke) check_smoke(smoke, base, arms, problems);
  apply_overrides(arms, overrides, problems);
  return arms;
}

}  // namespace xp::recipe
