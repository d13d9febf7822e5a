#include "set_network.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/_pack_padded_sequence.h>
#include <ATen/ops/lstm.h>

#include <algorithm>

namespace xp::hyperofa {
namespace {

constexpr std::int64_t kHeads = 4;         // of the setformer, where they divide its width
constexpr std::int64_t kFeedForward = 8;   // times the width, as published
constexpr std::size_t kLayerWeights = 16;  // of a setformer's layer

at::Generator generator(RandomStream& random) { return at::make_generator<at::CPUGeneratorImpl>(random.next()); }

at::Tensor dropped(const at::Tensor& x, double rate, RandomStream& random) {
  if (rate == 0) return x;
  return x.mul(ops::empty(x.sizes(), at::kFloat).bernoulli_(1 - rate, generator(random))).div(1 - rate);
}

/// [n, most words, 1]: 1 where there is a word.
at::Tensor mask_of(const WordVectors& sets) {
  return ops::arange(sets.words.size(1), at::kLong).unsqueeze(0).lt(sets.lengths.unsqueeze(1)).unsqueeze(2);
}

at::Tensor mean_of(const at::Tensor& x, const WordVectors& sets) {
  return x.mul(mask_of(sets)).sum(1).div(sets.lengths.unsqueeze(1));
}

}  // namespace

SetNetwork::SetNetwork(const NetworkShape& shape, RandomStream random) : shape_(shape), random_(random) {
  const auto w = shape_.width;
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    if (shape_.kind == Network::deep_sets) dense(i == 0 ? shape_.in : w, w);
    for (int direction = 0; shape_.kind == Network::bilstm && direction < 2; ++direction) {
      add({4 * w, i == 0 ? shape_.in : 2 * w}, w), add({4 * w, w}, w);
      add({4 * w}, w), add({4 * w}, w);
    }
    if (shape_.kind != Network::setformer) continue;
    if (i == 0) dense(shape_.in, w);
    for (int part = 0; part < 4; ++part) dense(w, w);  // query, key, value, out
    dense(w, kFeedForward * w), dense(kFeedForward * w, w);
    for (int norm = 0; norm < 2; ++norm) {
      weights_.push_back(ops::ones({w}, at::kFloat).requires_grad_(true));
      weights_.push_back(ops::zeros({w}, at::kFloat).requires_grad_(true));
    }
  }
  const auto pooled = shape_.kind == Network::bilstm ? 2 * w : w;
  const auto hidden = shape_.kind == Network::setformer ? 2 * w : 2 * shape_.out;
  head_ = dense(pooled, hidden);
  dense(hidden, shape_.out);
}

void SetNetwork::add(std::vector<std::int64_t> shape, std::int64_t sums) {
  const double bound = 1 / std::sqrt(static_cast<double>(sums));
  weights_.push_back(ops::empty(shape, at::kFloat).uniform_(-bound, bound, generator(random_)).requires_grad_(true));
}

std::int64_t SetNetwork::dense(std::int64_t from, std::int64_t to) {
  add({to, from}, from), add({to}, from);
  return std::ssize(weights_) - 2;
}

at::Tensor SetNetwork::apply(std::int64_t dense, const at::Tensor& x) const {
  return ops::linear(x, weights_[static_cast<std::size_t>(dense)], weights_[static_cast<std::size_t>(dense) + 1]);
}

at::Tensor SetNetwork::predict(const WordVectors& sets, double rate, RandomStream random) const {
  const auto pooled = shape_.kind == Network::bilstm      ? states(sets, rate, random)
                      : shape_.kind == Network::setformer ? attended(sets, rate, random)
                                                          : summed(sets);
  return apply(head_ + 2, dropped(ops::gelu(apply(head_, pooled)), rate, random));
}

at::Tensor SetNetwork::states(const WordVectors& sets, double rate, RandomStream& random) const {
  auto [words, sizes] = at::_pack_padded_sequence(sets.words, sets.lengths, true);
  const auto start = ops::zeros({2, sets.words.size(0), shape_.width}, at::kFloat);
  at::Tensor last;
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    const std::vector<at::Tensor> own(weights_.begin() + 8 * i, weights_.begin() + 8 * (i + 1));
    // Its own dropout would draw from the process' random numbers.
    const auto [all, hidden, cells] =
        at::lstm(i == 0 ? words : dropped(words, rate, random), sizes, {start, start}, own, true, 1, 0, false, true);
    words = all, last = hidden;
  }
  return ops::cat({last[0], last[1]}, 1);
}

at::Tensor SetNetwork::attended(const WordVectors& sets, double rate, RandomStream& random) const {
  const auto n = sets.words.size(0), time = sets.words.size(1), w = shape_.width;
  const auto heads = w % kHeads == 0 ? kHeads : 1;
  const auto seen = mask_of(sets).transpose(1, 2).unsqueeze(1);  // [n, 1, 1, time]
  auto x = apply(0, sets.words);
  for (std::int64_t i = 0; i < shape_.layers; ++i) {
    const auto first = 2 + i * static_cast<std::int64_t>(kLayerWeights);
    const auto split = [&](std::int64_t part) {
      return apply(first + 2 * part, x).view({n, time, heads, w / heads}).transpose(1, 2);
    };
    const auto normed = [&](std::int64_t norm, const at::Tensor& y) {
      const auto at = static_cast<std::size_t>(first + 12 + 2 * norm);
      return ops::layer_norm(y, {w}, weights_[at], weights_[at + 1]);
    };
    const auto mixed = ops::scaled_dot_product_attention(split(0), split(1), split(2), seen, false, false)
                           .transpose(1, 2)
                           .reshape({n, time, w});
    x = normed(0, x + dropped(apply(first + 6, mixed), rate, random));
    x = normed(1, x + dropped(apply(first + 10, ops::gelu(apply(first + 8, x))), rate, random));
  }
  return mean_of(x, sets);
}

at::Tensor SetNetwork::summed(const WordVectors& sets) const {
  auto x = sets.words;
  for (std::int64_t i = 0; i < shape_.layers; ++i) x = ops::gelu(apply(2 * i, x));
  return mean_of(x, sets);
}

}  // namespace xp::hyperofa
