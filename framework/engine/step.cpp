#include "engine/step.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/ops.h"
#include "base/text.h"
#include "engine/draws.h"
#include "engine/dropout.h"
#include "engine/packing.h"
#include "engine/pass_cache.h"
#include "engine/processes.h"

namespace xp {
namespace {

/// Weights of a frozen model never get a gradient; what another part of the objective gave it as input does.
bool with_gradient(bool frozen, std::initializer_list<at::Tensor> inputs) {
  return c10::GradMode::is_enabled() &&
         (!frozen || std::any_of(inputs.begin(), inputs.end(),
                                 [](const at::Tensor& x) { return x.defined() && x.requires_grad(); }));
}

// A key of an item by the bits of its id, so that splitting a batch changes no draw.
std::uint64_t item_key(const at::Tensor& sample_id, std::int64_t row) {
  return static_cast<std::uint64_t>(sample_id.const_data_ptr<std::int64_t>()[row]);
}

/// One stream per item, keyed by step and item.
std::vector<RandomStream> by_item(const RandomStreams& random, std::int64_t step, const at::Tensor& sample_id) {
  std::vector<RandomStream> out;
  for (std::int64_t i = 0; i < sample_id.size(0); ++i) out.push_back(random.stream(step, item_key(sample_id, i)));
  return out;
}

at::Tensor drop(const at::Tensor& x, double rate, const RandomStreams& random, std::int64_t step,
                const at::Tensor& sample_id) {
  if (rate <= 0) return x;
  if (!sample_id.defined()) throw Error("a model drops out in training, so the pass must give `sample_id`");
  return keyed_dropout(x, rate, by_item(random, step, sample_id));
}

}  // namespace

class Step final : public StepContext {
 public:
  Step(Session& session, std::string path, bool training, Pass pass)
      : s_(session), path_(std::move(path)), training_(training), pass_(std::move(pass)) {}

  at::Tensor embed(std::string_view role, const at::Tensor& ids) override {
    auto& built = s_.model(role);
    at::AutoGradMode grad(c10::GradMode::is_enabled() && !built.frozen);
    return built.model->embed(built.active, ids);
  }

  ForwardOutput forward(std::string_view role, const ForwardInput& asked, const ForwardRequest& want) override {
    if (pass_) return pass_(role, asked, want);
    const auto in = s_.packed ? within_texts(asked, want, *s_.packed) : asked;
    auto& built = s_.model(role);
    ++built.passes;
    const bool grad_on = with_gradient(built.frozen, {in.vectors, in.memory});
    // Backward costs twice the forward pass, and without gradients of weights as much as it.
    s_.flops += built.model->flops(in, want) * (grad_on ? built.frozen ? 2 : 3 : 1);
    at::AutoGradMode grad(grad_on);
    if (!training_ || built.frozen) return built.model->forward(built.active, in, want);
    const std::string pass = std::string(role) + "." + std::to_string(built.passes) + ".dropout.";
    const auto run = [&built, pass, random = streams(), step = s_.step](const ForwardInput& part,
                                                                        ForwardRequest wanted) {
      std::int64_t use = 0;
      wanted.dropout = [&](const at::Tensor& x, double rate) {
        return drop(x, rate, random.child(pass + std::to_string(use++)), step, part.sample_id);
      };
      return built.model->forward(built.active, part, wanted);
    };
    if (!s_.pass_cache || !grad_on) return run(in, want);
    s_.flops += built.model->flops(in, want);  // the parts run once more
    return s_.pass_cache->forward(in, want, run);
  }

  at::Tensor logits(std::string_view role, const at::Tensor& hidden) override {
    auto& built = s_.model(role);
    const bool grad_on = with_gradient(built.frozen, {hidden});
    s_.flops += 2.0 * static_cast<double>(hidden.numel()) * static_cast<double>(built.model->shape().classes) *
                (grad_on ? built.frozen ? 2 : 3 : 1);
    at::AutoGradMode grad(grad_on);
    return built.model->logits(built.active, hidden);
  }

  const Parameters& parameters(std::string_view role) const override { return s_.model(role).own; }
  const at::Tensor& weight(Param own) const override { return s_.active_parts_.at(path_).at(own); }

  at::Tensor uniform(const Batch& batch, std::int64_t per_item, std::string_view what) override {
    return uniform_rows(by_item(streams().child(what), s_.step, batch.sample_id), per_item, s_.device());
  }

  at::Tensor gather(const at::Tensor& rows) override { return s_.processes ? s_.processes->gather(rows) : rows; }
  at::Tensor predict(std::string_view role, const Batch& batch, std::string_view field) override {
    if (!s_.resources_.predict)
      throw Error("nothing predicts " + backquoted(field) + ": the stage has no reference " + backquoted(role));
    return s_.resources_.predict(role, batch, field, s_.flops);
  }
  std::int64_t step() const override { return s_.step; }

  std::unique_ptr<StepContext> child(std::string_view name, Pass pass) override {
    return std::make_unique<Step>(s_, path_ + "/" + std::string(name), training_, pass ? std::move(pass) : pass_);
  }

 private:
  RandomStreams streams() const { return s_.random_.child("step").child(s_.streams_.at(path_)); }

  Session& s_;
  std::string path_;
  bool training_;
  Pass pass_;
};

std::shared_ptr<StepContext> make_step(Session& session, std::string path, bool training, Pass pass) {
  return std::make_shared<Step>(session, std::move(path), training, std::move(pass));
}

}  // namespace xp
