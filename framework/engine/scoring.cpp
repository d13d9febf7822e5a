#include "engine/scoring.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <utility>

#include "api/ops.h"
#include "engine/head_losses.h"
#include "engine/passes.h"
#include "kit/tensors.h"
#include "kit/torch_operators.h"

namespace xp {
namespace {

constexpr std::int64_t kLeastPrefix = 8;  // tokens: below, a pass of its own costs more than it saves
constexpr std::int64_t kOnDevice = 8192;  // padded tokens of a pass on a GPU, which wants large ones

std::span<const std::int64_t> row_of(const at::Tensor& ids, std::int64_t row) {
  return {ids.const_data_ptr<std::int64_t>() + row * ids.size(1), static_cast<std::size_t>(ids.size(1))};
}

class Scorer {
 public:
  Scorer(const Model& model, Weights weights, const View& view, const at::Tensor& ids, const at::Tensor& mask,
         const at::Tensor& scored)
      : model_(model),
        weights_(weights),
        view_(view),
        device_(ids.device()),
        ids_(ids.cpu().contiguous()),
        mask_(mask.cpu().contiguous()),
        scored_(scored.cpu().contiguous()),
        out_(static_cast<std::size_t>(ids.size(0))) {
    for (std::int64_t i = 0; i < ids_.size(0); ++i) {
      const auto* marks = scored_.const_data_ptr<bool>() + i * time();
      std::int64_t first = 0, last = 0;
      for (std::int64_t t = 1; t < time(); ++t)
        if (marks[t]) first = first ? first : t, last = t, ++out_[static_cast<std::size_t>(i)].tokens;
      first_.push_back(first), last_.push_back(last);
    }
  }

  std::vector<Score> run() {
    const auto capabilities = model_.capabilities();
    const bool caches = std::find(capabilities.begin(), capabilities.end(), "cache") != capabilities.end();
    std::vector<SharedPrefix> groups;
    std::vector<std::int64_t> alone, lengths;
    for (auto& group : shared_prefixes(ids_, first_)) {
      if (group.prefix > 0 && caches && starts_at_once(group)) {
        groups.push_back(std::move(group));
        continue;
      }
      for (const auto row : group.rows) alone.push_back(row), lengths.push_back(last_[static_cast<std::size_t>(row)]);
    }
    auto parts = parts_of(lengths, budget(lengths), time());
    for (auto& part : parts)
      for (auto& row : part.rows) row = alone[static_cast<std::size_t>(row)];
    const auto passes = passes_of(std::move(groups));
    read_.resize(parts.size() + passes.size());
    each(read_.size(),
         [&](std::size_t p) { read_[p] = p < passes.size() ? share(passes[p]) : read(parts[p - passes.size()]); });
    add_losses();
    return out_;
  }

 private:
  /// What a pass found at the positions that predict, what they should, and in which row.
  struct Predictions {
    at::Tensor hidden;
    std::vector<std::int64_t> gold, rows;
  };

  void each(std::size_t n, const std::function<void(std::size_t)>& fn) const {
    if (device_.is_cpu()) return for_each_part(n, fn);
    for (std::size_t i = 0; i < n; ++i) fn(i);
  }
  std::int64_t time() const { return ids_.size(1); }
  std::int64_t budget(const std::vector<std::int64_t>& lengths) const {
    return device_.is_cpu() ? part_tokens(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}))
                            : kOnDevice;
  }
  /// A text with padding before it has other positions than its places.
  bool starts_at_once(const SharedPrefix& group) const {
    return std::all_of(group.rows.begin(), group.rows.end(), [&](std::int64_t row) {
      const auto* mask = mask_.const_data_ptr<bool>() + row * time();
      return std::all_of(mask, mask + last_[static_cast<std::size_t>(row)], [](bool there) { return there; });
    });
  }

  std::int64_t longest(const SharedPrefix& group) const {
    std::int64_t most = 0;
    for (const auto row : group.rows) most = std::max(most, last_[static_cast<std::size_t>(row)]);
    return common_length(most - group.prefix);
  }

