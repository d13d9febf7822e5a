#include <map>
#include <numeric>

#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "kit/checkpoint_layers.h"
#include "plugin/plugin.h"

namespace {

/// The first layers and the first columns of a model: what a view of it gives (Starbucks, Zhuang et al. 2024), as a
/// model of its own. A view is cut behind the last layer, which has read all columns; so fewer columns are only taken
/// where no parameter reads them, in models made of tables.
class Truncate final : public xp::CheckpointTransform {
 public:
  struct Params {
    std::int64_t layers = 0, width = 0;
    std::string setting = "layers", width_setting = "width";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::layers, "layers", "Layers that are kept, from below; 0: all.").min(0);
      f.add(
           &Params::width, "width",
           "Columns that are kept, from the first; 0: all. Fewer are refused where a parameter reads all of them, as "
           "in every layer of a transformer.")
          .min(0);
      f.add(&Params::setting, "setting", "The model's key that holds the number of layers.");
      f.add(&Params::width_setting, "width_setting", "The model's key that holds the width.");
    }
  };
  explicit Truncate(Params p) : p_(std::move(p)) {}

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint*, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    const auto& in = xp::only_checkpoint(inputs, "truncate");
    const auto there = xp::layer_count(in.parameters);
    if (p_.layers > there)
      throw xp::Error("`layers` is " + std::to_string(p_.layers) + ", and the model has " +
                      xp::count(static_cast<std::size_t>(there), "layer"));
    std::vector<std::int64_t> kept(static_cast<std::size_t>(p_.layers));
    std::iota(kept.begin(), kept.end(), 0);
    auto out = p_.layers > 0 ? xp::with_layers(in, kept, p_.setting) : xp::without_state(in);
    if (p_.width > 0) narrow(out);
    return out;
  }

 private:
  void narrow(xp::Checkpoint& model) const {
    const auto found = model.settings.find(p_.width_setting);
    const auto* width = found == model.settings.end() ? nullptr : found->second.as<std::int64_t>();
    if (!width)
      throw xp::Error("the model's settings have no " + xp::backquoted(p_.width_setting) +
                      "; name the key that holds its width as `width_setting`");
    const auto all = *width;
    if (p_.width > all)
      throw xp::Error("`width` is " + std::to_string(p_.width) + ", and the model is " + std::to_string(all) +
                      " wide");
    if (p_.width == all) return;
    if (model.objective_parameters.size() > 0)
      throw xp::Error("`width` leaves " + std::to_string(p_.width) + " of " + std::to_string(all) +
                      " columns, and the checkpoint keeps parameters of its objective that read all of them; leave "
                      "them behind with `strip_pretrain_only` first");
    std::map<const void*, at::Tensor> cut;  // tied tables stay one tensor
    for (xp::Param i = 0; i < model.parameters.size(); ++i) {
      auto& value = model.parameters.values[i];
      auto& narrower = cut[value.unsafeGetTensorImpl()];
      if (!narrower.defined()) narrower = columns(model.parameters.info[i], value, all);
      value = narrower;
    }
    model.settings.insert_or_assign(p_.width_setting, p_.width);
  }

  at::Tensor columns(const xp::ParameterInfo& info, const at::Tensor& value, std::int64_t all) const {
    if (info.role == "vocab.bias") return value;
    if (info.role != "vocab.input" && info.role != "vocab.output" && info.role != "position")
      throw xp::Error("`width` = " + std::to_string(p_.width) + " cannot be had: parameter " +
                      xp::backquoted(info.name) + " of role " + xp::backquoted(info.role) + " reads all " +
                      std::to_string(all) +
                      " columns before a view is cut, so no narrower one gives the same; take " +
                      "`layers` alone, and narrower outputs from a view of the whole width");
    if (value.dim() != 2 || value.size(1) != all)
      throw xp::Error("`width` = " + std::to_string(p_.width) + " cannot be had: table " + xp::backquoted(info.name) +
                      " is not " + std::to_string(all) + " columns wide as the model is");
    return value.narrow(1, 0, p_.width).clone(at::MemoryFormat::Contiguous);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(truncate) { registry.add<Truncate>("truncate", "The first layers and columns of a model."); }
