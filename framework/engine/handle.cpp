// The primary model as evaluators see it.
#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/ops.h"
#include "base/text.h"
#include "engine/passes.h"
#include "engine/scoring.h"
#include "engine/session.h"
#include "kit/batches.h"
#include "kit/generation.h"
#include "kit/torch_operators.h"

namespace xp {
namespace {

bool is_dense(const Batch& batch, std::string_view field) {
  const auto column = batch.columns().find(field);
  return column != batch.columns().end() && std::holds_alternative<at::Tensor>(column->second);
}

/// A causal model behind its prompts, or a decoder behind the inputs that its encoder has read.
class ModelTexts final : public OpenTexts {
 public:
  /// `ids`, `mask`: [items, time], padded at the end. With a memory they are what the decoder starts from.
  ModelTexts(const BuiltModel& built, at::Tensor ids, at::Tensor mask, at::Tensor memory = {},
             at::Tensor memory_mask = {})
      : built_(built),
        ids_(std::move(ids)),
        mask_(std::move(mask)),
        length_(mask_.sum(1)),
        memory_(std::move(memory)),
        memory_mask_(std::move(memory_mask)) {}

  at::Tensor start() override {
    const auto time = ids_.size(1);
    const auto last = ops::arange(ids_.size(0), length_.options()) * time + (length_ - 1).clamp_min(0);
    return pass({.ids = ids_}, last);
  }

  at::Tensor next(const at::Tensor& ids) override {
    mask_ = ops::constant_pad_nd(mask_, {0, 1}, true);
    // Texts that have ended go along, and stay at the last position that there is.
    const auto most = built_.model->shape().max_time;
    const auto at = (most > 0 ? length_.clamp_max(most - 1) : length_).unsqueeze(1);
    length_ = length_ + 1;
    return pass({.ids = ids.unsqueeze(1), .positions = at}, ops::arange(ids.size(0), length_.options()));
  }

  void select(const at::Tensor& rows) override {
    cache_.select(rows);
    for (auto* one : {&mask_, &length_, &memory_, &memory_mask_})
      if (one->defined()) *one = one->index_select(0, rows);
  }

 private:
  at::Tensor pass(ForwardInput in, const at::Tensor& at) {
    in.mask = mask_, in.causal = true, in.cache = &cache_;
    in.memory = memory_, in.memory_mask = memory_mask_;
    return built_.model->logits(built_.active, built_.model->forward(built_.active, in, {.at = at}).picked);
  }

