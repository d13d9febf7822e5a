#include "set_learner.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "base/log.h"
#include "base/text.h"
#include "kit/small_adam.h"
#include "kit/tensors.h"

namespace xp::hyperofa {
namespace {

constexpr std::int64_t kGroup = 40;        // batches among which tokens are sorted by their number of words
constexpr std::size_t kLeastWords = 5;     // of a set of which a part stands for it now and then
constexpr double kDecay = 0.95;            // of the learning rate, each
constexpr std::int64_t kDecayEpochs = 10;  // epochs, as published
constexpr double kLeast = 1e-8;            // deviation of a dimension in which all rows are equal

/// `n` of the words in random order, all if there are no more.
Words drawn(const Words& words, std::size_t n, RandomStream& random) {
  std::unordered_map<std::size_t, std::size_t> moved;  // what a shuffle from the front has put elsewhere
  const auto at = [&](std::size_t i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  Words out;
  for (std::size_t i = 0; i < std::min(n, words.size()); ++i) {
    const auto j = i + static_cast<std::size_t>(random.below(std::ssize(words) - static_cast<std::int64_t>(i)));
    out.push_back(words[at(j)]), moved[j] = at(i);
  }
  return out;
}

template <class List>
void shuffle(List& list, RandomStream& random) {
  for (std::int64_t i = std::ssize(list); i > 1; --i)
    std::swap(list[static_cast<std::size_t>(i - 1)], list[static_cast<std::size_t>(random.below(i))]);
}

double mean_cosine(const at::Tensor& a, const at::Tensor& b) {
  return a.mul(b).sum(1).div(a.norm(2, 1).mul(b.norm(2, 1)).clamp_min(1e-12)).mean().item<double>();
}

}  // namespace

SetLearner::SetLearner(const Settings& settings, at::Tensor vectors, const RandomStreams& random)
    : s_(settings), vectors_(std::move(vectors)), random_(random) {}

/// Keyed by the token's text: ids do not matter.
RandomStream SetLearner::stream(const TokenWords& words, TokenId token, std::string_view what,
                                std::int64_t epoch) const {
  return random_.child(what).child(words.encoder.text(token)).stream(epoch);
}

void SetLearner::learn(const TokenWords& words, const std::vector<TokenId>& tokens, const at::Tensor& wanted) {
  Lesson lesson{words, tokens, wanted.to(at::kFloat), {}, {}};
  split(lesson);
  mean_ = lesson.wanted.mean(0), size_ = lesson.wanted.std(0, false).clamp_min(kLeast);
  network_.emplace(NetworkShape{s_.network, s_.layers, s_.width, vectors_.size(1), wanted.size(1)},
                   random_.child("weights").stream());
  const at::AutoGradMode learns(true);
  SmallAdam adam(network_->weights(), s_.lr);
  std::vector<at::Tensor> best;
  double least = 0;
  std::int64_t kept = 0;
  for (std::int64_t epoch = 1; epoch <= s_.epochs; ++epoch) {
    for (const auto& places : batches(lesson, epoch)) {
      const auto off = loss(lesson, places, epoch);
      if (!std::isfinite(off.item<double>()))
        throw Error("the network's loss is no number in epoch " + std::to_string(epoch) + "; use a lower `lr`",
                    Exit::usage);
      off.backward();
      adam.update(std::pow(kDecay, static_cast<double>((epoch - 1) / kDecayEpochs)));
    }
    if (lesson.held_out.empty()) continue;
    const double now = set_loss(held_out(lesson), lesson.wanted.index_select(0, tensor_of(lesson.held_out)),
                                s_.contrast, s_.temperature)
                           .item<double>();
    if (!best.empty() && now >= least) continue;
    best.clear(), least = now, kept = epoch;
    for (const auto& x : network_->weights()) best.push_back(x.detach().clone());
  }
  const at::NoGradGuard quiet;
  for (std::size_t i = 0; i < best.size(); ++i) network_->weights()[i].copy_(best[i]);
  if (!best.empty()) tell(lesson, kept);
}

void SetLearner::split(Lesson& lesson) const {
  for (std::size_t i = 0; i < lesson.tokens.size(); ++i) {
    auto random = stream(lesson.words, lesson.tokens[i], "held out", 0);
    (random.uniform() < s_.validation ? lesson.held_out : lesson.train).push_back(static_cast<std::int64_t>(i));
  }
  if (lesson.train.empty()) std::swap(lesson.train, lesson.held_out);
}

/// An epoch's batches of places: shuffled, then sorted by number of words within groups, so that padding is rare.
std::vector<std::vector<std::int64_t>> SetLearner::batches(const Lesson& lesson, std::int64_t epoch) const {
  auto random = random_.child("order").stream(epoch);
  const auto words_of = [&](std::int64_t place) {
    return lesson.words.of[static_cast<std::size_t>(lesson.tokens[static_cast<std::size_t>(place)])].size();
  };
  auto places = lesson.train;
  shuffle(places, random);
  const auto n = std::ssize(places);
  for (std::int64_t from = 0; from < n; from += kGroup * s_.batch)
    std::stable_sort(places.begin() + from, places.begin() + std::min(n, from + kGroup * s_.batch),
                     [&](auto a, auto b) { return words_of(a) > words_of(b); });
  std::vector<std::vector<std::int64_t>> out;
  for (std::int64_t from = 0; from < n; from += s_.batch)
    out.emplace_back(places.begin() + from, places.begin() + std::min(n, from + s_.batch));
  shuffle(out, random);
  return out;
}

at::Tensor SetLearner::loss(const Lesson& lesson, const std::vector<std::int64_t>& places, std::int64_t epoch) const {
  std::vector<Words> sets;
  for (const auto place : places) {
    const auto token = lesson.tokens[static_cast<std::size_t>(place)];
    const auto& own = lesson.words.of[static_cast<std::size_t>(token)];
    auto random = stream(lesson.words, token, "words", epoch);
    auto most = own.size();
    if (own.size() >= kLeastWords && random.uniform() < s_.augment)
      most = static_cast<std::size_t>(std::ceil((0.5 + 0.5 * random.uniform()) * static_cast<double>(own.size())));
    sets.push_back(drawn(own, std::min(most, static_cast<std::size_t>(s_.max_words)), random));
  }
  std::vector<std::int64_t> order, sorted;
  const auto inputs = word_vectors(sets, order);
  for (const auto i : order) sorted.push_back(places[static_cast<std::size_t>(i)]);
  const auto random = random_.child("dropout").stream(epoch, static_cast<std::uint64_t>(places.front()));
  const auto made = network_->predict(inputs, s_.dropout, random).mul(size_).add(mean_);
  return set_loss(made, lesson.wanted.index_select(0, tensor_of(sorted)), s_.contrast, s_.temperature);
}

/// Sets with more words first; order[i] is the place of set i before.
WordVectors SetLearner::word_vectors(const std::vector<Words>& sets, std::vector<std::int64_t>& order) const {
  order.resize(sets.size());
  std::iota(order.begin(), order.end(), 0);
  const auto of = [&](std::int64_t i) -> const Words& { return sets[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return of(a).size() > of(b).size(); });
  const auto longest = of(order.front()).size();
  std::vector<std::int64_t> words(sets.size() * longest), lengths;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& own = of(order[i]);
    std::copy(own.begin(), own.end(), words.begin() + static_cast<std::ptrdiff_t>(i * longest));
    lengths.push_back(std::ssize(own));
  }
  const auto n = std::ssize(sets), most = static_cast<std::int64_t>(longest);
  return {vectors_.index_select(0, tensor_of(words)).view({n, most, vectors_.size(1)}), tensor_of(lengths)};
}

at::Tensor SetLearner::predict(const TokenWords& words, const std::vector<TokenId>& tokens) const {
  const at::NoGradGuard quiet;
  const auto own = [&](std::int64_t i) -> const Words& {
    return words.of[static_cast<std::size_t>(tokens[static_cast<std::size_t>(i)])];
  };
  std::vector<std::int64_t> by_size(tokens.size());
  std::iota(by_size.begin(), by_size.end(), 0);
  std::stable_sort(by_size.begin(), by_size.end(), [&](auto a, auto b) { return own(a).size() > own(b).size(); });
  auto out = ops::empty({std::ssize(tokens), mean_.size(0)}, at::kFloat);
  for (std::int64_t from = 0; from < std::ssize(tokens); from += s_.batch) {
    std::vector<Words> sets;
    for (auto i = from; i < std::min(std::ssize(tokens), from + s_.batch); ++i) {
      const auto place = by_size[static_cast<std::size_t>(i)];
      auto random = stream(words, tokens[static_cast<std::size_t>(place)], "words", 0);
      sets.push_back(drawn(own(place), static_cast<std::size_t>(s_.max_words), random));
    }
    std::vector<std::int64_t> order, places;
    const auto inputs = word_vectors(sets, order);
    for (const auto i : order) places.push_back(by_size[static_cast<std::size_t>(from + i)]);
    out.index_copy_(0, tensor_of(places), network_->predict(inputs, 0, RandomStream(0)).mul(size_).add(mean_));
  }
  return out;
}

at::Tensor SetLearner::held_out(const Lesson& lesson) const {
  std::vector<TokenId> tokens;
  for (const auto place : lesson.held_out) tokens.push_back(lesson.tokens[static_cast<std::size_t>(place)]);
  return predict(lesson.words, tokens);
}

void SetLearner::tell(const Lesson& lesson, std::int64_t epoch) const {
  const auto wanted = lesson.wanted.index_select(0, tensor_of(lesson.held_out));
  log::info("rows from words: " + count(lesson.train.size(), "token") +
            " taught the network, kept as it was after epoch " + std::to_string(epoch) + "; mean cosine to " +
            count(lesson.held_out.size(), "held-out row") + " " +
            short_number(mean_cosine(held_out(lesson), wanted)) + ", that of the mean row " +
            short_number(mean_cosine(mean_.expand_as(wanted), wanted)));
}

}  // namespace xp::hyperofa
