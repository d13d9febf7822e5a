#pragma once
// Networks that predict a row from a set of word vectors (HyperOFA, Özeren et al. 2025, arXiv 2504.21018, section 3).
#include <cmath>
#include <vector>

#include "api/ops.h"
#include "base/random.h"

namespace xp::hyperofa {

enum class Network { bilstm, setformer, deep_sets, ridge };

struct NetworkShape {
  Network kind = Network::bilstm;
  std::int64_t layers = 0, width = 0;  ///< width: states of one direction of a bilstm
  std::int64_t in = 0, out = 0;        ///< numbers of a word vector and of a row
};

/// Word vectors of n tokens. Tokens with more words come first.
struct WordVectors {
  at::Tensor words;    ///< [n, most words, in] float
  at::Tensor lengths;  ///< [n] int64, falling, at least 1
};

/// Weights drawn uniformly within 1 / sqrt(numbers that are added), as LibTorch's own layers do.
class SetNetwork {
 public:
  SetNetwork(const NetworkShape& shape, RandomStream random);

  /// [n, out]. `rate`: share of states set to zero, drawn from `random`; 0 where rows are predicted for use.
  at::Tensor predict(const WordVectors& sets, double rate, RandomStream random) const;
  const std::vector<at::Tensor>& weights() const { return weights_; }

 private:
  std::int64_t dense(std::int64_t from, std::int64_t to);  // its first weight's place
  at::Tensor apply(std::int64_t dense, const at::Tensor& x) const;
  void add(std::vector<std::int64_t> shape, std::int64_t sums);
  at::Tensor states(const WordVectors& sets, double rate, RandomStream& random) const;    // bilstm: [n, 2 width]
  at::Tensor attended(const WordVectors& sets, double rate, RandomStream& random) const;  // setformer: [n, width]
  at::Tensor summed(const WordVectors& sets) const;                                       // deep_sets: [n, width]

  NetworkShape shape_;
  RandomStream random_;
  std::vector<at::Tensor> weights_;
  std::int64_t head_ = 0;
};

/// lambda * cross-entropy of finding each row among all by cosine / temperature, plus (1 - lambda) * mean absolute
/// error over mean absolute value. Both [n, width].
inline at::Tensor set_loss(const at::Tensor& predicted, const at::Tensor& wanted, double lambda, double temperature) {
  const auto unit = [](const at::Tensor& x) { return x.div(x.norm(2, 1, true).clamp_min(1e-12)); };
  const auto found = unit(predicted).matmul(unit(wanted).t()).div(temperature).log_softmax(1).diagonal().mean();
  const auto off = predicted.sub(wanted).abs().mean().div(wanted.abs().mean().clamp_min(1e-12));
  return off.mul(1 - lambda).sub(found, lambda);
}

}  // namespace xp::hyperofa
