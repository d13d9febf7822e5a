// S28: a merge of checkpoints as checkpoint algebra, and a model whose weights are such a merge, its numbers learnt.
#include <ATen/ATen.h>

#include "api/checkpoint_transform.h"
#include "api/model.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

class Slerp final : public xp::CheckpointTransform {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit Slerp(Params) {}

  std::vector<xp::Coefficient> coefficients(std::size_t inputs) const override {
    std::vector<xp::Coefficient> all;
    for (std::size_t i = 0; i < inputs; ++i) all.push_back({"position." + std::to_string(i), 1});
    all.push_back({"scale", 1});
    return all;
  }
  xp::Checkpoint apply(std::span<const xp::Checkpoint* const> in, const xp::Checkpoint* base, const Tensor& a,
                       const xp::RandomStreams&) const override {
    if (!base) throw xp::Error("`slerp` needs `from`: the model that all inputs started from");
    const auto change = [&](std::size_t i) {
      std::vector<Tensor> v;
      for (std::size_t p = 0; p < base->parameters.size(); ++p)
        v.push_back((in[i]->parameters.values.at(p) - base->parameters.values[p]).flatten());
      return at::cat(v);
    };
    auto merged = change(0);
    for (std::size_t i = 1; i < in.size(); ++i) {
      const auto next = change(i);
      const auto n = static_cast<std::int64_t>(i);
      const auto t = a[n] / (a[n] + a.narrow(0, 0, n).mean());
      const auto cosine = at::dot(merged, next) / (merged.norm() * next.norm()).clamp_min(1e-12);
      if (cosine.item<double>() > 0.9995) {
        merged = merged * (1 - t) + next * t;
        continue;
      }  // nearly parallel
      const auto angle = cosine.clamp(-1, 1).acos();
      merged = (merged * ((1 - t) * angle).sin() + next * (t * angle).sin()) / angle.sin();
    }
    xp::Checkpoint out{base->type, base->settings, {base->parameters.info, {}}, base->reserved};
    std::int64_t at = 0;
    for (const auto& start : base->parameters.values) {
      out.parameters.values.push_back(start + a[static_cast<std::int64_t>(in.size())] *
                                                  merged.narrow(0, at, start.numel()).view_as(start));
      at += start.numel();
    }
    return out;
  }
};

class Merge final : public xp::Model {
 public:
  struct Params {
    std::string of, from;
    std::unique_ptr<xp::CheckpointTransform> method;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::of, "of", "Checkpoints to merge.");
      f.add(&Params::from, "from", "What they started from.");
      f.add(&Params::method, "method", "How; its coefficients are learnt.");
    }
  };
  explicit Merge(Params p) : p_(std::move(p)) {}

  xp::Strings capabilities() const override { return inner_ ? inner_->capabilities() : xp::Strings{}; }
  void build(xp::BuildContext& c) override {
    inputs_ = c.checkpoints(p_.of), base_ = c.checkpoints(p_.from).at(0);
    inner_ = c.architecture(*base_);
    for (const auto& n : p_.method->coefficients(inputs_.size())) c.add({n.name, "scalar"}, {1}, {n.start, 0});
  }
  xp::ModelShape shape() const override { return inner_->shape(); }
  Tensor embed(xp::Weights w, const Tensor& ids) const override {
    return inner_->embed(merged(w).parameters.values, ids);
  }
  xp::ForwardOutput forward(xp::Weights w, const xp::ForwardInput& in,
                            const xp::ForwardRequest& want) const override {
    return inner_->forward(merged(w).parameters.values, in, want);
  }
  Tensor logits(xp::Weights w, const Tensor& h) const override {
    return inner_->logits(merged(w).parameters.values, h);
  }
  double flops(const xp::ForwardInput& in, const xp::ForwardRequest& want) const override {
    return inner_->flops(in, want);
  }
  std::optional<xp::Checkpoint> exported(xp::Weights w) const override {
    auto out = merged(w);
    for (auto& value : out.parameters.values) value = value.detach();
    return out;
  }

 private:
  xp::Checkpoint merged(xp::Weights w) const {
    return p_.method->apply(inputs_, base_, at::cat(at::TensorList(w.data(), w.size())), xp::RandomStreams(0));
  }
  Params p_;
  std::vector<const xp::Checkpoint*> inputs_;
  const xp::Checkpoint* base_ = nullptr;
  std::unique_ptr<xp::Model> inner_;
};

}  // namespace

XP_PLUGIN(s28_merge) {
  registry.add<Slerp>("slerp", "Task vectors joined on the sphere.");
  registry.add<Merge>("merge", "A model whose weights are a merge of checkpoints.");
}
