#include <algorithm>

#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "kit/checkpoint_layers.h"

namespace xp {
namespace {

constexpr std::string_view kLayer = "layer.";

/// Begin and end of the layer's number in a name that holds "layer.<number>." at its start or behind a dot; nothing
/// if it holds none.
std::optional<std::pair<std::size_t, std::size_t>> number_in(std::string_view name) {
  for (auto at = name.find(kLayer); at != std::string_view::npos; at = name.find(kLayer, at + 1)) {
    if (at > 0 && name[at - 1] != '.') continue;
    const auto begin = at + kLayer.size();
    const auto end = name.find_first_not_of("0123456789", begin);
    if (end != std::string_view::npos && end > begin && name[end] == '.') return std::pair(begin, end);
  }
  return std::nullopt;
}

void check(const Checkpoint& model, const std::vector<std::int64_t>& layers, const std::string& setting) {
  const auto there = layer_count(model.parameters);
  if (layers.empty()) throw Error("no layer is kept; a model needs one");
  for (const auto layer : layers)
    if (layer < 0 || layer >= there)
      throw Error("layer " + std::to_string(layer) + " is not there; the model has " +
                  (there > 0 ? "layers 0 to " + std::to_string(there - 1) : "none"));
  const auto found = model.settings.find(setting);
  const auto* known = found == model.settings.end() ? nullptr : found->second.as<std::int64_t>();
  if (!known)
    throw Error("the model's settings have no " + backquoted(setting) +
                "; name the key that holds its number of layers as `setting`");
  if (*known != there)
    throw Error("the model's " + backquoted(setting) + " is " + std::to_string(*known) +
                ", and its parameters lie in " + count(static_cast<std::size_t>(there), "layer") +
                "; layers are chosen in models that have one stack of them, whose number is `setting`");
}

// "layer.3.ffn.up" becomes "layer.5.ffn.up".
void copy(const Parameters& in, int from, int to, Parameters& out) {
  for (Param i = 0; i < in.size(); ++i) {
    if (in.info[i].layer != from) continue;
    auto info = in.info[i];
    const auto number = number_in(info.name);
    if (!number || info.name.substr(number->first, number->second - number->first) != std::to_string(from))
      throw Error("parameter " + backquoted(info.name) + " does not name its layer, so it cannot be moved");
    info.name.replace(number->first, number->second - number->first, std::to_string(to));
    info.layer = to;
    out.info.push_back(std::move(info)), out.values.push_back(in.values[i].clone());
  }
}

}  // namespace

const Checkpoint& only_checkpoint(std::span<const Checkpoint* const> inputs, std::string_view transform) {
  if (inputs.size() != 1)
    throw Error(backquoted(transform) + " takes one checkpoint, not " + std::to_string(inputs.size()));
  return *inputs.front();
}

std::int64_t layer_count(const Parameters& parameters) {
  int most = -1;
  for (const auto& info : parameters.info) most = std::max(most, info.layer);
  return most + 1;
}

std::string name_in_layer(const ParameterInfo& info) {
  const auto number = info.layer >= 0 ? number_in(info.name) : std::nullopt;
  return number ? info.name.substr(number->second + 1) : info.name;
}

Checkpoint with_layers(const Checkpoint& model, const std::vector<std::int64_t>& layers, const std::string& setting) {
  check(model, layers, setting);
  const auto& in = model.parameters;
  auto out = without_state(model);
  out.parameters = {};
  bool done = false;  // new layers stand where the first old one stood
  for (Param i = 0; i < in.size(); ++i) {
    if (in.info[i].layer < 0) {
      out.parameters.info.push_back(in.info[i]), out.parameters.values.push_back(in.values[i]);
    } else if (!done) {
      for (std::size_t to = 0; to < layers.size(); ++to)
        copy(in, static_cast<int>(layers[to]), static_cast<int>(to), out.parameters);
      done = true;
    }
  }
  out.settings.insert_or_assign(setting, static_cast<std::int64_t>(layers.size()));
  return out;
}

}  // namespace xp
