#include <algorithm>
#include <cmath>

#include "api/ops.h"
#include "base/text.h"
#include "kit/generation.h"
#include "kit/torch_operators.h"

namespace xp {
namespace {

using Texts = std::vector<std::vector<TokenId>>;

/// One token of a row of scores, [vocabulary] float64.
TokenId drawn(const at::Tensor& scores, const Decoding& s, RandomStream& random) {
  const auto all = scores.size(0);
  const auto kept = s.top_k > 0 ? std::min(s.top_k, all) : all;
  const auto [best, order] = scores.div(s.temperature).topk(kept);
  const auto sums = best.softmax(0).cumsum(0).contiguous();
  const auto* sum = sums.const_data_ptr<double>();
  std::int64_t n = kept;
  if (s.top_p < 1) n = std::min<std::int64_t>(std::lower_bound(sum, sum + kept, s.top_p) - sum + 1, kept);
  const double at = random.uniform() * sum[n - 1];
  const auto place = std::min<std::int64_t>(std::upper_bound(sum, sum + n, at) - sum, n - 1);
  return static_cast<TokenId>(order[place].item<std::int64_t>());
}

Texts one_by_one(OpenTexts& texts, const Decoding& s, const Limits& limits, std::span<RandomStream> streams) {
  const auto items = limits.room.size();
  Texts out(items);
  std::vector<bool> done(items);
  for (std::size_t i = 0; i < items; ++i) done[i] = limits.room[i] <= 0;
  auto scores = texts.start();
  for (std::int64_t n = 0; n < s.max_tokens; ++n) {
    std::vector<std::int64_t> next(items, 0);
    const auto best = s.temperature > 0 ? at::Tensor() : scores.argmax(1).cpu();
    const auto rows = s.temperature > 0 ? scores.to(at::kDouble).cpu() : at::Tensor();
    for (std::size_t i = 0; i < items; ++i) {
      if (done[i]) continue;
      const auto row = static_cast<std::int64_t>(i);
      const auto token =
          best.defined() ? static_cast<TokenId>(best[row].item<std::int64_t>()) : drawn(rows[row], s, streams[i]);
      if ((done[i] = limits.ends(token))) continue;
      out[i].push_back(token);
      next[i] = token;
      done[i] = std::ssize(out[i]) >= limits.room[i];
    }
    if (n + 1 == s.max_tokens || std::find(done.begin(), done.end(), false) == done.end()) break;
    scores = texts.next(ops::tensor(next).to(scores.device()));
  }
  return out;
}

/// A search of fixed width over each item's texts; row i * beams + b is an item's b-th.
class BeamSearch {
 public:
  BeamSearch(const Decoding& s, const Limits& limits)
      : s_(s), limits_(limits), beams_(s.beams), items_(std::ssize(limits.room)), finished_(limits.room.size()) {}

  Texts run(OpenTexts& texts) {
    auto scores = texts.start();
    texts.select(ops::arange(items_, at::kLong).to(scores.device()).repeat_interleave(beams_));
    open_.assign(static_cast<std::size_t>(items_ * beams_), {});
    sums_.assign(open_.size(), -INFINITY);
    for (std::int64_t i = 0; i < items_; ++i)
      sums_[static_cast<std::size_t>(i * beams_)] = 0;  // the others are copies
    scores = scores.repeat_interleave(beams_, 0);
    for (std::int64_t n = 0; n < s_.max_tokens; ++n) {
      const auto [rows, tokens] = step(scores.to(at::kDouble).log_softmax(1).cpu());
      if (n + 1 == s_.max_tokens || all_done()) break;
      texts.select(ops::tensor(rows).to(scores.device()));
      scores = texts.next(ops::tensor(tokens).to(scores.device()));
    }
    return best();
  }

 private:
  struct Finished {
    double score;
    std::vector<TokenId> tokens;
  };

  double worth(double sum, std::size_t length) const {
    return sum / std::pow(static_cast<double>(std::max<std::size_t>(length, 1)), s_.length_penalty);
  }

  /// The rows that go on and the tokens they get.
  std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> step(const at::Tensor& logs) {
    std::vector<std::int64_t> rows, tokens;
    std::vector<std::vector<TokenId>> open;
    std::vector<double> sums;
    for (std::int64_t i = 0; i < items_; ++i) {
      const auto here =
          ops::tensor(std::vector<double>(sums_.begin() + i * beams_, sums_.begin() + (i + 1) * beams_), at::kDouble);
      const auto all = (logs.narrow(0, i * beams_, beams_) + here.unsqueeze(1)).flatten();
      // Half of them may end, so twice as many leave enough to go on with.
      const auto [value, place] = all.topk(std::min<std::int64_t>(2 * beams_, all.size(0)));
      extend(i, value.contiguous(), place.contiguous(), logs.size(1), rows, tokens, open, sums);
    }
    open_ = std::move(open), sums_ = std::move(sums);
    return {rows, tokens};
  }

