// Log-likelihoods under models whose encoder reads what the decoder answers.
#include <algorithm>

#include "api/ops.h"
#include "engine/head_losses.h"
#include "engine/passes.h"
#include "engine/scoring.h"
#include "kit/tensors.h"

namespace xp {
namespace {

using Row = std::vector<std::int64_t>;

struct Answer {
  Row source, target;
};

/// What the encoder and the decoder of each item read.
std::vector<Answer> answers_of(const at::Tensor& ids, const at::Tensor& mask, const at::Tensor& scored) {
  const auto all = ids.cpu().contiguous(), there = mask.cpu().contiguous(), marks = scored.cpu().contiguous();
  const auto time = all.size(1);
  std::vector<Answer> out(static_cast<std::size_t>(all.size(0)));
  for (std::int64_t i = 0; i < all.size(0); ++i)
    for (auto at = i * time; at < (i + 1) * time; ++at) {
      if (!there.const_data_ptr<bool>()[at]) continue;
      auto& one = out[static_cast<std::size_t>(i)];
      // The first token of an input is no target for any model.
      const bool target = marks.const_data_ptr<bool>()[at] && at > i * time;
      (target ? one.target : one.source).push_back(all.const_data_ptr<std::int64_t>()[at]);
    }
  for (std::size_t i = 0; i < out.size(); ++i)
    if (out[i].source.empty() && !out[i].target.empty())
      throw Error("item " + std::to_string(i) + " of a batch has tokens to score and none for the encoder to read");
  return out;
}

/// Rows padded with 0 at their ends, [rows, longest], and which places are there.
std::pair<at::Tensor, at::Tensor> padded(const std::vector<Row>& rows) {
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  const auto n = std::ssize(rows), time = static_cast<std::int64_t>(longest);
  const auto ids = ops::zeros({n, time}, at::kLong), mask = ops::full({n, time}, false, at::kBool);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& row = rows[static_cast<std::size_t>(i)];
    std::copy(row.begin(), row.end(), ids.mutable_data_ptr<std::int64_t>() + i * time);
    std::fill_n(mask.mutable_data_ptr<bool>() + i * time, row.size(), true);
  }
  return {ids, mask};
}

/// The losses of all targets of some answers, one behind the other: [tokens] float64 on the CPU.
at::Tensor losses(const Model& model, Weights weights, const View& view, const std::vector<const Answer*>& answers,
                  std::int64_t start, at::Device device) {
  std::vector<Row> sources, behind;
  Row labels, at;
  std::int64_t longest = 0;
  for (const auto* one : answers) longest = std::max(longest, std::ssize(one->target));
  for (const auto* one : answers) {
    sources.push_back(one->source);
    behind.push_back({start});
    behind.back().insert(behind.back().end(), one->target.begin(), one->target.end() - 1);
    for (std::size_t t = 0; t < one->target.size(); ++t)
      at.push_back((std::ssize(behind) - 1) * longest + static_cast<std::int64_t>(t));
    labels.insert(labels.end(), one->target.begin(), one->target.end());
  }
  const auto [source, source_mask] = padded(sources);
  const auto [target, target_mask] = padded(behind);
  const auto seen = source_mask.to(device);
  const auto memory =
      model.forward(weights, {.ids = source.to(device), .mask = seen}, {.tokens = true, .view = view}).tokens;
  const ForwardInput in{.ids = target.to(device),
                        .mask = target_mask.to(device),
                        .causal = true,
                        .memory = memory,
                        .memory_mask = seen};
  const auto hidden = model.forward(weights, in, {.at = tensor_of(at).to(device), .view = view}).picked;
  const auto gold = tensor_of(labels).to(device);
  return head_losses(model, weights, hidden, gold);
}

}  // namespace

std::vector<Score> score_answers(const Model& model, Weights weights, const View& view, const at::Tensor& ids,
                                 const at::Tensor& mask, const at::Tensor& scored, std::int64_t start) {
  const auto answers = answers_of(ids, mask, scored);
  std::vector<Score> out(answers.size());
  std::vector<std::int64_t> items, lengths;
  std::int64_t all = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].target.empty()) continue;
    items.push_back(static_cast<std::int64_t>(i));
    lengths.push_back(std::ssize(answers[i].source) + std::ssize(answers[i].target));
    all += lengths.back();
  }
  const auto parts = parts_of(lengths, part_tokens(all), all);
  const auto run = [&](std::size_t p) {
    std::vector<const Answer*> some;
    for (const auto row : parts[p].rows)
      some.push_back(&answers[static_cast<std::size_t>(items[static_cast<std::size_t>(row)])]);
    const auto nats = losses(model, weights, view, some, start, ids.device());
    const auto* next = nats.const_data_ptr<double>();
    for (const auto row : parts[p].rows) {
      auto& score = out[static_cast<std::size_t>(items[static_cast<std::size_t>(row)])];
      score.tokens = std::ssize(answers[static_cast<std::size_t>(items[static_cast<std::size_t>(row)])].target);
      for (std::int64_t t = 0; t < score.tokens; ++t) score.nats += *next++;
    }
  };
  if (ids.device().is_cpu()) {
    for_each_part(parts.size(), run);
  } else {
    for (std::size_t p = 0; p < parts.size(); ++p) run(p);
  }
  return out;
}

}  // namespace xp
