#include "family.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "families.h"
#include "rules.h"

namespace xp::hugging_face {
namespace {

const std::vector<Family>& families() {
  static const auto all = [] {
    std::vector<Family> list;
    for (const auto& [name, text] : family_files())
      if (name != "names.json") list.emplace_back(Json::parse(text));
    return list;
  }();
  return all;
}

bool is_gated(const Table& settings) {
  const auto activation = word(settings, "activation");
  return activation == "swiglu" || activation.starts_with("geglu");
}

/// Zeros that mean "as another setting says" for numbers that say so.
Table shortened(Table settings) {
  const auto same = [&](const char* key, std::int64_t as) {
    if (whole(settings, key) == as) settings.insert_or_assign(key, Value(std::int64_t{0}));
  };
  const auto width = whole(settings, "width"), heads = whole(settings, "heads");
  same("kv_heads", heads), same("embedding_width", width), same("decoder_layers", whole(settings, "layers"));
  same("ffn", 4 * width);
  if (heads > 0) same("head_size", width / heads);
  return settings;
}

/// The same without zeros, for configurations that want the number itself.
Table spelt_out(Table settings) {
  const auto zero = [&](const char* key, std::int64_t means) {
    if (settings.contains(key) && whole(settings, key) == 0) settings.insert_or_assign(key, Value(means));
  };
  const auto width = whole(settings, "width"), heads = whole(settings, "heads");
  zero("kv_heads", heads), zero("embedding_width", width), zero("decoder_layers", whole(settings, "layers"));
  zero("ffn", 4 * width), zero("pooler_width", width);
  if (heads > 0) zero("head_size", width / heads);
  return settings;
}

/// Whether a rule is about nothing, as another setting says.
bool is_idle(const Json& rule, const Table& settings) {
  if (!rule.is_object() || !rule.contains("unless")) return false;
  const auto& unless = rule["unless"];
  return std::any_of(unless.items().begin(), unless.items().end(),
                     [&](const auto& one) { return one.value() == Json(word(settings, one.key().c_str())); });
}

std::string with_number(std::string text, const char* mark, std::int64_t number) {
  if (const auto at = text.find(mark); at != std::string::npos)
    text.replace(at, std::string_view(mark).size(), std::to_string(number));
  return text;
}

}  // namespace

const Family& Family::of(const Json& config, const std::string& file) {
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string())
    throw Error(file + " has no text `model_type`, which names the family of the model", Exit::data);
  std::vector<std::string> known;
  for (const auto& family : families())
    for (const auto& one : family.data_.at("model_types")) {
      if (one == *type) return family;
      known.push_back(one);
    }
  throw Error(file + ": models of type " + backquoted(printable(type->get<std::string>())) +
                  " are not read; read are " + listed(known),
              Exit::data);
}

const Family& Family::for_settings(const Table& settings) {
  std::vector<std::string> reasons;
  for (const auto& family : families()) {
    if (!family.towers().empty()) continue;
    const auto reason = family.misfit(settings);
    if (!reason) return family;
    reasons.push_back(family.model_type() + ": " + *reason);
  }
  throw Error("no family of the Hugging Face library has these settings (" + join(reasons, "; ") + ")", Exit::data);
}

const Family& Family::named(const std::string& model_type) {
  return of({{"model_type", model_type}}, "a family of several models");
}

const Family* Family::joint(const std::map<std::string, const Family*>& by_role) {
  for (const auto& family : families()) {
    const auto towers = family.towers();
    const auto fits = [&](const Tower& tower) {
      const auto found = by_role.find(tower.role);
      return found != by_role.end() && found->second->model_type() == tower.type;
    };
    if (!towers.empty() && towers.size() == by_role.size() && std::all_of(towers.begin(), towers.end(), fits))
      return &family;
  }
  return nullptr;
}

