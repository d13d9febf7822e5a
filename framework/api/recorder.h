#pragma once
// Where numbers go: curves with counters, final values, per-item outputs, ledgers.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// Counters since the start of the stage; they stand beside every point of every curve.
struct Counters {
  std::int64_t steps = 0;
  std::int64_t input_tokens = 0;       ///< without padding
  std::int64_t supervised_tokens = 0;  ///< that carry a loss
  std::int64_t items = 0;
  std::int64_t bytes = 0;  ///< of text read
  double epochs = 0;
  double flops = 0;            ///< executed
  double flops_effective = 0;  ///< zeros of constrained weights not counted
  double seconds = 0;          ///< of training, without evaluation and waits for a core
  double memory = 0;           ///< peak resident bytes
};

/// What a number is, so that unlike numbers never meet in a table.
struct MetricSignature {
  std::string unit = {};       ///< "bits/byte", "nats/token", "share", ...
  std::string tokenizer = {};  ///< digest, for per-token units; empty: does not depend on it
  std::string split = {};      ///< "multilingual:test"
  std::string version = {};    ///< of the evaluator's definition: "1"
  bool operator==(const MetricSignature&) const = default;
};

class XP_API Recorder {
 public:
  virtual ~Recorder();
  /// A point of a curve ("loss", "bits_per_byte.bits") at the given counters.
  virtual void point(std::string_view curve, double value, const Counters& at, const MetricSignature& what = {}) = 0;
  /// A final value of the stage ("retrieval.top10", "leak_bound").
  virtual void metric(std::string_view name, double value, const MetricSignature& what = {}) = 0;
  /// Per-example output: the result file keeps it, so paired tests can be redone.
  virtual void item(std::string_view table, std::string_view id, std::string_view column, double value) = 0;
  /// One row of a ledger: what was decided for a token, a document, and why. `columns` are the same for each row.
  virtual void ledger(std::string_view table, const std::vector<std::string>& columns,
                      const std::vector<std::string>& row) = 0;
  virtual void counters(const Counters& final) = 0;
  virtual void note(std::string_view text) = 0;  ///< a line for people, kept in the record
};

}  // namespace xp
