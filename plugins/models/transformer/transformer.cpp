// Transformers: encoder, decoder, or both with cross-attention.
#include <cmath>

#include "api/ops.h"
#include "base/text.h"
#include "plugin/plugin.h"
#include "stack.h"

namespace {

using at::Tensor;
using namespace xp::transformer;

class Transformer final : public xp::Model {
 public:
  using Params = xp::transformer::Params;

  explicit Transformer(Params params) : p_(params) { p_.check(); }

  xp::Strings capabilities() const override {
    xp::Strings list{"causal", "masks", "positions", "keys", "views", "pooling", "cache"};
    if (p_.has_logits()) list.push_back("logits");
    if (p_.kind != Shape::decoder) list.push_back("bidirectional");
    if (p_.kind == Shape::encoder_decoder) list.push_back("memory");
    if (takes_vectors()) list.push_back("vectors");
    return list;
  }

  void build(xp::BuildContext& context) override;
  xp::ModelShape shape() const override {
    return {p_.layers, p_.width, p_.heads, vocab_, p_.has_logits() ? vocab_ : 0, p_.max_time};
  }
  Tensor embed(xp::Weights w, const Tensor& ids) const override {
    const auto x = look_up(w, ids);
    return project_ ? apply(*project_, w, x) : x;
  }
  xp::ForwardOutput forward(xp::Weights w, const xp::ForwardInput& in, const xp::ForwardRequest& want) const override;
  std::optional<xp::Table> factorised(std::int64_t rank) const override;
  Tensor logits(xp::Weights w, const Tensor& hidden) const override;
  double flops(const xp::ForwardInput& in, const xp::ForwardRequest& want) const override;

 private:
  Tensor look_up(xp::Weights w, const Tensor& ids) const {
    const auto x = xp::ops::embedding(w[token_], ids);
    return primitives_ ? x.matmul(w[*primitives_]) : x;
  }
  bool takes_vectors() const { return !p_.projects() || !p_.embedding_norm; }
  const Stack& stack(const xp::ForwardInput& in) const { return in.memory.defined() ? decoder_ : encoder_; }
  bool causal(const xp::ForwardInput& in) const { return in.causal || p_.kind == Shape::decoder; }
  void check(const xp::ForwardInput& in, const xp::ForwardRequest& want) const;
  std::int64_t last_layer(const xp::ForwardInput& in, const xp::ForwardRequest& want) const;
  Tensor places(xp::Weights w, const Stack& stack, const Tensor& positions, at::ScalarType type) const;
  Tensor enter(xp::Weights w, const xp::ForwardInput& in, const Stack& stack, const Tensor& positions,
               const xp::Dropout& dropout) const;
  Tensor relative(xp::Weights w, const Stack& stack, const xp::ForwardInput& in, const Tensor& positions) const;
  Surroundings surroundings(xp::Weights w, const xp::ForwardInput& in, const Stack& stack, const Tensor& positions,
                            const xp::ForwardRequest& want) const;
  Tensor wanted_positions(const xp::ForwardInput& in, const xp::ForwardRequest& want, std::int64_t items,
                          std::int64_t time) const;