std::optional<std::string> Family::misfit(const Table& settings) const {
  const auto given = shortened(settings);
  const auto& rules = data_.at("settings");
  for (const auto& [name, value] : given) {
    const auto rule = rules.find(name);
    const auto text = to_text(value);
    if (rule == rules.end()) {
      const auto& fixed = value_names().at("unless_said");
      if (fixed.contains(name) && value != value_of(fixed.at(name))) return name + " = " + text;
    } else if (!rule->is_object()) {
      if (value != value_of(*rule)) return name + " = " + text;
    } else if (rule->contains("names")) {
      const auto& names = value_names().at((*rule)["names"].get<std::string>());
      if (std::none_of(names.begin(), names.end(), [&](const Json& ours) { return value == value_of(ours); }))
        return name + " = " + text;
    } else if (rule->contains("tensor") && !rule->contains("or any")) {
      if (value != value_of((*rule)["there"]) && value != value_of((*rule)["absent"])) return name + " = " + text;
    }
  }
  for (const auto& [name, rule] : rules.items())
    if (rule.is_object() && rule.contains("least") && whole(given, name.c_str()) < rule["least"].get<std::int64_t>())
      return name + " = " + std::to_string(whole(given, name.c_str()));
  return std::nullopt;
}

void Family::check_requirements(const Json& config, const std::string& file) const {
  for (const auto& [key, allowed] : data_.at("requires").items()) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) continue;
    if (std::find(allowed.begin(), allowed.end(), *found) == allowed.end())
      throw Error(file + ": " + backquoted(key) + " is " + text_of(*found) + ", which no model here follows",
                  Exit::data);
  }
}

// Names are made for every layer, so a number of layers counts only if the last one is there.
void Family::check_layers(const Table& settings, const HasTensor& has, const std::string& file) const {
  const auto layers = whole(settings, "layers"), below = whole(settings, "decoder_layers");
  const auto prefix = prefixed(has) ? data_.at("prefix").get<std::string>() : "";
  for (const char* mark : {"{i}", "{j}"}) {
    const auto n = *(mark + 1) == 'j' && below ? below : layers;
    const auto& rows = data_.at("trunk");
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Json& one) {
      return one.at(0).get_ref<const std::string&>().find(mark) != std::string::npos &&
             (one.size() < 4 || one.at(3).get_ref<const std::string&>().find("gated") == std::string::npos);
    });
    if (n == 0 || row == rows.end()) continue;
    const auto last = with_number(prefix + row->at(2).get<std::string>(), mark, n - 1);
    if (!has(last))
      throw Error(file + " says that there are " + std::to_string(n) + " layers, but the directory has no tensor " +
                      backquoted(last),
                  Exit::data);
  }
}

Table Family::settings(const Json& config, const HasTensor& has, const std::string& file) const {
  check_requirements(config, file);
  const auto& rules = data_.at("settings");
  Table out;
  const auto prefix = data_.at("prefix").get<std::string>();
  const HasTensor either = [&](const std::string& name) { return has(name) || has(prefix + name); };
  const auto read = [&](const std::string& name, const Json& rule) {
    if (!is_idle(rule, out)) out.insert_or_assign(name, read_rule(name, rule, config, either, out, file));
  };
  const auto refers = [](const Json& rule) {
    return rule.is_object() &&
           (rule.contains("same") || rule.contains("minus") || rule.contains("of") || rule.contains("unless"));
  };
  for (const auto& [name, rule] : rules.items())
    if (!refers(rule)) read(name, rule);
  for (const auto& [name, rule] : rules.items())
    if (refers(rule)) read(name, rule);
  check_layers(out, has, file);
  return out;
}

Json Family::config(const Table& settings, const std::string& model_type) const {
  const auto whole_numbers = spelt_out(settings);
  Json out = data_.at("config");
  const auto type = model_type.empty() ? this->model_type() : model_type;
  out["model_type"] = type;
  const auto named_by = data_.value("architecture_by", std::string("head"));
  auto architecture = data_.at("architectures").at(word(settings, named_by.c_str())).get<std::string>();
  if (const auto at = architecture.find("{Family}"); at != std::string::npos)
    architecture.replace(at, 8, data_.at("names").at(type).get<std::string>());
  out["architectures"] = {architecture};
  for (const auto& [name, rule] : data_.at("settings").items()) {
    if (!rule.is_object() || !rule.contains("key")) continue;
    auto found = settings.find(name);
    if (found == settings.end() || is_idle(rule, settings)) continue;
    // A zero stands for "as usual", which the library does by itself where it knows the same usual.
    if (!rule.contains("or") || rule["or"] != 0) found = whole_numbers.find(name);
    auto value = Json::parse(to_json(found->second));
    if (rule.contains("names")) {
      for (const auto& [there, ours] : value_names().at(rule["names"].get<std::string>()).items())
        if (ours == value) {
          value = there;
          break;
        }
    } else if (value.is_number_integer()) {
      if (value == 0 && rule.contains("or") && rule["or"] == 0) continue;
      value = value.get<std::int64_t>() - rule.value("plus", std::int64_t{0});
      if (rule.contains("minus"))
        value = value.get<std::int64_t>() + whole(settings, rule["minus"].get_ref<const std::string&>().c_str());
    }
    if (rule.contains("or") && !rule.contains("of") && rule["or"] == value &&
        rule["key"].get<std::string>().find('.') != std::string::npos)
      continue;
    set_path(out, rule["key"], std::move(value));
  }
  if (const auto scaling = out.find("rope_scaling"); scaling != out.end() && !scaling->contains("rope_type"))
    out.erase(scaling);
  return out;
}

