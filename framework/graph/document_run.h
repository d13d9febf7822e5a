#pragma once
// What a stage may do without LibTorch: reads its inputs from the cache, writes its outputs into its work folder.
#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/document_stage.h"
#include "graph/graph.h"

namespace xp {

class XP_API DocumentRun : public virtual DocumentContext {
 public:
  DocumentRun(const RunShared& shared, const PlanNode& node, std::filesystem::path work, JournalRecorder& recorder);
  ~DocumentRun() override;

  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return recorder_; }
  const PartMaker& parts() const override { return shared_.registry; }
  std::filesystem::path input(const Reference& artifact) const override;
  std::filesystem::path output(std::string_view name) override;
  std::shared_ptr<const Encoder> tokenizer(const Reference& artifact) override;
  std::shared_ptr<const DataSource> documents(const Reference& dataset) override;
  void save(const Encoder& encoder, const Tokenizer& made_by, std::string_view output) override;
  std::filesystem::path shared(std::string_view name, const std::string& what,
                               const std::function<void(const std::filesystem::path&)>& make) override;
  void progress(double done, double total, std::string_view what) override;
  int threads() const override { return stage_threads(shared_.plan); }

  /// Throws Error if a declared output was not written.
  void check_outputs() const;

 protected:
  /// A tokenizer that no component here made, from outside; null if there is none.
  virtual std::shared_ptr<const Encoder> foreign_tokenizer(const Reference& artifact);

  RunShared shared_;
  const PlanNode& node_;
  std::filesystem::path work_;
  JournalRecorder& recorder_;
  RandomStreams random_;

 private:
  std::set<std::string> written_;
  std::map<std::string, std::shared_ptr<const Encoder>> encoders_;
};

}  // namespace xp
