// Transformers: encoder, decoder, or both with cross-attention.
#include <cmath>

#include "api/ops.h"
#include "base/text.h"
#include "image.h"
#include "plugin/plugin.h"
#include "pooling.h"
#include "stack.h"

namespace {

using at::Tensor;
using namespace xp::transformer;

class Transformer final : public xp::Model {
 public:
  using Params = xp::transformer::Params;

  explicit Transformer(Params params) : p_(params) { p_.check(); }

  xp::Strings capabilities() const override {
    xp::Strings list{"positions", "keys", "views", "pooling"};
    if (!p_.reads_image()) list.insert(list.end(), {"causal", "masks", "cache"});
    if (p_.has_logits()) list.push_back("logits");
    if (p_.kind != Shape::decoder) list.push_back("bidirectional");
    if (p_.kind == Shape::encoder_decoder) list.push_back("memory");
    if (takes_vectors()) list.push_back("vectors");
    return list;
  }

  void build(xp::BuildContext& context) override;
  xp::ModelShape shape() const override {
    return {p_.layers, p_.width, p_.heads, vocab_, classes(), p_.longest(), pooler_ ? p_.pooled_width() : 0};
  }
  Tensor embed(xp::Weights w, const Tensor& ids) const override {
    if (p_.reads_image()) throw xp::Error("this model has no table of tokens; it reads the field `image`");
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
  bool takes_vectors() const { return !p_.reads_image() && (!p_.projects() || !p_.embedding_norm); }
  std::int64_t classes() const { return p_.head == Head::classes ? p_.classes : p_.has_logits() ? vocab_ : 0; }
  xp::ForwardOutput run_layers(xp::Weights w, const xp::ForwardInput& in, const xp::ForwardRequest& want) const;
  const Stack& stack(const xp::ForwardInput& in) const { return in.memory.defined() ? decoder_ : encoder_; }
  bool causal(const xp::ForwardInput& in) const { return in.causal || p_.kind == Shape::decoder; }
  void check(const xp::ForwardInput& in, const xp::ForwardRequest& want) const;
  std::int64_t last_layer(const xp::ForwardInput& in, const xp::ForwardRequest& want) const;
  Tensor places(xp::Weights w, const Stack& stack, const Tensor& positions, at::ScalarType type) const;
  double flops_of(const xp::ForwardInput& in, const xp::ForwardRequest& want) const;
  Tensor segments(const xp::ForwardInput& in, const Tensor& positions) const;
  Tensor enter(xp::Weights w, const xp::ForwardInput& in, const Stack& stack, const Tensor& positions,
               const xp::Dropout& dropout) const;
  Tensor relative(xp::Weights w, const Stack& stack, const xp::ForwardInput& in, const Tensor& positions) const;
  Surroundings surroundings(xp::Weights w, const xp::ForwardInput& in, const Stack& stack, const Tensor& positions,
                            const xp::ForwardRequest& want) const;
  Tensor wanted_positions(const xp::ForwardInput& in, const xp::ForwardRequest& want, std::int64_t items,
                          std::int64_t time) const;
  Tensor pooled(xp::Weights w, const xp::ForwardInput& in, const xp::ForwardRequest& want,
                const Tensor& states) const;
  Tensor through_pooler(xp::Weights w, const xp::ForwardRequest& want, Tensor state) const;
  void build_head(Planner& plan, xp::BuildContext& context);

  Params p_;
  std::int64_t vocab_ = 0;  // rows of the tables
  xp::Param token_ = 0;
  std::int64_t end_ = -1;  // the token that pooling = "end" looks for
  PatchEmbedding patches_;
  std::optional<Linear> project_, pooler_;
  Stack encoder_, decoder_;
  std::optional<Linear> head_dense_;
  std::optional<Norm> head_norm_;
  std::optional<xp::Param> primitives_, output_, output_primitives_, output_bias_;
};

void Transformer::build(xp::BuildContext& context) {
  Planner plan(context, p_);
  const auto d = p_.width, e = p_.table_width();
  const auto rank = p_.vocab_rank;
  if (p_.reads_image()) {
    patches_ = plan_patches(context, p_);
    token_ = patches_.map;
  } else {
    vocab_ = context.vocab_size();
    if (vocab_ <= 0) throw xp::Error("a transformer reads tokens; the stage names no tokenizer");
    token_ = plan.table("embedding.token", "vocab.input", vocab_, rank ? rank : e);
  }
  if (p_.pooling == Pool::end) end_ = context.reserved("end", 0);
  if (rank) primitives_ = plan.table("embedding.primitives", "primitives", rank, e);
  if (p_.projects()) project_ = plan.linear("embedding.project", "dense", d, e);
  encoder_ = plan.stack("", p_.layers, 0, false);
  if (p_.kind == Shape::encoder_decoder)
    decoder_ = plan.stack("decoder.", p_.decoder_layers ? p_.decoder_layers : p_.layers, p_.layers, true);
  if (p_.pooler != Pooler::none) {
    pooler_ = Linear{context.add({"pooler", "head"}, {p_.pooled_width(), d}, {0, p_.init_sd}), {}};
    if (p_.pooler == Pooler::tanh) pooler_->bias = context.add({"pooler.bias", "bias"}, {p_.pooled_width()}, {0, 0});
  }
  build_head(plan, context);
}

void Transformer::build_head(Planner& plan, xp::BuildContext& context) {
  const auto d = p_.width, e = p_.table_width();
  const auto rank = p_.vocab_rank;
  if (p_.head == Head::classes) {
    output_ = context.add({"head.output", "head"}, {p_.classes, d}, {0, p_.init_sd});
    output_bias_ = context.add({"head.bias", "bias"}, {p_.classes}, {0, 0});
  }
  if (!p_.over_vocabulary()) return;
  if (p_.head == Head::mlm) {
    head_dense_ = plan.linear("head.dense", "head", e, d);
    head_norm_ = plan.norm("head.norm", e);
  } else if (p_.projects()) {
    head_dense_ = plan.linear("head.project", "dense", e, d);
  }
  if (!p_.tied) output_ = plan.table("head.output", "vocab.output", vocab_, rank ? rank : e);
  if (rank) output_primitives_ = p_.tied ? *primitives_ : plan.table("head.primitives", "primitives", rank, e);
  if (p_.vocab_bias) output_bias_ = context.add({"head.bias", "vocab.bias"}, {vocab_}, {0, 0});
}

void Transformer::check(const xp::ForwardInput& in, const xp::ForwardRequest& want) const {
  if (p_.reads_image()) {
    image_of(in, p_);
  } else if (!in.ids.defined() && !in.vectors.defined()) {
    throw xp::Error("a transformer reads `ids` or `vectors`; the input has neither");
  } else if (!in.ids.defined() && !takes_vectors()) {
    throw xp::Error("this model has no capability `vectors`: a norm stands between its table and its projection");
  }
  if (in.memory.defined() && p_.kind != Shape::encoder_decoder)
    throw xp::Error("this model has no capability `memory`; `kind = \"encoder_decoder\"` has");
  if (p_.positions == Positions::learned && !p_.reads_image()) {
    const auto& x = in.ids.defined() ? in.ids : in.vectors;
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

/// The segment of each token, [items, time]; a model that knows one segment has all tokens in it.
Tensor Transformer::segments(const xp::ForwardInput& in, const Tensor& positions) const {
  if (!in.segments.defined() || p_.segments == 1) return xp::ops::zeros({1, 1}, positions.options());
  if (in.segments.is_cpu() && in.segments.numel() && in.segments.max().item<std::int64_t>() >= p_.segments)
    throw xp::Error("a token of segment " + std::to_string(in.segments.max().item<std::int64_t>()) +
                    "; the model has " + std::to_string(p_.segments) + " `segments`");
  return in.segments;
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
    x = x + xp::ops::embedding(w[*stack.segment], segments(in, positions));
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
  return want.pooling == xp::Pooling::none ? Tensor() : pooled_positions(in, pool_of(want, p_), end_, items, time);
}

/// [items, d] -> what the request's pooling gives of it: [items, w], or as wide as the model's own pooler.
Tensor Transformer::through_pooler(xp::Weights w, const xp::ForwardRequest& want, Tensor state) const {
  if (p_.norms_pooled_only()) state = apply(*encoder_.last_norm, p_, w, state);
  if (want.view.width) state = state.narrow(-1, 0, want.view.width);
  if (!pooler_ || want.pooling != xp::Pooling::own) return state;
  const auto matrix = w[pooler_->weight].narrow(1, 0, state.size(-1));
  return pooler_->bias ? xp::ops::linear(state, matrix, w[*pooler_->bias]).tanh() : xp::ops::linear(state, matrix);
}

/// The pooled output of all states, [items, time, d].
Tensor Transformer::pooled(xp::Weights w, const xp::ForwardInput& in, const xp::ForwardRequest& want,
                           const Tensor& states) const {
  const auto at = pooled_positions(in, pool_of(want, p_), end_, states.size(0), states.size(1));
  if (at.defined()) return through_pooler(w, want, states.flatten(0, 1).index_select(0, at));
  const auto mask = in.mask.defined() && in.mask.dim() == 2 ? in.mask : Tensor();
  return through_pooler(w, want, xp::serve({.tokens = states}, mask, {.pooling = xp::Pooling::mean}).pooled);
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
                                       const xp::ForwardRequest& want) const {
  check(in, want);
  if (!p_.reads_image()) return run_layers(w, in, want);
  auto seen = in;
  seen.vectors = embed_patches(patches_, p_, w, image_of(in, p_));
  // Batches of images and texts hold fields of both; those of tokens are not about patches.
  seen.ids = Tensor(), seen.mask = Tensor(), seen.segments = Tensor();
  return run_layers(w, seen, want);
}

xp::ForwardOutput Transformer::run_layers(xp::Weights w, const xp::ForwardInput& in,
                                          const xp::ForwardRequest& asked) const {
  auto want = asked;
  const Stack& layers = stack(in);
  const auto& given = in.ids.defined() ? in.ids : in.vectors;
  const auto before = in.cache ? in.cache->time() : 0;
  const auto positions =
      in.positions.defined()
          ? in.positions
          : xp::ops::arange(before, before + given.size(1), given.options().dtype(at::kLong)).unsqueeze(0);
  const auto s = surroundings(w, in, layers, positions, want);
  const bool norm = layers.last_norm && !p_.norms_pooled_only();
  const auto finish = [&](const Tensor& x) { return norm ? apply(*layers.last_norm, p_, w, x) : x; };
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
      const auto few = finish(run(layer, number, p_, w, x, s, &cut));
      if (in.cache) in.cache->advance(s.time);
      if (!want.at.defined()) return {.pooled = through_pooler(w, want, few)};
      return {.picked = want.view.width ? few.narrow(-1, 0, want.view.width) : few};
    }
    x = run(layer, number, p_, w, x, s, nullptr);
    if (want.layers) full.layers.push_back(finish(x));
  }
  if (in.cache) in.cache->advance(s.time);
  full.tokens = want.layers && last > 0 ? full.layers.back() : finish(x);
  if (!want.layers) want.view.layers = 0;  // only that many were run
  Tensor pool;
  if (want.pooling != xp::Pooling::none)
    pool = pooled(w, in, want,
                  want.view.layers ? full.layers.at(static_cast<std::size_t>(want.view.layers)) : full.tokens);
  want.pooling = xp::Pooling::none;
  auto out = xp::serve(full, {}, want);
  out.pooled = pool;
  return out;
}

Tensor Transformer::logits(xp::Weights w, const Tensor& hidden) const {
  if (!p_.has_logits()) throw xp::Error("this model has no capability `logits`: it has no head");
  auto x = hidden;
  const auto v = hidden.size(-1);
  if (p_.scale_logits) x = x * (1 / std::sqrt(static_cast<double>(p_.width)));
  if (head_dense_) {
    const auto matrix = w[head_dense_->weight].narrow(1, 0, v);
    const auto bias = bias_of(*head_dense_, w);
    x = head_norm_ ? apply(*head_norm_, p_, w, activated(p_.activation, x, matrix, bias))
                   : xp::ops::linear(x, matrix, bias);
  }
  auto table = w[output_.value_or(token_)];
  if (output_primitives_)
    x = xp::ops::linear(x, w[*output_primitives_].narrow(1, 0, x.size(-1)));
  else
    table = table.narrow(1, 0, x.size(-1));
  return output_bias_ ? xp::ops::linear(x, table, w[*output_bias_]) : xp::ops::linear(x, table);
}

std::optional<xp::Table> Transformer::factorised(std::int64_t rank) const {
  if (p_.vocab_rank) return std::nullopt;  // its tables are products already
  auto table = settings();
  table.insert_or_assign("vocab_rank", rank);
  return table;
}

/// Two per multiplication with a weight, and attention over all keys, also where a causal kernel could skip half.
double Transformer::flops(const xp::ForwardInput& in, const xp::ForwardRequest& want) const {
  if (p_.reads_image()) {
    const auto items = image_of(in, p_).size(0);
    auto seen = in;
    seen.ids = Tensor(), seen.mask = Tensor();
    seen.vectors = xp::ops::empty({items, p_.longest(), 0});  // only its shape is read
    const auto map = static_cast<double>(p_.width * p_.channels * p_.patch_size * p_.patch_size);
    return flops_of(seen, want) + 2 * static_cast<double>(items * p_.patches()) * map;
  }
  return flops_of(in, want);
}

double Transformer::flops_of(const xp::ForwardInput& in, const xp::ForwardRequest& want) const {
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
