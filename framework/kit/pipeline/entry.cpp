// How steps read their settings.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/steps.h"

namespace xp::pipeline {
namespace {

// Containers are not written out: they may be as large as the file and as deep as its author liked.
std::string shown(const Json& value) {
  if (value.is_object()) return "a table";
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (!value.is_string()) return value.dump();
  constexpr std::size_t kMost = 80;
  const auto& text = value.get_ref<const std::string&>();
  return backquoted(printable(utf8_slice(text.substr(0, 4 * kMost), 0, kMost)) + (text.size() > kMost ? " ..." : ""));
}

[[noreturn]] void wrong(const std::string& place, const Json& found, const char* right) {
  throw Error(place + " is " + shown(found) + "; it must be " + right, Exit::data);
}

// A place that ends in a blank is the file's name before the first key.
std::string inside(const std::string& place, const std::string& key) {
  return place.empty() || place.back() == ' ' ? place + key : place + "." + key;
}

}  // namespace

std::string Entry::type() const { return text("type"); }

std::string Entry::type(std::span<const StepKeys> old) const {
  if (has("type")) return type();
  const auto fits = [&](const StepKeys& step) {
    return std::all_of(step.keys.begin(), step.keys.end(),
                       [&](const char* key) { return key == nullptr || has(key); });
  };
  const auto found = std::find_if(old.begin(), old.end(), fits);
  return found == old.end() ? type() : found->type;
}

bool Entry::contains(const char* key) const { return json().is_object() && json().contains(key); }

bool Entry::has(const char* key) const {
  if (!json().is_object()) return false;
  const auto found = json().find(key);
  return found != json().end() && !found->is_null();
}

Entry Entry::at(const char* key) const {
  if (!json().is_object()) wrong(place_, json(), "a table");
  const auto found = json().find(key);
  if (found == json().end()) throw Error(inside(place_, key) + " is missing", Exit::data);
  return {*found, inside(place_, key)};
}

std::vector<Entry> Entry::items(const char* key) const {
  const Entry list = at(key);
  if (!list.json().is_array()) wrong(list.place(), list.json(), "a list");
  std::vector<Entry> out;
  out.reserve(list.json().size());
  for (const auto& item : list.json()) out.emplace_back(item, list.place() + "[" + std::to_string(out.size()) + "]");
  return out;
}

std::string Entry::text(const char* key) const {
  const Entry value = at(key);
  if (!value.json().is_string()) wrong(value.place(), value.json(), "a text");
  return value.json().get<std::string>();
}

std::string Entry::text(const char* key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

bool Entry::flag(const char* key) const {
  const Entry value = at(key);
  if (!value.json().is_boolean()) wrong(value.place(), value.json(), "true or false");
  return value.json().get<bool>();
}

bool Entry::flag(const char* key, bool otherwise) const { return has(key) ? flag(key) : otherwise; }

std::int64_t Entry::number(const char* key) const {
  const Entry value = at(key);
  const bool fits = value.json().is_number_integer() &&
                    (!value.json().is_number_unsigned() || value.json().get<std::uint64_t>() <= INT64_MAX);
  if (!fits) wrong(value.place(), value.json(), "a whole number below 2^63");
  return value.json().get<std::int64_t>();
}

std::int64_t Entry::number(const char* key, std::int64_t otherwise) const {
  return has(key) ? number(key) : otherwise;
}

void Entry::refuse(const std::string& what) const { throw Error(place_ + ": " + what, Exit::data); }

}  // namespace xp::pipeline
