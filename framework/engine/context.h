#pragma once
// What one stage may do with LibTorch.
#include <map>
#include <memory>
#include <string>

#include "api/stage.h"
#include "engine/data_pool.h"
#include "engine/fingerprints.h"
#include "engine/processes.h"
#include "engine/references.h"
#include "engine/session.h"
#include "graph/document_run.h"

namespace xp {

class OwnedHandle;

class StageRun final : public DocumentRun, public StageContext {
 public:
  StageRun(const RunShared& shared, Processes& processes, const PlanNode& node, std::filesystem::path work,
           JournalRecorder& recorder);
  ~StageRun() override;

  Checkpoint checkpoint(const Reference& artifact) override;
  Checkpoint fresh(const ModelSpec& spec, const Reference* tokenizer) override;
  State state(const Reference& artifact) override;
  std::shared_ptr<const DataSource> documents(const Reference& dataset) override;
  using DocumentRun::save;
  void save(const Checkpoint& checkpoint, const Reference* tokenizer_from, std::string_view output) override;
  void save(const State& state, std::string_view output) override;
  void train(TrainRequest request) override;
  std::unique_ptr<Handle> handle(const Reference& checkpoint, View view) override;
  void evaluate(Handle& subject, std::vector<NamedEvaluator>& evaluators, std::string_view view) override;

  /// Trains as one of the processes that follow the first: with its training state, and without outputs.
  void follow(std::filesystem::path training) { training_ = std::move(training), announced_ = true; }

 private:
  std::shared_ptr<const Encoder> foreign_tokenizer(const Reference& artifact) override;
  const State& artifact(std::string_view name);
  std::unique_ptr<OwnedHandle> subject(const Reference& reference, View view);
  FrozenModel open(const Reference& reference);
  FingerprintSink fingerprints();
  at::Device device() const;

  Processes& processes_;
  std::filesystem::path training_;
  bool announced_ = false;  ///< the other processes know that this stage trains
  DataPool pool_;
  std::map<std::string, State, std::less<>> artifacts_;
};

}  // namespace xp
