#pragma once
// One training stage without a program around it: a corpus in a folder, one token per byte, a small transformer.
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>

#include "api/optimizer.h"
#include "api/strategy.h"
#include "base/file.h"
#include "engine/trainer.h"
#include "testing/evaluator_fixture.h"

namespace xp::engine_test {

using fixture::PieceEncoder;

/// Points and finals as they were recorded; a rewind voids points as a journal does.
class Notes final : public Recorder {
 public:
  void point(std::string_view curve, double value, const Counters& at, const MetricSignature&) override {
    curves[std::string(curve)].push_back({at, value});
  }
  void metric(std::string_view name, double value, const MetricSignature&) override {
    finals[std::string(name)] = value;
  }
  void item(std::string_view, std::string_view, std::string_view, double) override {}
  void ledger(std::string_view, const std::vector<std::string>&, const std::vector<std::string>&) override {}
  void counters(const Counters& final) override { last = final; }
  void note(std::string_view text) override { notes.emplace_back(text); }
  void rewind(std::int64_t step) {
    for (auto& [name, points] : curves) std::erase_if(points, [&](const auto& p) { return p.first.steps > step; });
    std::erase_if(batches, [&](const auto& one) { return one.first > step; });
    std::erase_if(weights, [&](const auto& one) { return one.first > step; });
  }
  std::vector<double> values(const std::string& curve) const {
    std::vector<double> out;
    if (const auto found = curves.find(curve); found != curves.end())
      for (const auto& [at, value] : found->second) out.push_back(value);
    return out;
  }

  std::map<std::string, std::vector<std::pair<Counters, double>>> curves;
  std::map<std::string, double> finals;
  std::map<std::int64_t, std::uint64_t> batches;                         ///< fingerprint by step
  std::map<std::int64_t, std::map<std::string, std::uint64_t>> weights;  ///< by step and tensor
  Strings notes;
  Counters last;
};

/// Plain gradient descent that keeps the last gradients: differences stay as small as they are.
class Descent final : public Optimizer {
 public:
  explicit Descent(double lr, std::vector<at::Tensor>* kept = nullptr) : lr_(lr), kept_(kept) {}
  OptimizerPolicy policy() const override { return {lr_, 0, 1}; }
  void start(std::vector<ParameterGroup> groups) override { groups_ = std::move(groups); }
  void update(double lr) override;
  std::vector<at::Tensor> state_of(const at::Tensor&) override { return {}; }

 private:
  double lr_;
  std::vector<at::Tensor>* kept_;
  std::vector<ParameterGroup> groups_;
};

/// A corpus with one document per text, and what a stage over it needs.
class Stage {
 public:
  explicit Stage(const std::vector<std::string>& texts);

  /// A new decoder with the objective `causal_lm`, plain descent, 4 items a step.
  TrainRequest request(const std::string& stop, Table objective = {{"type", "causal_lm"}}, Table model = {}) const;
  Trained run(TrainRequest request);

  std::shared_ptr<const Encoder> encoder = std::make_shared<PieceEncoder>(1, 64);
  Reference data;
  Notes notes;
  std::int64_t stop_at = -1;  ///< steps after which the run is asked to stop
  std::function<void()> at_progress;
  at::ScalarType precision = at::kFloat;
  int threads = 1;
  std::uint64_t seed = 1;
  std::filesystem::path work() const { return folder_ / "work"; }
  std::filesystem::path folder(const std::string& artifact) const { return folder_ / artifact; }
  DataPool& pool() { return pool_; }

 private:
  testing::Scratch folder_;
  DataPool pool_{testing::registry(), 1};
};

/// The strategy that recipes have by default.
std::unique_ptr<TrainingStrategy> loop();
/// Texts of letters with lengths from 1 to `longest`; the same for the same seed.
std::vector<std::string> letters(int texts, int longest = 14, std::uint64_t seed = 5);
/// Largest difference of two checkpoints' weights; throws Error if they differ in shape.
double difference(const Checkpoint& a, const Checkpoint& b);

}  // namespace xp::engine_test
