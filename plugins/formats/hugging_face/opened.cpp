#include "opened.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "directory.h"
#include "kit/tensors.h"

namespace xp::hugging_face {
namespace {

using at::Tensor;

/// The tensor as it lies here.
Tensor ours(Tensor theirs, const TensorPlace& place) {
  for (std::int64_t i = 0; i < place.lead; ++i) theirs = theirs.squeeze(0);
  if (place.transposed) theirs = theirs.t();
  return place.of > 1 ? theirs.chunk(place.of, 0)[static_cast<std::size_t>(place.part)] : theirs;
}

/// Names of classes in the order of their numbers; throws Error (Exit::data) for numbers that leave a gap.
Strings classes_of(const Json& config, const std::string& file) {
  Strings out;
  const auto names = config.find("id2label");
  if (names == config.end() || !names->is_object()) return out;
  for (std::size_t i = 0; i < names->size(); ++i) {
    const auto one = names->find(std::to_string(i));
    if (one == names->end() || !one->is_string())
      throw Error(file + ": `id2label` names no class " + std::to_string(i) + " of " + std::to_string(names->size()),
                  Exit::data);
    out.push_back(one->get<std::string>());
  }
  return out;
}

bool says(const Table& settings, const char* key, const char* value) {
  const auto found = settings.find(key);
  return found != settings.end() && found->second == Value(value);
}

}  // namespace

Opened::Opened(const std::filesystem::path& path) : folder_(path) {
  const auto file = (path / "config.json").string();
  config_ = read_config(file);
  family_ = &Family::of(config_, file);
  files_ = std::make_shared<const TensorFiles>(path);
  const auto towers = family_->towers();
  for (const auto& tower : towers)
    add_part(tower.role, Family::named(tower.type), family_->tower_config(config_, tower, file));
  if (towers.empty()) add_part("primary", *family_, config_);
}

void Opened::add_part(const std::string& role, const Family& family, Json config) {
  const auto file = (folder_ / "config.json").string();
  const auto has = [this](const std::string& name) { return files_->tensors().contains(name); };
  if (auto preprocessor = read_preprocessor(folder_); preprocessor.is_object())
    config["preprocessor"] = std::move(preprocessor);
  Part part{role, &family, std::move(config), {}, {}};
  part.settings = family.settings(part.config, has, file);
  if (const auto pooling = pooling_of(folder_)) {
    part.settings.insert_or_assign("pooling", Value(*pooling));
    if (part.settings.contains("pooler")) part.settings.insert_or_assign("pooler", Value("none"));  // not asked there
  }
  part.places = family.tensors(part.settings, family.prefixed(has));
  for (const auto& place : part.places) {
    const auto found = files_->tensors().find(place.theirs);
    if (found == files_->tensors().end() || place.lead == 0) continue;
    const auto& shape = found->second.shape;
    if (std::ssize(shape) <= place.lead ||
        std::any_of(shape.begin(), shape.begin() + place.lead, [](std::int64_t side) { return side != 1; }))
      throw Error(folder_.string() + ": tensor " + backquoted(place.theirs) + " does not have the first " +
                      std::to_string(place.lead) + " of its axes of length 1",
                  Exit::data);
  }
  parts_.push_back(std::move(part));
}

Checkpoint Opened::checkpoint_of(const Part& part) const {
  Checkpoint out{.type = "", .settings = part.settings, .parameters = {}, .reserved = {}};
  std::map<std::string, Tensor> known;
  for (const auto& place : part.places) {
    auto& tensor = known[place.theirs];
    if (!tensor.defined()) {
      tensor = view_of(files_->at(place.theirs), files_);
      if (!tensor.is_floating_point())
        throw Error(folder_.string() + ": tensor " + backquoted(place.theirs) + " has numbers of type " +
                        files_->at(place.theirs).dtype + "; weights are floating-point numbers",
                    Exit::data);
      if (place.of > 1 && tensor.size(place.transposed ? 1 : 0) % place.of != 0)
        throw Error(folder_.string() + ": tensor " + backquoted(place.theirs) + " cannot be cut into " +
                        std::to_string(place.of) + " equal parts",
                    Exit::data);
    }
    out.parameters.info.push_back({place.ours, place.role, place.layer});
    out.parameters.values.push_back(ours(tensor, place));
  }
  out.role = part.role;
  if (says(part.settings, "head", "classes"))
    if (auto names = classes_of(part.config, (folder_ / "config.json").string()); !names.empty())
      out.categories["label"] = std::move(names);
  return out;
}

std::map<std::string, std::int64_t> Opened::reserved(const Part& part, const Encoder* tokenizer) const {
  std::map<std::string, std::int64_t> out;
  if (says(part.settings, "input", "image")) return out;
  if (tokenizer)
    for (const auto& [purpose, id] : tokenizer->purposes()) out[purpose] = id;
  if (out.contains("end") || !says(part.settings, "pooling", "end")) return out;
  const auto end = part.config.find("eos_token_id");
  if (end == part.config.end() || !end->is_number_integer())
    throw Error((folder_ / "config.json").string() +
                    " has no whole number `eos_token_id`, which says at which token the model pools",
                Exit::data);
  // 2 was written by mistake for what is the last token of the vocabulary.
  out["end"] = *end == 2 ? files_->at(part.places.front().theirs).shape.front() - 1 : end->get<std::int64_t>();
  return out;
}

Checkpoint Opened::checkpoint(const Encoder* tokenizer) const {
  Checkpoint out = checkpoint_of(parts_.front());
  out.reserved = reserved(parts_.front(), tokenizer);
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    out.towers.push_back(checkpoint_of(parts_[i]));
    out.towers.back().reserved = reserved(parts_[i], tokenizer);
  }
  for (const auto& [name, usual] : scalars()) {
    if (!files_->tensors().contains(name)) continue;
    out.objective_parameters.info.push_back({name, kScalar});
    out.objective_parameters.values.push_back(view_of(files_->at(name), files_));
  }
  return out;
}

