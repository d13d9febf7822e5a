// Batches for the fixture, and what tests compare.
#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/torch_fixture.h"

namespace xp::testing {

Batch collate(const std::vector<Example>& items, const std::vector<FieldSpec>& specs) {
  const auto n = std::ssize(items);
  Batch batch;
  batch.sample_id = ops::empty({n}, at::kLong), batch.group_id = ops::empty({n}, at::kLong);
  Strings sources;
  std::map<std::string, std::int64_t> longest;
  for (const auto& spec : specs)
    for (const auto& item : items)
      longest[spec.axis] = std::max(longest[spec.axis], std::ssize(item.ints(spec.name).data));
  for (const auto& spec : specs) {
    const auto time = spec.axis.empty() ? 1 : longest[spec.axis];
    auto column = ops::full({n, time}, spec.pad, at::kLong), mask = ops::zeros({n, time}, at::kBool);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto& data = items[static_cast<std::size_t>(i)].ints(spec.name).data;
      std::copy(data.begin(), data.end(), column.mutable_data_ptr<std::int64_t>() + i * time);
      std::fill_n(mask.mutable_data_ptr<bool>() + i * time, data.size(), true);
    }
    batch.set(spec.name, spec.axis.empty() ? column.squeeze(1) : column);
    if (!spec.axis.empty()) batch.set(spec.axis + ".mask", mask);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& item = items[static_cast<std::size_t>(i)];
    batch.sample_id[i] = item.sample_id, batch.group_id[i] = item.group_id;
    sources.push_back(item.source);
  }
  batch.set("source", std::move(sources));
  return batch;
}

std::vector<std::vector<Example>> random_texts(const FixtureSpec& spec, int groups, int members, std::uint64_t seed,
                                               int length) {
  std::vector<std::vector<Example>> all;
  for (int g = 0; g < groups; ++g) {
    auto random = RandomStreams(seed).stream(0, static_cast<std::uint64_t>(g));
    auto& group = all.emplace_back();
    for (int m = 0; m < members; ++m) {
      Example item{g * members + m, g, g % 2 ? "odd" : "even"};
      Ints ids;
      for (auto n = length ? length : 6 + random.below(14); n > 0; --n)
        ids.data.push_back(spec.first_text + random.below(spec.vocab - spec.first_text));
      item.fields["ids"] = std::move(ids);
      group.push_back(std::move(item));
    }
  }
  return all;
}

std::vector<Batch> split(const Batch& batch, std::int64_t size) {
  std::vector<Batch> parts;
  for (std::int64_t at = 0; at < batch.items(); at += size)
    parts.push_back(batch.select(ops::arange(at, std::min(at + size, batch.items()))));
  return parts;
}

std::vector<at::Tensor> gradients(Fixture& fixture) {
  std::vector<at::Tensor> all;
  for (const auto& x : fixture.all().values)
    all.push_back(x.grad().defined() ? x.grad().clone() : x.new_zeros(x.sizes()));
  return all;
}

double largest_difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst =
        std::max(worst, (a[i] - b[i]).abs().max().item<double>() / std::max(1.0, a[i].abs().max().item<double>()));
  return worst;
}

double gradient_error(Fixture& fixture, const Batch& batch, int samples) {
  fixture.accumulate({batch});
  const auto exact = gradients(fixture);
  const at::NoGradGuard quiet;
  const double h = 1e-5;
  double worst = 0;
  auto& all = fixture.all();
  for (const auto p : all.distinct()) {
    auto flat = all.values[p].detach().view({-1});
    const auto n = flat.numel();
    for (int k = 0; k < samples; ++k) {
      const auto i = (n * (2 * k + 1)) / (2 * samples);
      const double at = flat[i].item<double>();
      const auto loss = [&](double x) { return flat[i] = x, fixture.accumulate({batch}); };
      const double slope = (loss(at + h) - loss(at - h)) / (2 * h);
      flat[i] = at;
      const double known = exact[p].view({-1})[i].item<double>();
      worst = std::max(worst, std::abs(slope - known) / std::max(1.0, std::abs(known)));
    }
  }
  return worst;
}

}  // namespace xp::testing
