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
  std::map<std::string, double> counts;  ///< of the whole logical batch, before any pass
  std::map<std::string, double> terms, metrics, metric_counts;
  double loss = 0, flops = 0;

  void count(const Objective& objective, const std::vector<Batch>& micro, Processes& processes);
  /// Adds a pass. Returns what backward starts from: the sum of weight * term / count; undefined if nothing moves.
  /// Throws Error for a term that was not counted.
  at::Tensor add(const StepResult& result, const std::string& objective);
  /// Sums over the processes; gradients that one process has and another lacks count as zeros there.
  void exchange(Processes& processes, const Parameters& all, const std::vector<Param>& distinct);

  void report(StepReport& out) const;
};

}  // namespace xp