Table Opened::settings() const {
  if (parts_.size() == 1) return parts_.front().settings;
  Table out;
  for (const auto& part : parts_) out.insert_or_assign(part.role, Value(part.settings));
  return out;
}

Strings Opened::lost() const {
  std::set<std::string> used;
  Strings out = files_->lost();
  for (const auto& part : parts_) {
    for (const auto& place : part.places) used.insert(place.theirs);
    for (const auto& [name, of] : part.family->copies()) used.insert(name);
    const auto read = part.config.find("preprocessor");
    if (read != part.config.end())
      for (auto& one : part.family->lost_of_preprocessor(part.settings, *read)) out.push_back(std::move(one));
  }
  for (const auto& [name, usual] : scalars()) used.insert(name);
  for (const auto& [name, bytes] : files_->tensors()) {
    const bool derived = std::any_of(parts_.begin(), parts_.end(),
                                     [&name = name](const Part& part) { return part.family->derived(name); });
    if (!used.contains(name) && !derived) out.push_back("tensor " + name);
  }
  return out;
}

const TensorPlace& Opened::table_place(const std::string& name) const {
  for (const auto& part : parts_)
    for (const auto& place : part.places)
      if (place.ours == name && place.role.starts_with("vocab.")) return place;
  throw Error(folder_.string() + " has no place for parameter " + backquoted(name));
}

std::vector<std::pair<std::string, std::string>> Opened::copies() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& part : parts_)
    for (auto& one : part.family->copies()) out.push_back(std::move(one));
  return out;
}

std::pair<Json, std::string> Opened::config_for(std::int64_t rows) const {
  auto out = config_;
  std::string below;
  for (const auto& tower : family_->towers()) {
    const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) { return p.role == tower.role; });
    if (says(part->settings, "input", "image")) continue;
    below = tower.key;
    out[below] = family_->tower_config(config_, tower, folder_.string());
    out.erase(below + "_dict");
  }
  (below.empty() ? out : out[below])["vocab_size"] = rows;
  return {out, below};
}

}  // namespace xp::hugging_face
