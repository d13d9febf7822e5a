#pragma once
// Attention and what it may read.
#include <functional>
#include <optional>

#include "api/model.h"
#include "kit/torch_operators.h"

namespace xp::transformer {

/// Positions that the last layer computes, when the caller reads no others.
struct Cut {
  at::Tensor at;          // [n] int64 into items * time
  at::Tensor slot;        // [n] int64 into items * most: where each stands among its item's
  at::Tensor rows;        // [items * most] int64 into items * time; spare slots repeat row 0
  std::int64_t most = 0;  // positions of the item that has most of them
};
/// `at` in any order, repeats allowed, not empty.
Cut make_cut(const at::Tensor& at, std::int64_t items, std::int64_t time);

/// Which keys a query reads. An undefined mask reads all.
struct Reach {
  at::Tensor allowed;   // bool [items or 1, 1, queries or 1, keys], or undefined
  at::Tensor bias;      // the same as numbers to add, in the type of the scores
  at::Tensor relative;  // numbers to add by head and distance, [items or 1, heads, queries, keys], or undefined
  bool causal = false;  // in addition: no later key; queries and keys are the same times
  bool scaled = true;   // scores are divided by the square root of a head's width

  /// For queries at the cut's positions only.
  Reach at(const Cut& cut, std::int64_t items, std::int64_t time) const;
};
/// What `in` allows over `time` queries; drops masks that forbid nothing where looking costs nothing.
/// Keys of a cache come before those of the queries' own times.
Reach make_reach(const ForwardInput& in, bool causal, std::int64_t time, at::ScalarType type);
Reach make_memory_reach(const ForwardInput& in, at::ScalarType type);

using Thin = std::function<at::Tensor(const at::Tensor& weights)>;

/// softmax(q k' / sqrt(width of a head)) v (Vaswani et al. 2017, equation 1). q: [items, heads, queries, h]; k, v:
/// [items, kv heads, keys, h]. `thin` drops attention weights, if given.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Reach& reach,
                  const Thin& thin);

struct Params;

/// Angles of rotary positions: cosine and sine, [..., h], for positions [...]; a position below 0 turns nothing. Wave
/// lengths are stretched as `p.rope_scaling` says (linear: Chen et al. 2023, "Extending context window ..."; yarn:
/// Peng et al. 2023, equations 17 to 22; llama3: the rule of Llama 3.1's configuration).
std::pair<at::Tensor, at::Tensor> rotary_angles(const at::Tensor& positions, const Params& p, at::ScalarType type);
/// Turns pairs (i, i + h / 2) of x ([..., heads, h]) by angles [..., h] (Su et al. 2021, equation 34).
at::Tensor rotate(const at::Tensor& x, const std::pair<at::Tensor, at::Tensor>& angles);

/// Classes of distances key - query, [..., queries, keys], for positions of queries and keys, [..., n]: near ones
/// have one each, far ones share logarithmic ones (Raffel et al. 2020, section 2.1). `both_ways`: half for later
/// keys.
at::Tensor relative_classes(const at::Tensor& queries, const at::Tensor& keys, bool both_ways, std::int64_t classes,
                            std::int64_t reach);

/// Sines and cosines of positions [...] -> [..., width] (Vaswani et al. 2017, section 3.5); zero below position 0.
at::Tensor sinusoids(const at::Tensor& positions, std::int64_t width, at::ScalarType type);

}  // namespace xp::transformer