  void extend(std::int64_t item, const at::Tensor& value, const at::Tensor& place, std::int64_t vocabulary,
              std::vector<std::int64_t>& rows, std::vector<std::int64_t>& tokens,
              std::vector<std::vector<TokenId>>& open, std::vector<double>& sums) {
    const auto wanted = rows.size() + static_cast<std::size_t>(beams_);
    for (std::int64_t k = 0; k < value.size(0) && rows.size() < wanted; ++k) {
      const auto at = place.const_data_ptr<std::int64_t>()[k];
      const auto sum = value.const_data_ptr<double>()[k];
      const auto row = item * beams_ + at / vocabulary;
      const auto token = static_cast<TokenId>(at % vocabulary);
      auto text = open_[static_cast<std::size_t>(row)];
      if (limits_.ends(token)) {
        if (k < beams_) finish(item, sum, std::move(text), 1);
        continue;
      }
      text.push_back(token);
      if (std::ssize(text) >= std::min(s_.max_tokens, limits_.room[static_cast<std::size_t>(item)]))
        finish(item, sum, text, 0);
      rows.push_back(row), tokens.push_back(token), open.push_back(std::move(text)), sums.push_back(sum);
    }
    for (; rows.size() < wanted; rows.push_back(item * beams_))
      tokens.push_back(0), open.emplace_back(), sums.push_back(-INFINITY);
  }

  void finish(std::int64_t item, double sum, std::vector<TokenId> tokens, std::size_t end) {
    auto& list = finished_[static_cast<std::size_t>(item)];
    const auto score = worth(sum, tokens.size() + end);
    list.push_back({score, std::move(tokens)});
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    if (std::ssize(list) > beams_) list.pop_back();
  }

  /// True when no open text can still beat the finished ones: its sum only falls.
  bool all_done() const {
    for (std::int64_t i = 0; i < items_; ++i) {
      const auto& list = finished_[static_cast<std::size_t>(i)];
      const auto first = static_cast<std::size_t>(i * beams_);
      if (open_[first].size() >= static_cast<std::size_t>(limits_.room[static_cast<std::size_t>(i)])) continue;
      if (std::ssize(list) < beams_ || list.back().score < worth(sums_[first], open_[first].size())) return false;
    }
    return true;
  }

  Texts best() const {
    Texts out;
    for (std::int64_t i = 0; i < items_; ++i) {
      const auto& list = finished_[static_cast<std::size_t>(i)];
      out.push_back(list.empty() ? open_[static_cast<std::size_t>(i * beams_)] : list.front().tokens);
    }
    return out;
  }

  const Decoding& s_;
  const Limits& limits_;
  std::int64_t beams_, items_;
  std::vector<std::vector<TokenId>> open_;
  std::vector<double> sums_;
  std::vector<std::vector<Finished>> finished_;
};

}  // namespace

OpenTexts::~OpenTexts() = default;

Decoding Decoding::read(const Table& table) {
  Decoding out;
  for (const auto& [key, value] : table) {
    const auto refuse = [&, &name = key, &given = value] {
      throw Error("sampling cannot have " + backquoted(printable(name)) + " = " + to_text(given) +
                      "; there is `max_tokens` (1 or more), `temperature` (0 or more), `top_k` (0 or more), `top_p` "
                      "(above 0, at most 1), `beams` (1 or more), `length_penalty`",
                  Exit::usage);
    };
    if (!value.is_number() || !std::isfinite(value.number())) refuse();
    const auto whole = [&, &given = value](std::int64_t least) {
      const auto* n = given.as<std::int64_t>();
      if (!n || *n < least) refuse();
      return *n;
    };
    if (key == "max_tokens") {
      out.max_tokens = whole(0);
    } else if (key == "top_k") {
      out.top_k = whole(0);
    } else if (key == "beams") {
      out.beams = whole(1);
    } else if (key == "temperature") {
      out.temperature = value.number();
    } else if (key == "top_p") {
      out.top_p = value.number();
    } else if (key == "length_penalty") {
      out.length_penalty = value.number();
    } else {
      refuse();
    }
    if (out.temperature < 0 || out.top_p <= 0 || out.top_p > 1) refuse();
  }
  return out;
}

Texts generate(OpenTexts& texts, const Decoding& sampling, const Limits& limits, std::span<RandomStream> streams) {
  if (limits.room.empty() || sampling.max_tokens == 0) return Texts(limits.room.size());
  if (sampling.beams > 1) return BeamSearch(sampling, limits).run(texts);
  return one_by_one(texts, sampling, limits, streams);
}

}  // namespace xp
