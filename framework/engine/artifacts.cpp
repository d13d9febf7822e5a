#include "engine/artifacts.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "kit/json_file.h"
#include "kit/tensors.h"

namespace xp {
namespace {

using nlohmann::json;

// Values go beside the structure as tensors, so that large vocabularies cost no JSON.
json structure(const State& state, const std::string& front, std::map<std::string, at::Tensor>& tensors) {
  json out = json::object();
  for (const auto& name : state.value_names()) {
    const auto& values = state.values(name);
    const auto full = front + name;
    if (const auto* strings = std::get_if<Strings>(&values)) {
      out["strings"][name] = *strings;
    } else if (const auto* ints = std::get_if<Ints>(&values)) {
      out["ints"].push_back(name);
      tensors[full] = tensor_of(ints->data, ints->shape);
    } else {
      const auto& floats = std::get<Floats>(values);
      out["floats"].push_back(name);
      tensors[full] = tensor_of(floats.data, floats.shape);
    }
  }
  for (const auto& name : state.tensor_names()) {
    out["tensors"].push_back(name);
    tensors[front + name] = state.tensor(name).detach().cpu().contiguous();
  }
  for (const auto& name : state.child_names())
    out["parts"][name] = structure(state.child(name), front + name + "/", tensors);
  return out;
}

template <class T>
Array<T> array_of(const at::Tensor& tensor) {
  const auto* data = static_cast<const T*>(tensor.const_data_ptr());
  return {{data, data + tensor.numel()}, tensor.sizes().vec()};
}

using Numbers = std::shared_ptr<const SafetensorsFile>;

// Pages come when they are touched, and are copied when they are written to.
Numbers map_numbers(const std::filesystem::path& file) {
  return std::make_shared<SafetensorsFile>(file, Pages::copy_on_write);
}

at::Tensor mapped(const Numbers& numbers, const std::string& name) { return view_of(numbers->at(name), numbers); }

void restore(State& state, const json& from, const std::string& front, const Numbers& numbers) {
  const auto strings = from.value("strings", json::object()), parts = from.value("parts", json::object());
  for (const auto& [name, list] : strings.items()) state.set(name, list.get<Strings>());
  for (const auto& name : from.value("ints", Strings())) {
    const auto tensor = mapped(numbers, front + name);
    if (tensor.scalar_type() != at::kLong)
      throw Error("entry " + backquoted(front + name) + " is not I64", Exit::data);
    state.set(name, array_of<std::int64_t>(tensor));
  }
  for (const auto& name : from.value("floats", Strings())) {
    const auto tensor = mapped(numbers, front + name);
    if (tensor.scalar_type() != at::kFloat)
      throw Error("entry " + backquoted(front + name) + " is not F32", Exit::data);
    state.set(name, array_of<float>(tensor));
  }
  for (const auto& name : from.value("tensors", Strings())) state.set(name, mapped(numbers, front + name));
  for (const auto& [name, part] : parts.items()) restore(state.child(name), part, front + name + "/", numbers);
}

void write_tensors(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors) {
  std::map<std::string, TensorBytes> bytes;
  for (const auto& [name, tensor] : tensors) bytes.emplace(name, bytes_of(tensor));
  write_safetensors(file, bytes, {{"format", "pt"}});
}

constexpr const char* kKept = "training";  // stem of a checkpoint's training state
constexpr const char* kTowers = "towers";  // folder of a stage's other models, each a model directory by role

const char* lifetime_name(Lifetime lifetime) { return lifetime == Lifetime::keep ? "keep" : "pretrain_only"; }

// Tied parameters are one tensor: the first name keeps it, the others point to it.
json describe(const Parameters& parameters, const std::string& front, std::map<std::string, at::Tensor>& tensors) {
  json list = json::array();
  std::map<const void*, std::string> first;
  for (Param i = 0; i < parameters.size(); ++i) {
    const auto& info = parameters.info[i];
    json one = {
        {"name", info.name}, {"role", info.role}, {"layer", info.layer}, {"lifetime", lifetime_name(info.lifetime)}};
    const auto [known, fresh] = first.emplace(parameters.values[i].unsafeGetTensorImpl(), info.name);
    if (fresh)
      tensors[front + info.name] = parameters.values[i].detach().cpu().contiguous();
    else
      one["tied_to"] = known->second;
    list.push_back(std::move(one));
  }
  return list;
}

Parameters read_parameters(const json& list, const std::string& front, const Numbers& numbers,
                           const std::filesystem::path& file) {
  Parameters out;
  std::map<std::string, at::Tensor> made;
  for (const auto& one : list) {
    ParameterInfo info{
        json_entry<std::string>(one, "name", file), json_entry<std::string>(one, "role", file),
        json_entry<int>(one, "layer", file),
        json_entry<std::string>(one, "lifetime", file) == "keep" ? Lifetime::keep : Lifetime::pretrain_only};
    if (one.contains("tied_to")) {
      const auto found = made.find(json_entry<std::string>(one, "tied_to", file));
      if (found == made.end())
        throw Error(
            file.string() + ": " + backquoted(info.name) + " is tied to a parameter that does not come before it",
            Exit::data);
      out.values.push_back(found->second);
    } else {
      out.values.push_back(mapped(numbers, front + info.name));
      made[info.name] = out.values.back();
    }
    out.info.push_back(std::move(info));
  }
  return out;
}

}  // namespace

void save_state(const std::filesystem::path& folder, const State& state, const std::string& stem) {
  std::filesystem::create_directories(folder);
  std::map<std::string, at::Tensor> tensors;
  const json out = structure(state, "", tensors);
  write_tensors(folder / (stem + ".safetensors"), tensors);
  write_file(folder / (stem + ".json"), out.dump());
}

State load_state(const std::filesystem::path& folder, const std::string& stem) {
  const auto file = folder / (stem + ".json");
  State state;
  try {
    restore(state, read_json(file), "", map_numbers(folder / (stem + ".safetensors")));
  } catch (const json::exception&) {
    throw Error(file.string() + " does not describe a state", Exit::data);
  }
  return state;
}

void save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint) {
  std::filesystem::create_directories(folder);
  std::map<std::string, at::Tensor> tensors;
  json about = {{"format", 1},
                {"type", checkpoint.type},
                {"settings", json::parse(to_json(Value(checkpoint.settings)))},
                {"reserved", checkpoint.reserved},
                {"objective", json::parse(to_json(Value(checkpoint.objective)))},
                {"categories", checkpoint.categories},
                {"role", checkpoint.role}};
  about["parameters"] = describe(checkpoint.parameters, "", tensors);
  about["objective_parameters"] = describe(checkpoint.objective_parameters, "objective.", tensors);
  write_tensors(folder / "model.safetensors", tensors);
  json config = about["settings"];
  config["model_type"] = "xp_" + checkpoint.type;
  write_file(folder / "config.json", config.dump(2) + "\n");
  for (const auto& tower : checkpoint.towers) {
    about["towers"].push_back(tower.role);
    save_checkpoint(folder / kTowers / tower.role, tower);
  }
  if (!checkpoint.state.child_names().empty()) save_state(folder, checkpoint.state, kKept);
  write_file(folder / "xp.json", about.dump(1) + "\n");
}

