#pragma once
// What one stage may do: reads its inputs from the cache, writes its outputs into its work folder.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/stage.h"
#include "engine/data_pool.h"
#include "engine/fingerprints.h"
#include "engine/processes.h"
#include "engine/references.h"
#include "engine/session.h"
#include "engine/state_retention.h"
#include "recipe/plan.h"
#include "results/cache.h"
#include "results/journal.h"

namespace xp {

class OwnedHandle;

/// What all stages of a run share.
struct RunShared {
  const Plan& plan;
  const Registry& registry;
  Cache& cache;
  const std::atomic<int>& stop;  ///< signal number, 0: go on
  Processes& processes;
  std::function<void(const std::string& node, double share, const std::string& what)> progress;
  std::string rest_at = {};  ///< a stage that stops, with a training state, when `rest_share` of it is done
  double rest_share = 0;
  double checkpoint_seconds = 60;  ///< between two training states
  StateRetention keep_states = {};
  std::function<void(const std::string& node, double share, const std::string& from)> goes_on = {};
};

class StageRun final : public StageContext {
 public:
  StageRun(const RunShared& shared, const PlanNode& node, std::filesystem::path work, JournalRecorder& recorder);
  ~StageRun() override;

  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return recorder_; }
  const PartMaker& parts() const override { return shared_.registry; }
  std::filesystem::path input(const Reference& artifact) const override;
  std::filesystem::path output(std::string_view name) override;
  Checkpoint checkpoint(const Reference& artifact) override;
  std::shared_ptr<const Encoder> tokenizer(const Reference& artifact) override;
  Checkpoint fresh(const ModelSpec& spec, const Reference* tokenizer) override;
  State state(const Reference& artifact) override;
  std::shared_ptr<const DataSource> documents(const Reference& dataset) override;
  void save(const Checkpoint& checkpoint, const Reference* tokenizer_from, std::string_view output) override;
  void save(const Encoder& encoder, const Tokenizer& made_by, std::string_view output) override;
  void save(const State& state, std::string_view output) override;
  std::filesystem::path shared(std::string_view name, const std::string& what,
                               const std::function<void(const std::filesystem::path&)>& make) override;
  void train(TrainRequest request) override;
  std::unique_ptr<Handle> handle(const Reference& checkpoint, View view) override;
  void evaluate(Handle& subject, std::vector<NamedEvaluator>& evaluators, std::string_view view) override;
  void progress(double done, double total, std::string_view what) override;
  int threads() const override;

  /// Trains as one of the processes that follow the first: with its training state, and without outputs.
  void follow(std::filesystem::path training) { training_ = std::move(training), announced_ = true; }

  /// Throws Error if a declared output was not written.
  void check_outputs() const;

 private:
  const State& artifact(std::string_view name);
  std::unique_ptr<OwnedHandle> subject(const Reference& reference, View view);
  FrozenModel open(const Reference& reference);
  FingerprintSink fingerprints();
  at::Device device() const;

  RunShared shared_;
  const PlanNode& node_;
  std::filesystem::path work_, training_;
  bool announced_ = false;  ///< the other processes know that this stage trains
  JournalRecorder& recorder_;
  RandomStreams random_;
  DataPool pool_;
  std::set<std::string> written_;
  std::map<std::string, State, std::less<>> artifacts_;
  std::map<std::string, std::shared_ptr<const Encoder>> encoders_;
};

/// Threads that a plan gives one stage.
int stage_threads(const Plan& plan);

}  // namespace xp