  const BuiltModel& built_;
  KeyValueCache cache_;
  at::Tensor ids_, mask_, length_, memory_, memory_mask_;
};

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
    if (answers()) return what == "score" || (what == "generate" && has("cache"));
    return (what == "score" || what == "generate") && has("logits") && has("causal") && !has("bidirectional");
  }

  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    const auto asked = seen(want);
    const at::NoGradGuard quiet;
    ForwardInput in{.fields = &batch, .segments = segments_of(batch)};
    if (batch.has("ids")) in.ids = batch.dense("ids"), in.mask = batch.dense("input.mask");
    if (splits(in, asked)) return forward_in_parts(*built_.model, built_.active, in, asked);
    return built_.model->forward(built_.active, in, asked);
  }

  ForwardOutput encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more) override {
    std::vector<at::Tensor> frozen;
    for (const auto& weight : built_.active) frozen.push_back(weight.detach());
    const ForwardInput in{.vectors = embedded(batch.dense("ids"), more, frozen),
                          .mask = batch.dense("input.mask"),
                          .segments = segments_of(batch)};
    return built_.model->forward(frozen, in, seen(want));
  }

  at::Tensor logits(const at::Tensor& hidden) override {
    if (!has("logits")) throw Error("this model has no head over a vocabulary");
    const at::NoGradGuard quiet;
    return built_.model->logits(built_.active, hidden);
  }

  std::vector<Score> score(const Batch& batch) override {
    if (!can("score"))
      throw Error("a model of type " + backquoted(built_.type) +
                  " does not score text: it is not causal, nor has it a decoder whose first id the tokenizer "
                  "reserves as `start`");
    const auto &ids = batch.dense("ids"), &mask = batch.dense("input.mask");
    const bool some = is_dense(batch, "target");
    const auto scored = some ? mask.logical_and(batch.dense("target").ne(0)) : mask;
    if (answers()) {
      if (!some)
        throw Error("a model with an encoder scores a second text given the first; this data marks no second text");
      const at::NoGradGuard quiet;
      return score_answers(*built_.model, built_.active, view_, ids, mask, scored, *s_.encoder()->reserved("start"));
    }
    auto out = score_texts(*built_.model, built_.active, view_, ids, mask, scored);
    if (!some && batch.has("bytes")) {
      const auto bytes = batch.dense("bytes").cpu();
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i].bytes = bytes[static_cast<std::int64_t>(i)].item<std::int64_t>();
    }
    return out;
  }

  /// Goes on from each item's last token, or answers it where the model has an encoder, until `end`, `max_tokens` or
  /// the model's longest input. Draws come from a stream of the item's sample id.
  Strings generate(const Batch& batch, const Table& table, RandomStream random) override {
    if (!can("generate")) throw Error("a model of type " + backquoted(built_.type) + " does not generate");
    const at::NoGradGuard quiet;
    const auto sampling = Decoding::read(table);
    const auto* encoder = s_.encoder();
    const auto& mask = batch.dense("input.mask");
    const auto items = mask.size(0);
    const auto end = encoder->reserved("end").value_or(-1);
    Limits limits{[end](TokenId id) { return id == end; }, {}};
    std::vector<RandomStream> streams;
    const auto counts = mask.sum(1).cpu();
    for (std::int64_t i = 0; i < items; ++i) {
      const auto used = has("memory") ? 1 : counts[i].item<std::int64_t>();
      const auto room = shape().max_time > 0 ? shape().max_time - used : sampling.max_tokens;
      limits.room.push_back(used == 0 ? 0 : std::max<std::int64_t>(room, 0));
      streams.push_back(random.fork(1 + static_cast<std::uint64_t>(batch.sample_id[i].item<std::int64_t>())));
    }
    auto texts = continuation(batch);
    Strings out;
    for (const auto& tokens : xp::generate(*texts, sampling, limits, streams)) out.push_back(encoder->decode(tokens));
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
  ForwardRequest seen(ForwardRequest want) const {
    if (!want.view.layers) want.view.layers = view_.layers;
    if (!want.view.width) want.view.width = view_.width;
    return want;
  }
  /// What embed() gives for ids of the model and, behind them, for rows of `more` in the place of its input table.
  at::Tensor embedded(const at::Tensor& ids, const at::Tensor& more, const std::vector<at::Tensor>& weights) const {
    if (!has("vectors"))
      throw Error("a model of type " + backquoted(built_.type) +
                  " reads no vectors in the place of tokens, so it cannot read tokens that it has no rows for");
    const auto inputs = built_.own.select("role:vocab.input");
    if (inputs.size() != 1)
      throw Error("only a model with one input table reads tokens that it has no rows for; this one has " +
                  std::to_string(inputs.size()));
    const auto& table = weights[inputs.front()];
    if (more.dim() != 2 || more.size(1) != table.size(1))
      throw Error("rows of further tokens have another width than the model's input table, which has " +
                  std::to_string(table.size(1)));
    const auto known = built_.model->shape().input_vocab;
    const auto flat = ids.flatten();
    const auto further = flat.ge(known);
    auto out = built_.model->embed(weights, flat.masked_fill(further, 0));
    const auto places = further.nonzero().squeeze(1);
    if (places.numel() > 0) {
      auto with = weights;
      with[inputs.front()] = more.to(table.scalar_type());
      out = out.index_copy(0, places, built_.model->embed(with, flat.index_select(0, places) - known));
    }
    return out.view({ids.size(0), ids.size(1), out.size(1)});
  }
  /// Whether an encoder reads what the decoder goes on from.
  bool answers() const { return has("logits") && has("memory") && s_.encoder() && s_.encoder()->reserved("start"); }
  std::unique_ptr<OpenTexts> continuation(const Batch& batch) {
    const auto &ids = batch.dense("ids"), &mask = batch.dense("input.mask");
    if (!has("memory")) return std::make_unique<ModelTexts>(built_, ids, mask);
    const auto start = static_cast<std::int64_t>(*s_.encoder()->reserved("start"));
    const auto first = ops::full({ids.size(0), 1}, start, ids.options());
    return std::make_unique<ModelTexts>(built_, first, first.ne(-1), encode(batch, {.tokens = true}).tokens, mask);
  }

  Session& s_;
  BuiltModel& built_;
  View view_;
  Strings capabilities_;
};

}  // namespace

std::unique_ptr<Handle> Session::handle(View view) { return std::make_unique<ModelHandle>(*this, view); }

}  // namespace xp
