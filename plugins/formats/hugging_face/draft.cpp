#include "draft.h"

#include <set>

#include "api/ops.h"
#include "base/text.h"
#include "directory.h"
#include "kit/tensors.h"

namespace xp::hugging_face {
namespace {

using at::Tensor;

/// Names of classes as configurations hold them; those that nobody named are numbered.
void name_classes(Json& config, const Checkpoint& from) {
  const auto classes = from.settings.find("classes");
  const auto head = from.settings.find("head");
  if (classes == from.settings.end() || head == from.settings.end() || head->second != Value("classes")) return;
  const auto known = from.categories.find("label");
  const auto n = *classes->second.as<std::int64_t>();
  const bool named = known != from.categories.end() && std::ssize(known->second) == n;
  Json names = Json::object(), numbers = Json::object();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto name = named ? known->second[static_cast<std::size_t>(i)] : "LABEL_" + std::to_string(i);
    names[std::to_string(i)] = name, numbers[name] = i;
  }
  config["id2label"] = std::move(names), config["label2id"] = std::move(numbers);
}

Draft draft_of_one(const Checkpoint& from, const Family& family, bool prefixed) {
  Draft out;
  out.config = family.config(from.settings, "");
  out.preprocessor = family.preprocessor(from.settings, out.config);
  out.config.erase("preprocessor");
  name_classes(out.config, from);
  if (const auto rows = rows_of(from.parameters)) {
    out.config["vocab_size"] = rows;
    out.config = with_ids(std::move(out.config), [&](std::string_view purpose) -> std::optional<std::int64_t> {
      const auto found = from.reserved.find(std::string(purpose));
      return found == from.reserved.end() ? std::nullopt : std::optional(found->second);
    });
  }
  Assembly assembly;
  std::set<std::string> placed;
  for (const auto& place : family.tensors(from.settings, prefixed)) {
    assembly.add(place, from.parameters.values[from.parameters.find(place.ours)]);
    placed.insert(place.ours);
  }
  for (const auto& one : from.parameters.info)
    if (!placed.contains(one.name))
      throw Error(
          "the family " + backquoted(family.model_type()) + " has no place for parameter " + backquoted(one.name),
          Exit::data);
  out.tensors = assembly.finish();
  return out;
}

/// The scalar that the checkpoint has by this name, or the usual one.
Tensor scalar(const Checkpoint& from, const std::string& name, double usual) {
  const auto& own = from.objective_parameters;
  for (Param i = 0; i < own.size(); ++i)
    if (own.info[i].name == name) return own.values[i].detach().cpu().contiguous();
  return ops::full({}, usual, at::kFloat);
}

/// All models of the checkpoint in one directory, or nothing if no family has a place for each.
std::optional<Draft> joint_draft(const Checkpoint& from) {
  std::map<std::string, const Checkpoint*> models{{from.role, &from}};
  for (const auto& tower : from.towers) models.emplace(tower.role, &tower);
  std::map<std::string, const Family*> families;
  for (const auto& [role, model] : models) {
    if (!Family::has_head(model->settings)) return std::nullopt;
    families.emplace(role, &Family::for_settings(model->settings));
  }
  const auto* joint = Family::joint(families);
  if (!joint) return std::nullopt;
  Draft out;
  std::map<std::string, Json> configs;
  Json width;
  for (const auto& tower : joint->towers()) {
    auto one = draft_of_one(*models.at(tower.role), *families.at(tower.role), true);
    if (rows_of(models.at(tower.role)->parameters)) out.tokens = tower.key;
    if (!one.preprocessor.is_null()) out.preprocessor = one.preprocessor;
    const auto projection = one.config.value("projection_dim", Json());
    if (!width.is_null() && projection != width) return std::nullopt;
    width = projection;
    one.config.erase("architectures");
    configs.emplace(tower.key, std::move(one.config));
    out.tensors.merge(one.tensors);
  }
  out.config = joint->joint_config(configs);
  for (const auto& [name, usual] : joint->scalars(out.config)) out.tensors[name] = scalar(from, name, usual);
  return out;
}

}  // namespace

void Assembly::add(const TensorPlace& place, const Tensor& value) {
  auto& parts = parts_[place.theirs];
  parts.resize(static_cast<std::size_t>(place.of));
  parts[static_cast<std::size_t>(place.part)] = value;
  places_[place.theirs] = place;
}

std::map<std::string, Tensor> Assembly::finish() {
  std::map<std::string, Tensor> out;
  for (auto& [name, parts] : parts_) {
    const auto& place = places_[name];
    auto whole = parts.size() == 1 ? parts.front() : ops::cat(parts);
    if (place.transposed) whole = whole.t();
    for (std::int64_t i = 0; i < place.lead; ++i) whole = whole.unsqueeze(0);
    out[name] = whole.detach().cpu().contiguous();
  }
  return out;
}

std::int64_t rows_of(const Parameters& parameters) {
  for (Param i = 0; i < parameters.size(); ++i)
    if (parameters.info[i].role == "vocab.input") return parameters.values[i].size(0);
  return 0;
}

Draft draft_of(const Checkpoint& checkpoint) {
  if (!checkpoint.towers.empty())
    if (auto joint = joint_draft(checkpoint)) return std::move(*joint);
  const auto& family = Family::for_settings(checkpoint.settings);
  auto out = draft_of_one(checkpoint, family, Family::has_head(checkpoint.settings));
  return out;
}

}  // namespace xp::hugging_face
