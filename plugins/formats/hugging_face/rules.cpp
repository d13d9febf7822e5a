#include "rules.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "families.h"

namespace xp::hugging_face {
namespace {

/// Numbers of a list, checked.
Value numbers_of(const Json& value, const std::string& key, const std::string& file) {
  constexpr std::size_t kMost = 1024;
  const bool fits = value.is_array() && value.size() <= kMost &&
                    std::all_of(value.begin(), value.end(),
                                [](const Json& one) { return one.is_number() && std::isfinite(one.get<double>()); });
  if (!fits)
    throw Error(file + ": " + backquoted(key) + " is no list of at most " + std::to_string(kMost) + " numbers",
                Exit::data);
  List out;
  for (const auto& one : value) out.emplace_back(one.get<double>());
  return Value(std::move(out));
}

/// What a rule's default is, by the value of another setting if it says so.
Json otherwise(const Json& rule, const Table& known) {
  const auto& value = rule.at("or");
  if (!rule.contains("of")) return value;
  return value.at(word(known, rule.at("of").get_ref<const std::string&>().c_str()));
}

}  // namespace

Value value_of(const Json& json) { return value_from_json(json.dump()); }

const Json& value_names() {
  static const Json names = Json::parse(family_files().at("names.json"));
  return names;
}

const Json* at_path(const Json& config, const std::string& path) {
  const Json* at = &config;
  for (const auto& key : split(path, '.')) {
    if (!at->is_object()) return nullptr;
    const auto found = at->find(key);
    if (found == at->end() || found->is_null()) return nullptr;
    at = &*found;
  }
  return at;
}

std::vector<std::string> paths_of(const Json& rule) {
  std::vector<std::string> out{rule.at("key")};
  if (const auto also = rule.find("also"); also != rule.end()) {
    if (also->is_string()) out.push_back(*also);
    if (also->is_array())
      for (const auto& one : *also) out.push_back(one);
  }
  return out;
}

std::string text_of(const Json& json) {
  constexpr std::size_t kMost = 80;
  if (json.is_object()) return "a table";
  if (json.is_array()) return "a list";
  if (!json.is_string()) return json.dump();
  const auto& text = json.get_ref<const std::string&>();
  const auto begin = utf8_slice(text, 0, kMost);
  return printable(begin) + (begin.size() < text.size() ? " ..." : "");
}

std::int64_t whole(const Table& settings, const char* key) {
  const auto found = settings.find(key);
  return found != settings.end() && found->second.as<std::int64_t>() ? *found->second.as<std::int64_t>() : 0;
}

std::string word(const Table& settings, const char* key) {
  const auto found = settings.find(key);
  return found != settings.end() && found->second.as<std::string>() ? *found->second.as<std::string>() : "";
}

Value read_rule(const std::string& name, const Json& rule, const Json& config, const HasTensor& has,
                const Table& known, const std::string& file) {
  if (!rule.is_object()) return value_of(rule);
  if (rule.contains("tensor")) return value_of(has(rule["tensor"]) ? rule["there"] : rule["absent"]);
  if (rule.contains("count")) {
    const auto* there = at_path(config, rule["count"]);
    return Value(there && there->is_object() ? static_cast<std::int64_t>(there->size())
                                             : rule["or"].get<std::int64_t>());
  }
  const Json* found = nullptr;
  std::string key;
  for (const auto& path : paths_of(rule))
    if (!found) found = at_path(config, key = path);
  if (!found && rule.contains("same")) return known.find(rule["same"].get_ref<const std::string&>())->second;
  if (!found && !rule.contains("or"))
    throw Error(file + " has no " + backquoted(rule["key"].get<std::string>()), Exit::data);
  auto value = found ? *found : otherwise(rule, known);
  const auto wrong = [&](const std::string& wanted) {
    throw Error(file + ": " + backquoted(key) + " is " + text_of(value) + "; " + wanted, Exit::data);
  };
  if (rule.contains("names") && found) {
    const auto& names = value_names().at(rule["names"].get<std::string>());
    if (!value.is_string() || !names.contains(value.get<std::string>())) {
      std::vector<std::string> there;
      for (const auto& [one, ours] : names.items()) there.push_back(one);
      wrong("read are " + listed(there));
    }
    return value_of(names.at(value.get<std::string>()));
  }
  if (rule.contains("names")) {
    const auto& names = value_names().at(rule["names"].get<std::string>());
    return value_of(names.at(value.get<std::string>()));
  }
  if (rule.contains("list")) return numbers_of(value, key, file);
  // What a rule falls back on says what kind of value it reads; without any it reads sizes.
  const auto fallback = rule.find("or");
  const bool truth = rule.contains("same") || (fallback != rule.end() && fallback->is_boolean());
  const bool fraction = fallback != rule.end() && (fallback->is_number_float() || fallback->is_object());
  if (truth != value.is_boolean() || (!truth && !value.is_number()))
    wrong((truth ? "true or false is expected for " : "a number is expected for ") + backquoted(name));
  if (!fraction && value.is_number_float()) wrong("a whole number is expected for " + backquoted(name));
  if (value.is_number_float() && !std::isfinite(value.get<double>())) wrong("a finite number is expected");
  if (value.is_number_integer()) {
    auto n = value.get<std::int64_t>();
    if (n < 0 || n > (std::int64_t{1} << 31)) wrong("a size from 0 to 2147483648 is expected");
    n += rule.value("plus", std::int64_t{0});
    if (rule.contains("minus")) n -= whole(known, rule["minus"].get_ref<const std::string&>().c_str());
    return Value(n);
  }
  return value_of(value);
}

void set_path(Json& config, const std::string& path, Json value) {
  Json* at = &config;
  const auto keys = split(path, '.');
  for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
    if (!at->contains(keys[i])) (*at)[keys[i]] = Json::object();
    at = &(*at)[keys[i]];
  }
  (*at)[keys.back()] = std::move(value);
}

}  // namespace xp::hugging_face