  Params p_;
  std::int64_t vocab_ = 0;  // rows of the tables
  xp::Param token_ = 0;
  std::optional<Linear> project_;
  Stack encoder_, decoder_;
  std::optional<Linear> head_dense_;
  std::optional<Norm> head_norm_;
  std::optional<xp::Param> primitives_, output_, output_primitives_, vocab_bias_;
};

void Transformer::build(xp::BuildContext& context) {
  vocab_ = context.vocab_size();
  if (vocab_ <= 0) throw xp::Error("a transformer reads tokens; the stage names no tokenizer");
  Planner plan(context, p_);
  const auto d = p_.width, e = p_.table_width();
  const auto rank = p_.vocab_rank;
  token_ = plan.table("embedding.token", "vocab.input", vocab_, rank ? rank : e);
  if (rank) primitives_ = plan.table("embedding.primitives", "primitives", rank, e);
  if (p_.projects()) project_ = plan.linear("embedding.project", "dense", d, e);
  encoder_ = plan.stack("", p_.layers, 0, false);
  if (p_.kind == Shape::encoder_decoder)
    decoder_ = plan.stack("decoder.", p_.decoder_layers ? p_.decoder_layers : p_.layers, p_.layers, true);
  if (!p_.has_logits()) return;
  if (p_.head == Head::mlm) {
    head_dense_ = plan.linear("head.dense", "head", e, d);
    head_norm_ = plan.norm("head.norm", e);
  } else if (p_.projects()) {
    head_dense_ = plan.linear("head.project", "dense", e, d);
  }
  if (!p_.tied) output_ = plan.table("head.output", "vocab.output", vocab_, rank ? rank : e);
  if (rank) output_primitives_ = p_.tied ? *primitives_ : plan.table("head.primitives", "primitives", rank, e);
  if (p_.vocab_bias) vocab_bias_ = context.add({"head.bias", "vocab.bias"}, {vocab_}, {0, 0});
}

void Transformer::check(const xp::ForwardInput& in, const xp::ForwardRequest& want) const {
  if (!in.ids.defined() && !in.vectors.defined())
    throw xp::Error("a transformer reads `ids` or `vectors`; the input has neither");
  if (!in.ids.defined() && !takes_vectors())
    throw xp::Error("this model has no capability `vectors`: a norm stands between its table and its projection");
  if (in.memory.defined() && p_.kind != Shape::encoder_decoder)
    throw xp::Error("this model has no capability `memory`; `kind = \"encoder_decoder\"` has");
  const auto& x = in.ids.defined() ? in.ids : in.vectors;
  if (p_.positions == Positions::learned) {
    const auto time = x.size(1) + (in.cache ? in.cache->time() : 0);
    if (!in.positions.defined() && time > p_.max_time)
      throw xp::Error("an input of " + std::to_string(time) + " tokens; `max_time` is " +
                      std::to_string(p_.max_time));
    if (in.positions.defined() && in.positions.is_cpu() && in.positions.numel() &&
        in.positions.max().item<std::int64_t>() >= p_.max_time)
      throw xp::Error("position " + std::to_string(in.positions.max().item<std::int64_t>()) +
                      " is beyond `max_time`, which is " + std::to_string(p_.max_time));
  }
  const auto layers = std::ssize(stack(in).layers);
  if (want.view.layers < 0 || want.view.layers > layers || want.view.width < 0 || want.view.width > p_.width)
    throw xp::Error("a view of " + std::to_string(want.view.layers) + " layers and width " +
                    std::to_string(want.view.width) + "; the model has " + std::to_string(layers) + " and " +
                    std::to_string(p_.width));
  if (want.dropout && (p_.dropout > 0 || p_.attention_dropout > 0) && !in.sample_id.defined())
    throw xp::Error("the model drops out, so training needs `sample_id` in its input");
}

std::int64_t Transformer::last_layer(const xp::ForwardInput& in, const xp::ForwardRequest& want) const {
  return want.view.layers && !want.layers ? want.view.layers : std::ssize(stack(in).layers);
}

/// What is added for order: [items or 1, time, width of the tables], or undefined.
Tensor Transformer::places(xp::Weights w, const Stack& stack, const Tensor& positions, at::ScalarType type) const {
  if (p_.positions == Positions::sinusoidal) return sinusoids(positions, p_.table_width(), type);
  if (!stack.position) return {};
  return xp::ops::embedding(w[*stack.position], positions.clamp_min(0) + p_.position_offset) *
         positions.ge(0).unsqueeze(-1);
}

Tensor Transformer::enter(xp::Weights w, const xp::ForwardInput& in, const Stack& stack, const Tensor& positions,
                          const xp::Dropout& dropout) const {
  const auto type = w[token_].scalar_type();
  const auto place = places(w, stack, positions, type);
  const bool project_first = project_ && in.vectors.defined();  // vectors are as wide as the model, tables are not
  auto x = in.vectors.defined() ? in.vectors.to(type) : look_up(w, in.ids);
  if (place.defined()) x = x + (project_first ? xp::ops::linear(place, w[project_->weight]) : place);
  if (stack.segment && !project_first) {
    const auto segments = in.segments.defined() ? in.segments : xp::ops::zeros({1, 1}, positions.options());
    x = x + xp::ops::embedding(w[*stack.segment], segments);
  }
  if (stack.embedding_norm) x = apply(*stack.embedding_norm, p_, w, x);
  if (dropout && p_.dropout > 0) x = dropout(x, p_.dropout);
  return project_ && !project_first ? apply(*project_, w, x) : x;
}

/// Positions that are enough for what is asked for, [n]; undefined: all are needed, or nearly all.
Tensor Transformer::wanted_positions(const xp::ForwardInput& in, const xp::ForwardRequest& want, std::int64_t items,
                                     std::int64_t time) const {
  if (want.tokens || want.layers || time == 0) return {};
  if (want.at.defined()) {
    const bool few = want.at.numel() > 0 && 4 * want.at.numel() <= 3 * items * time;
    return few && want.pooling == xp::Pooling::none ? want.at : Tensor();
  }
  const auto& x = in.ids.defined() ? in.ids : in.vectors;
  const auto first = xp::ops::arange(items, x.options().dtype(at::kLong)) * time;
  if (want.pooling == xp::Pooling::first) return first;
  if (want.pooling != xp::Pooling::last) return {};
  if (!in.mask.defined() || in.mask.dim() != 2) return first + (time - 1);
  return first + (in.mask.sum(1) - 1).clamp_min(0);
}

/// Numbers that relative positions add to scores, [items or 1, heads, queries, keys].
Tensor Transformer::relative(xp::Weights w, const Stack& stack, const xp::ForwardInput& in,
                             const Tensor& positions) const {
  auto keys = positions;
  if (in.cache && in.cache->time() > 0) {
    // Of the keys before only the slots are known, which count positions where nothing is left out.
    const auto before = xp::ops::arange(in.cache->time(), positions.options()).unsqueeze(0);
    keys = xp::ops::cat({before.expand({positions.size(0), before.size(1)}), positions}, 1);
  }
  if (in.keys.defined()) keys = keys.index_select(1, in.keys);
  const auto classes =
      relative_classes(positions, keys, !causal(in) && !in.memory.defined(), p_.relative_buckets, p_.relative_reach);
  return xp::ops::embedding(w[*stack.distance], classes).permute({0, 3, 1, 2});
}

Surroundings Transformer::surroundings(xp::Weights w, const xp::ForwardInput& in, const Stack& stack,
                                       const Tensor& positions, const xp::ForwardRequest& want) const {
  const auto& given = in.ids.defined() ? in.ids : in.vectors;
  const auto type = w[token_].scalar_type();
  Surroundings s;
  s.items = given.size(0), s.time = given.size(1);
  s.dropout = want.dropout, s.keys = in.keys, s.cache = in.cache;
  if (in.memory.defined()) s.memory = in.memory.to(type), s.memory_reach = make_memory_reach(in, type);
  s.self = make_reach(in, causal(in), s.time, type);
  s.self.scaled = s.memory_reach.scaled = p_.scale_attention;
  if (stack.distance) s.self.relative = relative(w, stack, in, positions);
  if (p_.positions == Positions::rotary) s.angles = rotary_angles(positions, p_, type);
  return s;
}

xp::ForwardOutput Transformer::forward(xp::Weights w, const xp::ForwardInput& in,
                                       const xp::ForwardRequest& asked) const {
  auto want = asked;
  if (want.pooling == xp::Pooling::own)
    want.pooling = p_.pooling == Pool::first  ? xp::Pooling::first
                   : p_.pooling == Pool::mean ? xp::Pooling::mean
                                              : xp::Pooling::last;
  check(in, want);
  const Stack& layers = stack(in);
  const auto& given = in.ids.defined() ? in.ids : in.vectors;
  const auto before = in.cache ? in.cache->time() : 0;
  const auto positions =
      in.positions.defined()
          ? in.positions
          : xp::ops::arange(before, before + given.size(1), given.options().dtype(at::kLong)).unsqueeze(0);
  const auto s = surroundings(w, in, layers, positions, want);
  const auto finish = [&](const Tensor& x) { return layers.last_norm ? apply(*layers.last_norm, p_, w, x) : x; };
  const auto last = last_layer(in, want);
  const auto at = wanted_positions(in, want, s.items, s.time);
  auto x = enter(w, in, layers, positions, want.dropout);
  xp::ForwardOutput full;
  if (want.layers) full.layers.push_back(x);
  for (std::int64_t i = 0; i < last; ++i) {
    const auto number = static_cast<std::size_t>(i);
    const auto& layer = layers.layers[number];
    if (i + 1 == last && at.defined()) {
      const auto cut = make_cut(at, s.items, s.time);
      auto few = finish(run(layer, number, p_, w, x, s, &cut));
      if (in.cache) in.cache->advance(s.time);
      if (want.view.width) few = few.narrow(-1, 0, want.view.width);
      xp::ForwardOutput out;
      (want.at.defined() ? out.picked : out.pooled) = few;
      return out;
    }
    x = run(layer, number, p_, w, x, s, nullptr);
    if (want.layers) full.layers.push_back(finish(x));
  }
  if (in.cache) in.cache->advance(s.time);
  full.tokens = want.layers && last > 0 ? full.layers.back() : finish(x);
  if (!want.layers) want.view.layers = 0;  // only that many were run
  return xp::serve(full, in.mask.defined() && in.mask.dim() == 2 ? in.mask : Tensor(), want);
}

Tensor Transformer::logits(xp::Weights w, const Tensor& hidden) const {
  if (!p_.has_logits()) throw xp::Error("this model has no capability `logits`: it has no head over a vocabulary");
  auto x = hidden;
  const auto v = hidden.size(-1);
  if (p_.scale_logits) x = x * (1 / std::sqrt(static_cast<double>(p_.width)));
  if (head_dense_) {
    const auto matrix = w[head_dense_->weight].narrow(1, 0, v);
    x = head_dense_->bias ? xp::ops::linear(x, matrix, w[*head_dense_->bias]) : xp::ops::linear(x, matrix);
  }
  if (head_norm_) x = apply(*head_norm_, p_, w, activate(p_.activation, x));
  auto table = w[output_.value_or(token_)];
  if (output_primitives_)
    x = xp::ops::linear(x, w[*output_primitives_].narrow(1, 0, x.size(-1)));
  else
    table = table.narrow(1, 0, x.size(-1));
  return vocab_bias_ ? xp::ops::linear(x, table, w[*vocab_bias_]) : xp::ops::linear(x, table);
}

std::optional<xp::Table> Transformer::factorised(std::int64_t rank) const {
  if (p_.vocab_rank) return std::nullopt;  // its tables are products already
  auto table = settings();
  table.insert_or_assign("vocab_rank", rank);
  return table;
}

/// Two per multiplication with a weight, and attention over all keys, also where a causal kernel could skip half.
double Transformer::flops(const xp::ForwardInput& in, const xp::ForwardRequest& want) const {
  const auto& given = in.ids.defined() ? in.ids : in.vectors;
  const auto items = given.size(0), time = given.size(1), last = last_layer(in, want);
  const double d = static_cast<double>(p_.width), shared = static_cast<double>(p_.key_heads() * p_.head_width());
  const double inner_heads = static_cast<double>(p_.heads * p_.head_width());
  const double inner = static_cast<double>(p_.ffn_width()), all = static_cast<double>(items * time);
  const double keys =
      static_cast<double>(in.keys.defined() ? in.keys.size(0) : time + (in.cache ? in.cache->time() : 0));
  const double slots = in.memory.defined() ? static_cast<double>(in.memory.size(1)) : 0;
  double query = 2 * d * inner_heads + 2 * inner_heads * keys +
                 (p_.gated() ? 3 : 2) * d * inner;  // of one position, without its key
  if (in.memory.defined()) query += 2 * d * inner_heads + 2 * inner_heads * slots;
  const double key = 2 * d * shared, memory = static_cast<double>(items) * slots * 2 * d * shared;
  const auto at = wanted_positions(in, want, items, time);
  const double few = at.defined() ? static_cast<double>(at.numel()) : all;
  const double layers = static_cast<double>(last);
  double products =
      layers * (all * key + memory) + std::max(layers - 1, 0.0) * all * query + (last > 0 ? few * query : 0);
  if (p_.vocab_rank) products += all * static_cast<double>(p_.vocab_rank * p_.table_width());
  if (project_) products += all * d * static_cast<double>(p_.table_width());
  return 2 * products;
}

}  // namespace

XP_PLUGIN(transformer) { registry.add<Transformer>("transformer", "Transformer encoder, decoder, or both."); }
