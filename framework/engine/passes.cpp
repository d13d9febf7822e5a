#include "engine/passes.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>

#include "api/ops.h"
#include "kit/tensors.h"

namespace xp {
namespace {

constexpr std::int64_t kPart = 512;   // tokens: activations of usual widths then stay in a core's caches
constexpr std::int64_t kLeast = 128;  // below, products lose more than threads win

std::vector<std::int64_t> lengths_of(const at::Tensor& mask) {
  const auto plain = mask.contiguous();
  const auto items = plain.size(0), time = plain.size(1);
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < items; ++i) {
    const auto* row = plain.const_data_ptr<bool>() + i * time;
    auto length = time;
    while (length > 1 && !row[length - 1]) --length;
    out.push_back(length);
  }
  return out;
}

/// Positions of a part's rows within it, and their places among all that were asked for.
struct Wanted {
  std::vector<std::int64_t> at, place;
};

std::vector<Wanted> wanted_of(const std::vector<PassPart>& parts, const at::Tensor& at, std::int64_t items,
                              std::int64_t time) {
  std::vector<std::size_t> part_of(static_cast<std::size_t>(items));
  std::vector<std::int64_t> row_of(part_of.size());
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (std::size_t r = 0; r < parts[p].rows.size(); ++r) {
      const auto item = static_cast<std::size_t>(parts[p].rows[r]);
      part_of[item] = p, row_of[item] = static_cast<std::int64_t>(r);
    }
  std::vector<Wanted> out(parts.size());
  const auto plain = at.contiguous();
  for (std::int64_t i = 0; i < plain.numel(); ++i) {
    const auto position = plain.const_data_ptr<std::int64_t>()[i];
    const auto item = static_cast<std::size_t>(position / time);
    auto& one = out[part_of[item]];
    if (position % time >= parts[part_of[item]].time)
      throw Error("position " + std::to_string(position % time) + " of an item is behind its last token");
    one.at.push_back(row_of[item] * parts[part_of[item]].time + position % time), one.place.push_back(i);
  }
  return out;
}

}  // namespace

std::int64_t common_length(std::int64_t length) {
  const auto step =
      std::max<std::int64_t>(static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(length))) / 8, 1);
  return (length + step - 1) / step * step;
}

std::vector<PassPart> parts_of(const std::vector<std::int64_t>& lengths, std::int64_t tokens, std::int64_t most) {
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::int64_t i) { return lengths[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return length(a) > length(b); });
  std::vector<PassPart> out;
  for (const auto item : order) {
    if (out.empty() || (std::ssize(out.back().rows) + 1) * out.back().time > tokens)
      out.push_back({{}, std::clamp<std::int64_t>(common_length(length(item)), 1, std::max<std::int64_t>(most, 1))});
    out.back().rows.push_back(item);
  }
  return out;
}

std::int64_t part_tokens(std::int64_t tokens) {
  const std::int64_t threads = at::get_num_threads();
  return threads == 1 ? kPart : std::clamp(tokens / (4 * threads), kLeast, kPart);
}

void for_each_part(std::size_t n, const std::function<void(std::size_t)>& fn) {
  std::atomic<std::size_t> next{0};
  const auto work = [&](std::int64_t, std::int64_t) {
    const at::NoGradGuard quiet;
    for (auto i = next++; i < n; i = next++) fn(i);
  };
  // One part alone may have all threads for its products.
  if (n == 1) return work(0, 1);
  at::parallel_for(0, at::get_num_threads(), 1, work);
}

bool splits(const ForwardInput& in, const ForwardRequest& want) {
  return in.ids.defined() && in.ids.is_cpu() && in.mask.defined() && in.mask.dim() == 2 && in.ids.numel() > 0 &&
         !want.tokens && !want.layers && !want.dropout && want.at.defined() != (want.pooling != Pooling::none);
}

ForwardOutput forward_in_parts(const Model& model, Weights weights, const ForwardInput& in,
                               const ForwardRequest& want) {
  const auto items = in.ids.size(0), time = in.ids.size(1);
  const auto lengths = lengths_of(in.mask);
  const auto tokens = part_tokens(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  const auto parts = parts_of(lengths, tokens, time);
  std::vector<Wanted> wanted(parts.size());
  if (want.at.defined()) wanted = wanted_of(parts, want.at.cpu(), items, time);
  std::vector<at::Tensor> rows(parts.size());
  for_each_part(parts.size(), [&](std::size_t p) {
    auto own = want;
    if (want.at.defined()) own.at = tensor_of(wanted[p].at);
    const auto of = tensor_of(parts[p].rows);
    const auto cut = [&](const at::Tensor& all) {
      return all.defined() ? all.narrow(1, 0, parts[p].time).index_select(0, of) : all;
    };
    const auto out =
        model.forward(weights, {.ids = cut(in.ids), .mask = cut(in.mask), .segments = cut(in.segments)}, own);
    rows[p] = want.at.defined() ? out.picked : out.pooled;
  });
  std::vector<std::int64_t> places;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const auto& own = want.at.defined() ? wanted[p].place : parts[p].rows;
    places.insert(places.end(), own.begin(), own.end());
  }
  const auto all = ops::cat(rows);
  const auto result = all.new_empty(all.sizes()).index_copy_(0, tensor_of(places), all);
  ForwardOutput out;
  (want.at.defined() ? out.picked : out.pooled) = result;
  return out;
}

}  // namespace xp
