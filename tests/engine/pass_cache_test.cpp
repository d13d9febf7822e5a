// Batches that are compared as a whole, run in parts.
#include "api/ops.h"
#include "base/file.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace xp::engine_test {
namespace {

/// Pairs of texts of unequal length.
Reference pairs(const testing::Scratch& folder) {
  std::string first, second;
  const auto texts = letters(64);
  for (std::size_t i = 0; i < 32; ++i) {
    const auto key = "k" + std::to_string(i) + "\t";
    first += key + texts[2 * i] + "\n", second += key + texts[2 * i + 1] + "\n";
  }
  write_file(folder / "aa.txt", first), write_file(folder / "bb.txt", second);
  return {.text = "pairs:train",
          .kind = "dataset",
          .split = "train",
          .component = std::make_shared<const Table>(
              Table{{"type", "text_pairs"},
                    {"files", List{(folder / "aa.txt").string(), (folder / "bb.txt").string()}},
                    {"split", Table{{"dev", 0.0}, {"test", 0.0}}}})};
}

struct Compared {
  std::vector<at::Tensor> gradients;
  double flops = 0;
};

Compared compare(Stage& stage, const Reference& data, std::int64_t micro, Table objective) {
  Compared out;
  auto request = stage.request("1 steps", std::move(objective), {{"kind", "encoder"}, {"dropout", 0.2}});
  request.data = {{data, 1}};
  request.batch = {.tokens = 0, .items = 16};
  request.micro_batch = micro;
  request.optimizer = std::make_unique<Descent>(0.1, &out.gradients);
  std::filesystem::remove_all(stage.work());
  out.flops = stage.run(std::move(request)).counters.flops;
  return out;
}

/// Largest difference relative to each tensor's largest entry.
double distance_of(const Compared& a, const Compared& b) {
  double worst = a.gradients.size() == b.gradients.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.gradients.size() && worst < 1; ++i)
    if (a.gradients[i].defined() && b.gradients[i].defined())
      worst = std::max(worst, a.gradients[i].sub(b.gradients[i]).abs().max().item<double>() /
                                  std::max(b.gradients[i].abs().max().item<double>(), 1e-3));
    else if (a.gradients[i].defined() != b.gradients[i].defined())
      worst = 1;
  return worst;
}

}  // namespace

TEST_CASE("a compared batch in parts has the gradients of the whole, dropout included") {
  testing::Scratch folder;
  const auto data = pairs(folder);
  Stage stage(letters(3));
  // The second term reads positions that it picks, and stands in the same sum.
  const List terms{Table{{"type", "in_batch_softmax"}}, Table{{"type", "mlm"}, {"mask_rate", 0.4}}};
  for (const Table& objective : {Table{{"type", "in_batch_softmax"}}, Table{{"type", "sum"}, {"terms", terms}}}) {
    const auto whole = compare(stage, data, 0, objective);
    for (const std::int64_t micro : {1, 5, 16}) {  // 5 cuts pairs: what is compared is all there
      const auto parts = compare(stage, data, micro, objective);
      CHECK(distance_of(parts, whole) < 1e-5);
      CHECK(parts.flops > 1.2 * whole.flops);  // a third of the passes' cost more
      CHECK(parts.flops < 1.4 * whole.flops);
    }
  }
}

}  // namespace xp::engine_test
