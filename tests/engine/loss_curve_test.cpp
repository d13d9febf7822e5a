// The loss curve against PyTorch's: tools/parity/loss_curve.py trains a model written there on the same weights and
// batches. `[.peer]` writes them for it.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "api/ops.h"
#include "api/state.h"
#include "base/digest.h"
#include "engine/artifacts.h"
#include "training.h"

namespace xp::engine_test {
namespace {

constexpr int kCurveSteps = 50;

/// Hands on to masked language modelling; keeps the weights before the first step and every batch.
class Witness final : public Objective {
 public:
  explicit Witness(State& seen)
      : seen_(seen), of_(testing::registry().make<Objective>(Table{{"type", "mlm"}, {"mask_rate", 0.2}})) {}
  void build(BuildContext& context) override { of_->build(context); }
  std::unique_ptr<Transform> input_transform() override { return of_->input_transform(); }
  Counts counts(const Batch& batch) const override { return of_->counts(batch); }
  StepResult step(const Batch& batch, StepContext& context) override {
    if (context.step() == 0) {
      const auto& all = context.parameters("primary");
      for (const Param i : all.distinct()) keep("weight." + all.info[i].name, all.values[i]);
    }
    for (const char* field : {"masked_ids", "labels", "input.mask"})
      keep("step." + std::to_string(context.step()) + "." + field, batch.dense(field));
    return of_->step(batch, context);
  }

 private:
  void keep(const std::string& name, const at::Tensor& x) { seen_.set(name, x.detach().clone()); }
  State& seen_;
  std::unique_ptr<Objective> of_;
};

/// Trains kCurveSteps steps of an encoder as BERT has it; returns the losses.
std::vector<double> trained(State& seen) {
  Stage stage(letters(60, 40));
  auto request = stage.request(std::to_string(kCurveSteps) + " steps", {{"type", "mlm"}},
                               {{"kind", "encoder"},
                                {"layers", 2},
                                {"width", 32},
                                {"heads", 4},
                                {"max_time", 64},
                                {"norm_position", "post"},
                                {"embedding_norm", true},
                                {"head", "mlm"}});
  request.objective = std::make_unique<Witness>(seen);
  request.optimizer =
      testing::registry().make<Optimizer>(Table{{"type", "adamw"}, {"lr", 3e-3}, {"weight_decay", 0.1}});
  request.batch.items = 8;
  request.clip = 1;
  stage.run(std::move(request));
  return stage.notes.values("loss");
}

/// Of the batches alone: another processor's weights differ in their last bits.
std::string digest_of(const State& seen) {
  std::string bytes;
  for (const auto& name : seen.tensor_names()) {
    if (!name.starts_with("step.")) continue;
    const auto x = seen.tensor(name).contiguous();
    bytes += name;
    bytes.append(static_cast<const char*>(x.const_data_ptr()), x.nbytes());
  }
  return sha256(bytes);
}

}  // namespace

TEST_CASE("50 steps of masked language modelling lose what PyTorch loses on the same weights and batches") {
  State seen;
  const auto loss = trained(seen);
  std::ifstream in(std::filesystem::path(XP_SOURCE_DIR) / "tests/golden/training/loss_curve.json");
  const auto golden = nlohmann::json::parse(in);
  INFO("the batches changed: run tools/parity/loss_curve.py again");
  REQUIRE(digest_of(seen) == golden["digest"]);
  REQUIRE(loss.size() == kCurveSteps);
  REQUIRE(golden["loss"].size() == kCurveSteps);
  for (int i = 0; i < kCurveSteps; ++i)
    CHECK(loss[static_cast<std::size_t>(i)] ==
          Catch::Approx(golden["loss"][i].get<double>()).margin(1e-4).epsilon(0));
  CHECK(loss.back() < 0.9 * loss.front());
}

TEST_CASE("weights and batches for tools/parity/loss_curve.py", "[.peer]") {
  const char* folder = std::getenv("XP_PARITY");
  REQUIRE(folder);
  State seen;
  trained(seen);
  save_state(folder, seen, "seen");
  std::ofstream(std::filesystem::path(folder) / "digest") << digest_of(seen);
}

}  // namespace xp::engine_test
