#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "plugin/plugin.h"

namespace {

/// Keeps some layers, in the order given, and all parameters that lie in no layer. With repeated numbers the model
/// grows: depth up-scaling joins layers 0 .. n - m with m .. n (SOLAR, Kim et al. 2023).
class SelectLayers final : public xp::CheckpointTransform {
 public:
  struct Params {
    std::vector<std::int64_t> layers;
    std::string setting = "layers";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::layers, "layers", "Old layers, one for each new layer from below; numbers may repeat.")
          .min(0)
          .required();
      f.add(&Params::setting, "setting", "The model's key that holds the number of layers.");
    }
  };
  explicit SelectLayers(Params p) : p_(std::move(p)) {}

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    if (inputs.size() != 1)
      throw xp::Error("`select_layers` takes one checkpoint, not " + std::to_string(inputs.size()));
    const auto& in = *inputs.front();
    check(in);
    auto out = xp::without_state(in);
    out.parameters = {};
    bool done = false;  // new layers stand where the first old one stood
    for (xp::Param i = 0; i < in.parameters.size(); ++i) {
      const auto& info = in.parameters.info[i];
      if (info.layer < 0) {
        out.parameters.info.push_back(info), out.parameters.values.push_back(in.parameters.values[i]);
      } else if (!done) {
        for (std::size_t to = 0; to < p_.layers.size(); ++to)
          copy(in.parameters, static_cast<int>(p_.layers[to]), static_cast<int>(to), out.parameters);
        done = true;
      }
    }
    out.settings.insert_or_assign(p_.setting, static_cast<std::int64_t>(p_.layers.size()));
    return out;
  }

 private:
  void check(const xp::Checkpoint& in) const {
    int most = -1;
    for (const auto& info : in.parameters.info) most = std::max(most, info.layer);
    for (const auto layer : p_.layers)
      if (layer > most)
        throw xp::Error("layer " + std::to_string(layer) + " is not there; the model has layers 0 to " +
                        std::to_string(most));
    if (!in.settings.contains(p_.setting))
      throw xp::Error("the model's settings have no " + xp::backquoted(p_.setting) +
                      "; name the key that holds its number of layers as `setting`");
  }

  // "layer.3.ffn.up" becomes "layer.5.ffn.up".
  static void copy(const xp::Parameters& in, int from, int to, xp::Parameters& out) {
    for (xp::Param i = 0; i < in.size(); ++i) {
      if (in.info[i].layer != from) continue;
      auto info = in.info[i];
      const auto old = "layer." + std::to_string(from) + ".";
      const auto at = info.name.find(old);
      if (at == std::string::npos)
        throw xp::Error("parameter " + xp::backquoted(info.name) + " does not name its layer, so it cannot be moved");
      info.name.replace(at, old.size(), "layer." + std::to_string(to) + ".");
      info.layer = to;
      out.info.push_back(info), out.values.push_back(in.values[i].clone());
    }
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(select_layers) { registry.add<SelectLayers>("select_layers", "Keeps, reorders or repeats layers."); }
