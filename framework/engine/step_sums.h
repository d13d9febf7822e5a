#pragma once
// What one logical batch adds up to, over its micro-batches and over the processes that share it.
#include <map>
#include <string>
#include <vector>

#include "api/callback.h"
#include "api/objective.h"
#include "engine/processes.h"

namespace xp {

struct StepSums {
  /// `sources`: of the stage's data, for losses by source; fewer than two: the loss alone.
  explicit StepSums(const Strings& sources);

  std::map<std::string, double> counts;  ///< of the whole logical batch, before any pass
  std::map<std::string, double> terms, metrics, metric_counts;
  std::map<std::string, double> source_counts;  ///< by term and source
  std::map<std::string, double> source_loss;    ///< sum over terms of weight * term / count, of a source's items
  double loss = 0, flops = 0;

  void count(const Objective& objective, const std::vector<Batch>& micro, Processes& processes);
  /// Adds a pass. Returns what backward starts from: the sum of weight * term / count; undefined if nothing moves.
  /// Throws Error for a term that was not counted.
  at::Tensor add(const StepResult& result, const Batch& batch, const std::string& objective);
  /// Sums over the processes; gradients that one process has and another lacks count as zeros there.
  void exchange(Processes& processes, const Parameters& all, const std::vector<Param>& distinct);

  void report(StepReport& out) const;
  double supervised() const;  ///< what all terms count: a token that two of them predict counts twice
};

/// A point of each curve of a training stage. `split`: the data that it is the loss of.
void record_step(Recorder& recorder, const StepReport& report, const Counters& at,
                 const std::map<std::string, double>& knobs, const std::string& split);

}  // namespace xp
