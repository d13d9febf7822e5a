#include <cmath>
#include <map>
#include <tuple>

#include "api/checkpoint_transform.h"
#include "base/text.h"
#include "kit/checkpoint_algebra.h"
#include "kit/checkpoint_layers.h"
#include "plugin/plugin.h"

namespace {

/// What two parameters have in common that stand for the same in two models: role, layer, name in the layer.
using Place = std::tuple<std::string, int, std::string>;

Place place_of(const xp::ParameterInfo& info) { return {info.role, info.layer, xp::name_in_layer(info)}; }

/// A model that starts from another one's weights wherever both have the same parameter, as a student does from the
/// lower layers of its teacher (Turc et al. 2019).
class CopyMatching final : public xp::CheckpointTransform {
 public:
  struct Params {
    double require = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::require, "require",
            "Share of the first model's numbers that the other one must have; what it lacks stays as it is.")
          .min(0)
          .max(1);
    }
  };
  explicit CopyMatching(Params p) : p_(p) {
    if (!(p_.require >= 0 && p_.require <= 1))
      throw xp::Error("`require` is " + xp::number_text(p_.require) + "; a share between 0 and 1 is needed");
  }

  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> inputs, const xp::Checkpoint* base, const at::Tensor&,
                       const xp::RandomStreams&) const override {
    if (inputs.size() + (base ? 1 : 0) != 2)
      throw xp::Error(
          "`copy_matching` takes the checkpoint to fill and one to copy from, as `from` or as the second "
          "of `model`; it got " +
          xp::count(inputs.size(), "checkpoint") + (base ? " and `from`" : ""));
    const auto& first = *inputs.front();
    const Other other(base ? *base : *inputs[1], first);
    std::vector<at::Tensor> values;
    xp::Strings missing;
    double found = 0, all = 0;
    for (const auto i : first.parameters.distinct()) {
      const auto& own = first.parameters.values[i];
      const auto match = other.match(i);
      const auto numbers = static_cast<double>(own.numel());
      all += numbers, found += match.defined() ? numbers : 0;
      if (!match.defined()) missing.push_back(first.parameters.info[i].name);
      values.push_back(match.defined() ? match.to(own.options()) : own);
    }
    if (found < p_.require * all) lacking(found / all, missing);
    return xp::with_values(first, values);
  }

 private:
  /// The checkpoint that is copied from, beside the one that is filled.
  class Other {
   public:
    Other(const xp::Checkpoint& from, const xp::Checkpoint& first)
        : from_(from.parameters), first_(first.parameters) {
      // Rows of another vocabulary stand for other tokens.
      const bool same_ids = from.reserved == first.reserved;
      for (xp::Param i = 0; i < from_.size(); ++i)
        if (same_ids || !from_.info[i].role.starts_with("vocab.")) at_.emplace(place_of(from_.info[i]), i);
    }

    /// For the first's parameter i or one that is tied to it; undefined if there is none of its shape.
    at::Tensor match(xp::Param i) const {
      const auto& own = first_.values[i];
      for (xp::Param k = i; k < first_.size(); ++k) {
        if (!first_.values[k].is_same(own)) continue;
        const auto found = at_.find(place_of(first_.info[k]));
        if (found != at_.end() && from_.values[found->second].sizes() == own.sizes())
          return from_.values[found->second];
      }
      return {};
    }

   private:
    const xp::Parameters &from_, &first_;
    std::map<Place, xp::Param> at_;
  };

  [[noreturn]] void lacking(double share, const xp::Strings& missing) const {
    throw xp::Error("`copy_matching` found " + xp::number_text(std::floor(share * 1000) / 10) +
                    "% of the model's numbers, and `require` asks for " + xp::number_text(p_.require * 100) +
                    "%; not found with the same role, layer and shape: " + xp::listed(missing, missing.size()));
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(copy_matching) {
  registry.add<CopyMatching>("copy_matching", "Parameters of another model wherever both have the same.");
}
