// Directories that hold several models, and what a model's images look like.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "family.h"

namespace xp::hugging_face {
namespace {

/// A description with the text "{image_size}" replaced by the number.
Json filled(Json description, std::int64_t size) {
  if (description == "{image_size}") return size;
  if (description.is_object())
    for (auto& [key, value] : description.items()) value = filled(value, size);
  return description;
}

/// Older files say one number for all sides.
bool says_same(const Json& there, const Json& here) {
  if (there == here) return true;
  return there.is_number_integer() && here.is_object() &&
         std::all_of(here.begin(), here.end(), [&](const Json& side) { return side == there; });
}

std::int64_t image_size(const Table& settings) {
  const auto found = settings.find("image_size");
  const auto* size = found == settings.end() ? nullptr : found->second.as<std::int64_t>();
  return size ? *size : 0;
}

}  // namespace

std::vector<Tower> Family::towers() const {
  std::vector<Tower> out;
  if (const auto list = data_.find("towers"); list != data_.end())
    for (const auto& one : *list) out.push_back({one.at("role"), one.at("type"), one.at("key")});
  return out;
}

Json Family::tower_config(const Json& config, const Tower& tower, const std::string& file) const {
  // Files of old versions have another table with the values that differ from the usual ones, which is what counts.
  auto found = config.find(tower.key + "_dict");
  if (found == config.end() || !found->is_object()) found = config.find(tower.key);
  if (found == config.end() || !found->is_object())
    throw Error(file + " has no table " + backquoted(tower.key), Exit::data);
  Json out = *found;
  out["model_type"] = tower.type;
  for (const auto& [key, usual] : data_.at("shared").items()) out[key] = config.contains(key) ? config[key] : usual;
  return out;
}

Json Family::joint_config(const std::map<std::string, Json>& towers) const {
  Json out = {{"model_type", model_type()}, {"architectures", {data_.at("architectures").at("all")}}};
  for (const auto& tower : this->towers()) out[tower.key] = towers.at(tower.key);
  for (const auto& [key, usual] : data_.at("shared").items())
    out[key] = towers.at(this->towers().front().key).value(key, usual);
  for (const auto& [name, rule] : data_.at("scalars").items()) out[rule.at("key").get<std::string>()] = rule.at("or");
  return out;
}

std::map<std::string, double> Family::scalars(const Json& config) const {
  std::map<std::string, double> out;
  if (const auto all = data_.find("scalars"); all != data_.end())
    for (const auto& [name, rule] : all->items()) {
      const auto given = config.find(rule.at("key").get<std::string>());
      const auto& value = given != config.end() && given->is_number() ? *given : rule.at("or");
      out.emplace(name, value.get<double>());
    }
  return out;
}

Json Family::preprocessor(const Table& settings, const Json& config) const {
  const auto description = data_.find("preprocessor");
  if (description == data_.end() || !config.contains("preprocessor")) return {};
  auto out = filled(*description, image_size(settings));
  out.update(config["preprocessor"]);
  return out;
}

std::vector<std::string> Family::lost_of_preprocessor(const Table& settings, const Json& preprocessor) const {
  static const std::array<std::string_view, 6> told{
      "image_mean",           "image_std", "image_processor_type", "processor_class", "feature_extractor_type",
      "_valid_processor_keys"};
  std::vector<std::string> out;
  const auto description = data_.find("preprocessor");
  if (description == data_.end() || !preprocessor.is_object()) return out;
  const auto here = filled(*description, image_size(settings));
  for (const auto& [key, value] : preprocessor.items()) {
    if (value.is_null() || std::find(told.begin(), told.end(), key) != told.end()) continue;
    if (!here.contains(key) ? value != false : !says_same(value, here[key]))
      out.push_back("preprocessor_config.json: " + printable(key) + " = " + printable(value.dump()));
  }
  return out;
}

}  // namespace xp::hugging_face