  /// Groups that one pass takes, those of like prefixes together.
  std::vector<std::vector<SharedPrefix>> passes_of(std::vector<SharedPrefix> groups) const {
    std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.prefix > b.prefix; });
    std::vector<std::int64_t> lengths;
    for (const auto& group : groups) lengths.push_back(group.prefix + std::ssize(group.rows) * longest(group));
    const auto most = budget(lengths);
    std::vector<std::vector<SharedPrefix>> out;
    std::int64_t rows = 0, rest = 0;
    for (auto& group : groups) {
      rows += std::ssize(group.rows), rest = std::max(rest, longest(group));
      if (out.empty() || (std::ssize(out.back()) + 1) * out.back().front().prefix + rows * rest > most)
        out.emplace_back(), rows = std::ssize(group.rows), rest = longest(group);
      out.back().push_back(std::move(group));
    }
    return out;
  }

  /// Whole texts, without what comes behind the last position that predicts.
  Predictions read(const PassPart& part) const {
    const auto rows = tensor_of(part.rows);
    const auto ids = ids_.narrow(1, 0, part.time).index_select(0, rows);
    const auto mask = mask_.narrow(1, 0, part.time).index_select(0, rows);
    return predictions(part.rows, std::vector<std::int64_t>(part.rows.size(), 0), part.time,
                       {.ids = ids, .mask = mask});
  }

  /// First the prefixes, for their keys and values; then what is left of each text.
  Predictions share(const std::vector<SharedPrefix>& groups) const {
    const auto n = std::ssize(groups), before = std::min(common_length(groups.front().prefix), time());
    std::vector<std::int64_t> rows, group_of, first_rows, prefixes;
    std::int64_t rest = 0;
    for (const auto& group : groups) {
      first_rows.push_back(group.rows.front()), rest = std::max(rest, longest(group));
      for (const auto row : group.rows)
        rows.push_back(row), group_of.push_back(std::ssize(first_rows) - 1), prefixes.push_back(group.prefix);
    }
    const auto of = tensor_of(group_of);
    const auto known = ops::empty({n, before}, at::kBool);
    for (std::int64_t g = 0; g < n; ++g) {
      auto* row = known.mutable_data_ptr<bool>() + g * before;
      std::fill(std::fill_n(row, groups[static_cast<std::size_t>(g)].prefix, true),
                known.mutable_data_ptr<bool>() + (g + 1) * before, false);
    }
    KeyValueCache cache;
    const auto ids = ids_.narrow(1, 0, before).index_select(0, tensor_of(first_rows));
    const ForwardInput prefix{.ids = ids.to(device_), .mask = known.to(device_), .causal = true, .cache = &cache};
    // One position each is asked for, since a pass gives something.
    model_.forward(weights_, prefix, {.at = (ops::arange(n, at::kLong) * before).to(device_), .view = view_});
    cache.select(of.to(device_));
    const auto m = std::ssize(rows);
    const auto more = ops::zeros({m, rest}, at::kLong), positions = ops::full({m, rest}, -1, at::kLong);
    const auto there = ops::full({m, rest}, false, at::kBool);
    for (std::int64_t i = 0; i < m; ++i) {
      const auto row = rows[static_cast<std::size_t>(i)], from = prefixes[static_cast<std::size_t>(i)];
      const auto count = last_[static_cast<std::size_t>(row)] - from;
      std::copy_n(row_of(ids_, row).begin() + from, count, more.mutable_data_ptr<std::int64_t>() + i * rest);
      std::iota(positions.mutable_data_ptr<std::int64_t>() + i * rest,
                positions.mutable_data_ptr<std::int64_t>() + i * rest + count, from);
      std::fill_n(there.mutable_data_ptr<bool>() + i * rest, count, true);
    }
    return predictions(rows, prefixes, rest,
                       {.ids = more,
                        .mask = ops::cat({known.index_select(0, of), there}, 1),
                        .causal = true,
                        .positions = positions.to(device_),
                        .cache = &cache});
  }

  /// Runs a pass over `rows`, each from its place in `from` on.
  Predictions predictions(const std::vector<std::int64_t>& rows, const std::vector<std::int64_t>& from,
                          std::int64_t width, ForwardInput in) const {
    in.ids = in.ids.to(device_), in.mask = in.mask.to(device_);
    Predictions out;
    std::vector<std::int64_t> at, ends;
    for (std::size_t r = 0; r < rows.size(); ++r, ends.push_back(std::ssize(at))) {
      const auto row = rows[r];
      const auto* marks = scored_.const_data_ptr<bool>() + row * time();
      for (auto t = first_[static_cast<std::size_t>(row)]; t <= last_[static_cast<std::size_t>(row)]; ++t) {
        if (!marks[t]) continue;
        at.push_back(static_cast<std::int64_t>(r) * width + t - 1 - from[r]);
        out.gold.push_back(row_of(ids_, row)[static_cast<std::size_t>(t)]), out.rows.push_back(row);
      }
    }
    const auto asked = std::ssize(at);
    fill(at, ends);
    out.hidden =
        model_.forward(weights_, in, {.at = tensor_of(at).to(device_), .view = view_}).picked.narrow(0, 0, asked);
    return out;
  }

  /// Texts ask for positions again, up to a number that many passes have; `ends` tells where those of a text end.
  static void fill(std::vector<std::int64_t>& at, const std::vector<std::int64_t>& ends) {
    std::int64_t most = 0, begin = 0;
    for (const auto end : ends) most = std::max(most, end - std::exchange(begin, end));
    begin = 0;
    const auto wanted =
        std::min<std::size_t>((at.size() + 31) / 32 * 32, ends.size() * static_cast<std::size_t>(most));
    for (const auto end : ends) {
      for (auto count = end - begin; count < most && at.size() < wanted; ++count)
        at.push_back(at[static_cast<std::size_t>(begin)]);
      begin = end;
    }
  }

  /// The head reads its whole table for each product, so it gets the positions of many passes at once.
  void add_losses() {
    std::vector<at::Tensor> hidden;
    std::vector<std::int64_t> gold, rows;
    for (auto& one : read_) {
      hidden.push_back(std::move(one.hidden));
      gold.insert(gold.end(), one.gold.begin(), one.gold.end()),
          rows.insert(rows.end(), one.rows.begin(), one.rows.end());
    }
    if (gold.empty()) return;
    const auto losses = head_losses(model_, weights_, ops::cat(hidden), tensor_of(gold).to(device_));
    for (std::int64_t i = 0; i < losses.size(0); ++i)
      out_[static_cast<std::size_t>(rows[static_cast<std::size_t>(i)])].nats += losses.const_data_ptr<double>()[i];
  }

  const Model& model_;
  Weights weights_;
  View view_;
  at::Device device_;
  at::Tensor ids_, mask_, scored_;
  std::vector<std::int64_t> first_, last_;  // by row, tokens that are scored; 0: none
  std::vector<Predictions> read_;           // by pass
  std::vector<Score> out_;
};

}  // namespace