bool Family::has_head(const Table& settings) {
  return word(settings, "head") != "none" || word(settings, "pooler") == "linear";
}

bool Family::prefixed(const HasTensor& has) const {
  const auto first = data_.at("trunk").at(0).at(2).get<std::string>();
  return has(data_.at("prefix").get<std::string>() + first) || !has(first);
}

std::vector<TensorPlace> Family::tensors(const Table& settings, bool prefixed) const {
  std::vector<TensorPlace> out;
  add_tensors("trunk", settings, prefixed ? data_.at("prefix").get<std::string>() : "", out);
  if (has_head(settings)) add_tensors("head", settings, "", out);
  return out;
}

void Family::add_tensors(const char* part, const Table& settings, const std::string& prefix,
                         std::vector<TensorPlace>& out) const {
  const auto tied = settings.find("tied");
  const bool own_output = tied == settings.end() || tied->second != Value(true);
  const bool projects = whole(shortened(settings), "embedding_width") != 0;
  const auto layers = whole(settings, "layers"), below = whole(settings, "decoder_layers");
  const auto pooler = word(settings, "pooler");
  for (const auto& row : data_.at(part)) {
    TensorPlace place{row.at(0), row.at(1), prefix + row.at(2).get<std::string>()};
    const auto how = row.size() > 3 ? row.at(3).get<std::string>() : std::string();
    if (how == "if gated" && !is_gated(settings)) continue;
    if (how == "unless gated" && is_gated(settings)) continue;
    if (place.role == "vocab.output" && !own_output) continue;
    if (place.ours.starts_with("embedding.project") && !projects) continue;
    if (place.ours.starts_with("pooler") && (pooler.empty() || pooler == "none")) continue;
    if (place.role == "segment" && whole(settings, "segments") == 0) continue;
    place.transposed = how.starts_with("transpose");
    if (const auto at = how.find("part "); at != std::string::npos)
      place.part = how[at + 5] - '0', place.of = how[at + 7] - '0';
    if (how.starts_with("lead ")) place.lead = how[5] - '0';
    const bool second = place.ours.find("{j}") != std::string::npos;
    const char* mark = second ? "{j}" : "{i}";
    if (!second && place.ours.find("{i}") == std::string::npos) {
      out.push_back(std::move(place));
      continue;
    }
    for (std::int64_t i = 0; i < (second && below ? below : layers); ++i) {
      auto one = place;
      one.ours = with_number(place.ours, mark, i), one.theirs = with_number(place.theirs, mark, i);
      one.layer = static_cast<int>(second ? layers + i : i);
      out.push_back(std::move(one));
    }
  }
}

std::vector<std::pair<std::string, std::string>> Family::copies() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [name, of] : data_.at("copies").items()) out.emplace_back(name, of);
  return out;
}

bool Family::derived(const std::string& name) const {
  const auto prefix = data_.at("prefix").get<std::string>();
  for (const auto& one : data_.at("derived")) {
    auto text = one.get<std::string>();
    std::string bare = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
    const auto mark = text.find("{i}");
    if (mark == std::string::npos) {
      if (bare == text) return true;
      continue;
    }
    const auto front = text.substr(0, mark), back = text.substr(mark + 3);
    if (bare.size() > front.size() + back.size() && bare.starts_with(front) && bare.ends_with(back)) {
      const auto middle = bare.substr(front.size(), bare.size() - front.size() - back.size());
      if (middle.find_first_not_of("0123456789") == std::string::npos) return true;
    }
  }
  return false;
}

}  // namespace xp::hugging_face
