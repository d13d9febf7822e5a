#pragma once
// Data of one stage, read once however many components ask: corpora, tokenized examples, readers for evaluators.
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "api/evaluator.h"
#include "engine/examples.h"

namespace xp {

/// What a stage reads of others; without a function there is nothing of the kind.
struct Artifacts {
  std::function<std::filesystem::path(const Reference&)> folder = {};  ///< of a dataset that a stage made
  std::function<std::shared_ptr<const Encoder>(const Reference&)> tokenizer = {};
};

class DataPool {
 public:
  DataPool(const Registry& registry, int threads, Artifacts artifacts = {})
      : registry_(registry), threads_(threads), artifacts_(std::move(artifacts)) {}

  bool is_text(const Reference& dataset) const;
  /// Whether documents of one group that follow each other are one group of examples: a source says so with
  /// gives("group", members), a dataset that a stage made is of groups if none of its documents is in one by itself.
  bool is_grouped(const Reference& dataset);
  std::shared_ptr<const Corpus> corpus(const Reference& dataset);
  std::shared_ptr<const ExampleSource> examples(const Reference& dataset, std::shared_ptr<const Encoder> encoder,
                                                const CutRule& rule,
                                                const std::map<std::string, Strings>& categories);
  /// Batches of about `tokens` padded tokens, in the split's order.
  std::unique_ptr<BatchReader> read(const Reference& dataset, const ReadRequest& request, std::int64_t model_time,
                                    std::shared_ptr<const Encoder> encoder,
                                    const std::map<std::string, Strings>& categories, std::int64_t tokens = 8192);
  int threads() const { return threads_; }
  const Artifacts& artifacts() const { return artifacts_; }

 private:
  const Registry& registry_;
  int threads_;
  Artifacts artifacts_;
  std::map<std::string, std::shared_ptr<const Corpus>> corpora_;
  std::map<std::string, std::shared_ptr<const ExampleSource>> examples_;
};

/// Readers and documents for evaluators, with metrics going to `recorder` under the evaluator's name.
std::unique_ptr<EvaluationContext> evaluation_context(DataPool& pool, std::int64_t model_time,
                                                      std::shared_ptr<const Encoder> encoder,
                                                      const std::map<std::string, Strings>& categories,
                                                      const RandomStreams& random, Recorder& recorder);

/// Puts "<prefix>." in front of metrics and item tables, and "[view]" behind metrics.
class PrefixRecorder final : public Recorder {
 public:
  PrefixRecorder(Recorder& to, std::string prefix, std::string view)
      : to_(to), prefix_(std::move(prefix)), view_(std::move(view)) {}
  void point(std::string_view curve, double value, const Counters& at, const MetricSignature& what) override {
    to_.point(name(curve), value, at, what);
  }
  void metric(std::string_view metric, double value, const MetricSignature& what) override {
    to_.metric(name(metric), value, what);
  }
  void item(std::string_view table, std::string_view id, std::string_view column, double value) override {
    to_.item(name(table), id, column, value);
  }
  void ledger(std::string_view table, const std::vector<std::string>& columns,
              const std::vector<std::string>& row) override {
    to_.ledger(name(table), columns, row);
  }
  void counters(const Counters& final) override { to_.counters(final); }
  void note(std::string_view text) override { to_.note(prefix_ + ": " + std::string(text)); }

 private:
  std::string name(std::string_view own) const {
    return prefix_ + "." + std::string(own) + (view_.empty() ? "" : "[" + view_ + "]");
  }
  Recorder& to_;
  std::string prefix_, view_;
};

}  // namespace xp
