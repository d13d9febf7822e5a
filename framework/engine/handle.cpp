// The primary model as evaluators see it.
#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/ops.h"
#include "base/text.h"
#include "engine/session.h"
#include "kit/torch_losses.h"

namespace xp {
namespace {

bool is_dense(const Batch& batch, std::string_view field) {
  const auto column = batch.columns().find(field);
  return column != batch.columns().end() && std::holds_alternative<at::Tensor>(column->second);
}

double number_in(const Table& table, std::string_view key, double otherwise) {
  const auto found = table.find(key);
  return found != table.end() && found->second.is_number() ? found->second.number() : otherwise;
}

/// The most probable class, or one drawn from softmax(scores / temperature).
std::int64_t drawn(const at::Tensor& scores, double temperature, RandomStream& random) {
  if (temperature <= 0) return scores.argmax().item<std::int64_t>();
  const auto sums = scores.div(temperature).softmax(0).cumsum(0);
  const auto above = sums.gt(random.uniform() * sums[-1].item<double>()).nonzero();
  return above.size(0) > 0 ? above[0].item<std::int64_t>() : scores.size(0) - 1;
}

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
    if (what == "generate" && !s_.encoder()) return false;
    return (what == "score" || what == "generate") && has("logits") && has("causal") && !has("bidirectional");
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
    auto next = mask.narrow(1, 1, time - 1);  // position t + 1 is scored
    const bool some = is_dense(batch, "target");
    if (some) next = next.logical_and(batch.dense("target").narrow(1, 1, time - 1).ne(0));
    const auto counts = next.sum(1);
    const auto where = next.flatten().nonzero().squeeze(1);  // over items x (time - 1)
    if (where.numel() == 0) return std::vector<Score>(static_cast<std::size_t>(items));
    const auto row = where.div(time - 1, "floor");
    const auto at_hidden = where.add(row);  // the same positions over items x time
    const auto hidden = encode(batch, {.at = at_hidden}).picked;
    const auto gold = ids.narrow(1, 1, time - 1).flatten().index_select(0, where);
    const auto losses = cross_entropy(logits(hidden), gold).to(at::kDouble);
    const auto sums = ops::zeros({items}, losses.options()).index_add(0, row, losses);
    std::vector<Score> out;
    for (std::int64_t i = 0; i < items; ++i) {
      Score one{.nats = sums[i].item<double>(), .tokens = counts[i].item<std::int64_t>()};
      if (!some && batch.has("bytes")) one.bytes = batch.dense("bytes")[i].item<std::int64_t>();
      out.push_back(one);
    }
    return out;
  }

  /// Goes on from each item's last token until `end`, `max_tokens` (default 64) or the model's longest input. With a
  /// `temperature` above 0 (default 0) tokens are drawn, from a stream of the item's sample id.
  Strings generate(const Batch& batch, const Table& sampling, RandomStream random) override {
    if (!can("generate")) throw Error("a model of type " + backquoted(built_.type) + " does not generate");
    const auto limit = shape().max_time;
    auto most = static_cast<std::int64_t>(number_in(sampling, "max_tokens", 64));
    const auto temperature = number_in(sampling, "temperature", 0);
    const auto& mask = batch.dense("input.mask");
    const auto items = mask.size(0), prompt = mask.size(1);
    const auto end = s_.encoder()->reserved("end").value_or(-1);
    const auto width = limit > 0 ? std::min(prompt + most, limit) : prompt + most;
    // As wide as the longest text may become; a prompt that is longer is cut.
    const auto room = width - prompt;
    auto ids = ops::constant_pad_nd(batch.dense("ids"), {0, room}, s_.encoder()->reserved("pad").value_or(0)).clone();
    auto seen = ops::constant_pad_nd(mask, {0, room}, false).clone();
    std::vector<RandomStream> streams;
    std::vector<std::int64_t> length;
    std::vector<bool> done;
    for (std::int64_t i = 0; i < items; ++i) {
      length.push_back(mask[i].sum().item<std::int64_t>());
      done.push_back(length.back() == 0 || length.back() >= width);
      streams.push_back(random.fork(1 + static_cast<std::uint64_t>(batch.sample_id[i].item<std::int64_t>())));
    }
    std::vector<std::vector<TokenId>> made(static_cast<std::size_t>(items));
    for (; most > 0 && std::find(done.begin(), done.end(), false) != done.end(); --most) {
      std::vector<std::int64_t> at;
      for (std::int64_t i = 0; i < items; ++i) at.push_back(i * width + std::max<std::int64_t>(length[i] - 1, 0));
      Batch so_far;
      so_far.set("ids", ids), so_far.set("input.mask", seen);
      const auto scores =
          logits(encode(so_far, {.at = ops::tensor(at).to(ids.device())}).picked).to(at::kDouble).cpu();
      for (std::int64_t i = 0; i < items; ++i) {
        if (done[i]) continue;
        const auto next = drawn(scores[i], temperature, streams[i]);
        if ((done[i] = next == end)) continue;
        ids[i][length[i]] = next, seen[i][length[i]] = true;
        made[i].push_back(static_cast<TokenId>(next));
        done[i] = ++length[i] >= width;
      }
    }
    Strings out;
    for (const auto& tokens : made) out.push_back(s_.encoder()->decode(tokens));
    return out;
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
