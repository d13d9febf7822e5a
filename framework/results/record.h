#pragma once
// What one stage left behind: curves, final values, items, ledgers. Kept with its artifact in the cache, folded into
// every result file whose run used the stage.
#include <map>
#include <string>
#include <vector>

#include "api/recorder.h"

namespace xp {

struct CurvePoint {
  Counters at;
  double value = 0;
};
struct Curve {
  MetricSignature what;
  std::vector<CurvePoint> points;  ///< in the order recorded, steps not falling
};
struct FinalValue {
  double value = 0;
  MetricSignature what;
};
struct ItemTable {
  std::vector<std::string> ids;                        ///< in the order first seen
  std::map<std::string, std::vector<double>> columns;  ///< NaN where an id has no value
};
struct LedgerTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// What training read and held after a step, as 64-bit hashes: equal runs have equal ones.
struct BatchFingerprint {
  std::int64_t step = 0;
  std::uint64_t hash = 0;  ///< of ids and content of the batch that the step took
  bool operator==(const BatchFingerprint&) const = default;
};
struct WeightFingerprint {
  std::int64_t step = 0;
  std::string tensor;
  std::uint64_t hash = 0;
  bool operator==(const WeightFingerprint&) const = default;
};

/// The beginning of a ledger, which may have a row for each token of a vocabulary.
struct LedgerHead {
  LedgerTable first;
  std::size_t rows = 0;  ///< of the whole ledger
};

struct StageRecord {
  std::map<std::string, Curve> curves;
  std::map<std::string, FinalValue> finals;
  std::map<std::string, ItemTable> items;
  std::map<std::string, LedgerTable> ledgers;
  std::vector<BatchFingerprint> batches;   ///< of every step, ascending
  std::vector<WeightFingerprint> weights;  ///< of few steps, ascending; of one step all tensors in the model's order
  Counters counters;
  std::vector<std::string> notes;
};

}  // namespace xp
