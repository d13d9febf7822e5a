#include "stack.h"

#include "api/ops.h"

namespace xp::transformer {

using at::Tensor;

Linear Planner::linear(const std::string& name, const char* role, std::int64_t out, std::int64_t in, int layer) {
  Linear made{c_.add({name, role, layer}, {out, in}, {0, p_.init_sd}), {}};
  if (p_.bias) made.bias = c_.add({name + ".bias", "bias", layer}, {out}, {0, 0});
  return made;
}

Linear Planner::projection(const std::string& name, std::int64_t out, std::int64_t in, int layer) {
  auto made = linear(name, "dense", out, in, layer);
  if (p_.qkv_bias && !made.bias) made.bias = c_.add({name + ".bias", "bias", layer}, {out}, {0, 0});
  return made;
}

Norm Planner::norm(const std::string& name, std::int64_t width, int layer) {
  Norm made{c_.add({name, "norm", layer}, {width}, {1, 0}), {}};
  if (p_.bias && !p_.rms()) made.bias = c_.add({name + ".bias", "norm", layer}, {width}, {0, 0});
  return made;
}

Param Planner::table(const std::string& name, const char* role, std::int64_t rows, std::int64_t width) {
  return c_.add({name, role}, {rows, width}, {0, p_.init_sd});
}

Attention Planner::attention(const std::string& name, int layer) {
  const auto d = p_.width, h = p_.head_width(), inner = p_.heads * h, shared = p_.key_heads() * h;
  Attention a;
  a.query = projection(name + ".query", inner, d, layer);
  a.key = projection(name + ".key", shared, d, layer);
  a.value = projection(name + ".value", shared, d, layer);
  a.output = linear(name + ".output", "dense", d, inner, layer);
  if (p_.qk_norm)
    a.query_norm = norm(name + ".query.norm", h, layer), a.key_norm = norm(name + ".key.norm", h, layer);
  return a;
}

Layer Planner::layer(const std::string& name, int layer, bool memory) {
  const auto d = p_.width, inner = p_.ffn_width();
  Layer l;
  l.self = attention(name + ".attention", layer);
  l.self_norm = norm(name + ".attention.norm", d, layer);
  if (memory) {
    l.memory = attention(name + ".cross_attention", layer);
    l.memory_norm = norm(name + ".cross_attention.norm", d, layer);
  }
  if (p_.gated()) l.gate = linear(name + ".ffn.gate", "dense", inner, d, layer);
  l.up = linear(name + ".ffn.up", "dense", inner, d, layer);
  l.down = linear(name + ".ffn.down", "dense", d, inner, layer);
  l.ffn_norm = norm(name + ".ffn.norm", d, layer);
  return l;
}

Stack Planner::stack(const std::string& front, std::int64_t layers, std::int64_t first, bool memory) {
  Stack s;
  if (p_.positions == Positions::learned)
    s.position = table(front + "embedding.position", "position", p_.longest() + p_.position_offset, p_.table_width());
  if (p_.positions == Positions::relative)
    s.distance = table(front + "distance", "position", p_.relative_buckets, p_.heads);
  if (p_.segments) s.segment = table(front + "embedding.segment", "segment", p_.segments, p_.table_width());
  if (p_.embedding_norm) s.embedding_norm = norm(front + "embedding.norm", p_.table_width());
  for (std::int64_t i = 0; i < layers; ++i)
    s.layers.push_back(layer(front + "layer." + std::to_string(i), static_cast<int>(first + i), memory));
  if (p_.pre_norm()) s.last_norm = norm(front + "norm", p_.width);
  return s;
}

ops::MaybeTensor bias_of(const Linear& linear, Weights w) {
  return linear.bias ? ops::MaybeTensor(w[*linear.bias]) : std::nullopt;
}

Tensor apply(const Linear& linear, Weights w, const Tensor& x) {
  return ops::linear(x, w[linear.weight], bias_of(linear, w));
}

Tensor apply(const Norm& norm, const Params& p, Weights w, const Tensor& x) {
  const auto& gain = w[norm.gain];
  if (p.rms()) return ops::rms_norm(x, {x.size(-1)}, gain, p.norm_epsilon);
  return ops::layer_norm(x, {x.size(-1)}, gain, norm.bias ? std::optional<Tensor>(w[*norm.bias]) : std::nullopt,
                         p.norm_epsilon);
}

Tensor activated(Activation activation, const Tensor& x, const Tensor& matrix, const ops::MaybeTensor& bias) {
  switch (activation) {
    case Activation::gelu:
    case Activation::geglu: return ops::linear(x, matrix, bias, "gelu");
    case Activation::gelu_tanh:
    case Activation::geglu_tanh: return ops::linear(x, matrix, bias, "gelu_tanh");
    case Activation::relu: return ops::linear(x, matrix, bias, "relu");
    case Activation::silu:
    case Activation::swiglu: return ops::linear(x, matrix, bias, "silu");
    case Activation::quick_gelu: break;
  }
  const auto y = ops::linear(x, matrix, bias);
  return y * (y * 1.702).sigmoid();
}

namespace {

/// Dropout draws per item, so the positions of a cut take theirs from the draw of all positions: cut or not, the
/// same.
Tensor drop(const Params& p, const Surroundings& s, const Cut* cut, const Tensor& x) {
  if (!s.dropout || p.dropout == 0) return x;
  if (!cut) return s.dropout(x, p.dropout);
  const auto keep = s.dropout(ops::ones({s.items, s.time, x.size(-1)}, x.options()), p.dropout);
  return x * keep.flatten(0, 1).index_select(0, cut->at);
}

/// The same of attention weights, [items, heads, queries, keys], whose queries may be those of a cut.
Tensor drop_weights(const Params& p, const Surroundings& s, const Cut* cut, const Tensor& weights) {
  if (!cut) return s.dropout(weights, p.attention_dropout);
  const auto n = weights.size(1), keys = weights.size(3);
  const auto keep = s.dropout(ops::ones({s.items, n, s.time, keys}, weights.options()), p.attention_dropout);
  const auto rows = cut->rows.remainder(s.time).view({s.items, 1, cut->most, 1});
  return weights * keep.gather(2, rows.expand({s.items, n, cut->most, keys}));
}

/// [items, time, heads * h] -> [items, time, heads, h], or the same of [n, ...].
Tensor heads(const Tensor& x, std::int64_t n) { return x.unflatten(-1, {n, x.size(-1) / n}); }

/// The queries at the cut's positions, one row of `most` an item, from those of all: [n, heads, h] -> [items, most,
/// ...].
Tensor by_item(const Tensor& q, const Surroundings& s, const Cut& cut) {
  return ops::zeros({s.items * cut.most, q.size(1), q.size(2)}, q.options())
      .index_copy(0, cut.slot, q)
      .view({s.items, cut.most, q.size(1), q.size(2)});
}

/// Turns queries and keys by their positions; queries may be those of a cut, [n, heads, h].
void turn(Tensor& q, Tensor& k, const Surroundings& s, const Cut* cut) {
  k = rotate(k, *s.angles);
  if (!cut) {
    q = rotate(q, *s.angles);
    return;
  }
  const auto pick = [&](const Tensor& t) {
    return t.expand({s.items, s.time, t.size(-1)}).reshape({s.items * s.time, t.size(-1)}).index_select(0, cut->at);
  };
  q = rotate(q, {pick(s.angles->first), pick(s.angles->second)});
}

/// What queries read of this pass and, with a cache, of those before: [items, kv heads, keys, h].
KeyValueCache::Pair keys_of(const Attention& a, std::size_t number, const Params& p, Weights w, const Tensor& source,
                            const Surroundings& s, Tensor& q, const Cut* cut, bool self) {
  if (!self && s.cache)
    if (auto known = s.cache->memory(number); known.keys.defined()) return known;
  auto k = heads(apply(a.key, w, source), p.key_heads());
  auto v = heads(apply(a.value, w, source), p.key_heads());
  if (a.key_norm) k = apply(*a.key_norm, p, w, k);
  if (self && s.angles) turn(q, k, s, cut);
  if (self && s.keys.defined()) k = k.index_select(1, s.keys), v = v.index_select(1, s.keys);
  KeyValueCache::Pair pair{k.transpose(1, 2), v.transpose(1, 2)};
  if (self && s.cache) return s.cache->append(number, pair.keys, pair.values);
  if (s.cache) s.cache->set_memory(number, pair);
  return pair;
}

/// `x` gives the queries: [items, time, d], or [n, d] at the cut's positions; `source` keys and values.
Tensor attention(const Attention& a, std::size_t number, const Params& p, Weights w, const Tensor& x,
                 const Tensor& source, const Surroundings& s, const Reach& reach, const Cut* cut, bool self) {
  auto q = heads(apply(a.query, w, x), p.heads);
  if (a.query_norm) q = apply(*a.query_norm, p, w, q);
  const auto [k, v] = keys_of(a, number, p, w, source, s, q, cut, self);
  if (cut) q = by_item(q, s, *cut);
  Thin thin;
  if (s.dropout && p.attention_dropout > 0)
    thin = [&](const Tensor& weights) { return drop_weights(p, s, cut, weights); };
  auto mixed =
      attend(q.transpose(1, 2), k, v, cut ? reach.at(*cut, s.items, s.time) : reach, thin).transpose(1, 2).flatten(2);
  if (cut) mixed = mixed.flatten(0, 1).index_select(0, cut->slot);
  return drop(p, s, cut, apply(a.output, w, mixed));
}

Tensor feed_forward(const Layer& l, const Params& p, Weights w, const Tensor& x, const Surroundings& s,
                    const Cut* cut) {
  const auto& first = l.gate ? *l.gate : l.up;
  auto inner = activated(p.activation, x, w[first.weight], bias_of(first, w));
  if (l.gate) inner = inner * apply(l.up, w, x);
  return drop(p, s, cut, apply(l.down, w, inner));
}

}  // namespace

Tensor run(const Layer& l, std::size_t number, const Params& p, Weights w, Tensor x, const Surroundings& s,
           const Cut* cut) {
  const auto before = [&](const Norm& n, const Tensor& y) { return p.pre_norm() ? apply(n, p, w, y) : y; };
  const auto after = [&](const Norm& n, const Tensor& y) { return p.pre_norm() ? y : apply(n, p, w, y); };
  const auto here = [&](const Tensor& y) { return cut ? y.flatten(0, 1).index_select(0, cut->at) : y; };
  const auto source = before(l.self_norm, x);
  x = after(l.self_norm, here(x) + attention(l.self, number, p, w, here(source), source, s, s.self, cut, true));
  if (l.memory)
    x = after(*l.memory_norm, x + attention(*l.memory, number, p, w, before(*l.memory_norm, x), s.memory, s,
                                            s.memory_reach, cut, false));
  return after(l.ffn_norm, x + feed_forward(l, p, w, before(l.ffn_norm, x), s, cut));
}

}  // namespace xp::transformer