State load_kept_state(const std::filesystem::path& folder, const std::string& made_by) {
  if (!std::filesystem::exists(folder / (std::string(kKept) + ".json")))
    throw Error(backquoted(made_by) +
                " kept no training state, which `continues` takes over; write keep_state = true in stage " +
                backquoted(made_by));
  return load_state(folder, kKept);
}

bool is_checkpoint(const std::filesystem::path& folder) { return std::filesystem::exists(folder / "xp.json"); }

Checkpoint load_checkpoint(const std::filesystem::path& folder) {
  const auto file = folder / "xp.json";
  if (!is_checkpoint(folder))
    throw Error(folder.string() + " is no checkpoint of ours: it has no xp.json", Exit::data);
  const json about = read_json(file);
  if (json_entry<int>(about, "format", file) != 1)
    throw Error(file.string() + " has format " + about["format"].dump() + "; this program reads format 1",
                Exit::data);
  Checkpoint out;
  const auto numbers = map_numbers(folder / "model.safetensors");
  out.type = json_entry<std::string>(about, "type", file);
  out.settings = json_table(json_entry<json>(about, "settings", file), file);
  out.reserved = json_entry<std::map<std::string, std::int64_t>>(about, "reserved", file);
  out.objective = json_table(json_entry<json>(about, "objective", file), file);
  out.categories = json_entry<std::map<std::string, Strings>>(about, "categories", file);
  out.parameters = read_parameters(json_entry<json>(about, "parameters", file), "", numbers, file);
  out.objective_parameters =
      read_parameters(json_entry<json>(about, "objective_parameters", file), "objective.", numbers, file);
  if (about.contains("role")) out.role = json_entry<std::string>(about, "role", file);
  if (!about.contains("towers")) return out;
  for (const auto& role : json_entry<Strings>(about, "towers", file)) {
    if (!is_name(role))
      throw Error(file.string() + " names a tower " + backquoted(printable(role)) + ", which is no name", Exit::data);
    out.towers.push_back(load_checkpoint(folder / kTowers / role));
    if (out.towers.back().role != role || !out.towers.back().towers.empty())
      throw Error(file.string() + " has a tower " + backquoted(role) + " that holds other models", Exit::data);
  }
  return out;
}

}  // namespace xp