std::vector<SharedPrefix> shared_prefixes(const at::Tensor& ids, const std::vector<std::int64_t>& first) {
  const auto plain = ids.contiguous();
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < plain.size(0); ++i)
    if (first[static_cast<std::size_t>(i)] > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    return std::ranges::lexicographical_compare(row_of(plain, a), row_of(plain, b));
  });
  std::vector<SharedPrefix> out;
  for (std::size_t i = 0; i < order.size();) {
    SharedPrefix group{{order[i]}, 0};
    auto prefix = first[static_cast<std::size_t>(order[i])] - 1;
    for (auto j = i + 1; j < order.size(); ++j) {
      const auto a = row_of(plain, order[j - 1]), b = row_of(plain, order[j]);
      const auto alike = std::ranges::mismatch(a, b).in1 - a.begin();
      const auto next =
          std::min({prefix, static_cast<std::int64_t>(alike), first[static_cast<std::size_t>(order[j])] - 1});
      const auto n = std::ssize(group.rows);
      // One more text must not make the prefix so short that less is saved.
      if (next < kLeastPrefix || next * n < group.prefix * (n - 1)) break;
      group.rows.push_back(order[j]), group.prefix = prefix = next;
    }
    i += group.rows.size();
    out.push_back(std::move(group));
  }
  return out;
}

std::vector<Score> score_texts(const Model& model, Weights weights, const View& view, const at::Tensor& ids,
                               const at::Tensor& mask, const at::Tensor& scored) {
  return Scorer(model, weights, view, ids, mask, scored).run();
}

}  // namespace xp
