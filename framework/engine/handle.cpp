// The primary model as evaluators see it.
#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/ops.h"
#include "base/text.h"
#include "engine/session.h"
#include "kit/torch_losses.h"

namespace xp {
namespace {

class ModelHandle final : public Handle {
 public:
  ModelHandle(Session& session, View view) : s_(session), built_(session.model("primary")), view_(view) {
    capabilities_ = built_.model->capabilities();
  }

  const Encoder* tokenizer() const override { return s_.encoder(); }
  ModelShape shape() const override {
    auto shape = built_.model->shape();
    if (view_.layers) shape.layers = view_.layers;
    if (view_.width) shape.width = view_.width;
    return shape;
  }
  bool has(std::string_view capability) const override {
    return std::find(capabilities_.begin(), capabilities_.end(), capability) != capabilities_.end();
  }
  bool can(std::string_view what) const override {
    if (what == "encode") return true;
    if (what == "logits") return has("logits");
    return what == "score" && has("logits") && has("causal") && !has("bidirectional");
  }

  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    ForwardRequest asked = want;
    if (!asked.view.layers) asked.view.layers = view_.layers;
    if (!asked.view.width) asked.view.width = view_.width;
    const at::NoGradGuard quiet;
    ForwardInput in;
    if (batch.has("ids")) {
      in.ids = batch.dense("ids");
      in.mask = batch.dense("input.mask");
    } else {
      in.fields = &batch;
    }
    return built_.model->forward(built_.active, in, asked);
  }

  at::Tensor logits(const at::Tensor& hidden) override {
    if (!has("logits")) throw Error("this model has no head over a vocabulary");
    const at::NoGradGuard quiet;
    return built_.model->logits(built_.active, hidden);
  }

  std::vector<Score> score(const Batch& batch) override {
    if (!can("score"))
      throw Error("a model of type " + backquoted(built_.type) + " does not score text: it is not causal");
    const auto& ids = batch.dense("ids");
    const auto& mask = batch.dense("input.mask");
    const auto items = ids.size(0), time = ids.size(1);
    const auto next = mask.narrow(1, 1, time - 1).flatten();  // position t + 1 is text
    const auto where = next.nonzero().squeeze(1);             // over items x (time - 1)
    const auto row = where.div(time - 1, "floor");
    const auto at_hidden = where.add(row);  // the same positions over items x time
    const auto hidden = encode(batch, {.at = at_hidden}).picked;
    const auto gold = ids.narrow(1, 1, time - 1).flatten().index_select(0, where);
    const auto losses = cross_entropy(logits(hidden), gold).to(at::kDouble);
    const auto sums = ops::zeros({items}, at::kDouble).index_add(0, row, losses);
    std::vector<Score> out;
    for (std::int64_t i = 0; i < items; ++i) {
      Score one{.nats = sums[i].item<double>(), .tokens = mask[i].sum().item<std::int64_t>() - 1};
      if (batch.has("bytes")) one.bytes = batch.dense("bytes")[i].item<std::int64_t>();
      out.push_back(one);
    }
    return out;
  }

  Strings generate(const Batch&, const Table&, RandomStream) override {
    throw Error("a model of type " + backquoted(built_.type) + " does not generate");
  }
  at::Tensor predict(const Batch&, std::string_view field) override {
    throw Error("this model was not trained to predict the field " + backquoted(field) +
                "; fine-tune it with an objective that does");
  }
  const Strings& categories(std::string_view field) const override {
    const auto found = s_.categories().find(std::string(field));
    if (found == s_.categories().end()) throw Error("the model knows no classes of the field " + backquoted(field));
    return found->second;
  }

 private:
  Session& s_;
  BuiltModel& built_;
  View view_;
  Strings capabilities_;
};

}  // namespace

std::unique_ptr<Handle> Session::handle(View view) { return std::make_unique<ModelHandle>(*this, view); }

}  // namespace xp
