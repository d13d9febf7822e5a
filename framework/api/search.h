#pragma once
// Sweeps: who proposes trials, who says which of them may spend more, and who starts workers.
#include <atomic>
#include <filesystem>
#include <optional>

#include "base/random.h"
#include "schema/component.h"

namespace xp {

/// An axis is asked only where another one of the trial has one of these values.
struct SearchCondition {
  std::string key;
  std::vector<Value> values;
};

/// One axis as the recipe writes it: a list, or a range.
struct SearchAxis {
  std::string key;
  std::vector<Value> values = {};
  double low = 0, high = 0;  ///< where there are no values
  bool logarithmic = false, whole = false;
  std::string zip = {};  ///< axes of one name advance together; empty: on its own
  std::vector<SearchCondition> when = {};
};

/// What one study searches: the axes of one arm, conditions' axes first.
struct SearchSpace {
  std::string arm;
  std::vector<SearchAxis> axes;
  bool higher = false;  ///< how the recipe means its goal; told goals are turned so that smaller is better
  RandomStreams random{0};
};

struct Trial {
  std::int64_t number = 0;              ///< from 0, rising by 1
  std::map<std::string, Value> values;  ///< axis key -> value; keys that are not asked are missing
};

struct TrialResult {
  std::int64_t number = 0;
  double goal = 0;      ///< smaller is better; meaningless unless `done`
  bool done = false;    ///< false: failed or pruned
  double progress = 1;  ///< share of the budget that was spent
};

/// "search". Deterministic: equal streams and equal sequences of calls give equal proposals, so a journal replays. A
/// field `trials` may grow between calls of one sweep; any other change makes it another sweep.
class XP_API Search : public Component {
 public:
  static constexpr const char* kInterface = "search";
  ~Search() override;
  /// Throws Error (Exit::usage) for axes that it cannot search.
  virtual void start(SearchSpace space) = 0;
  virtual std::optional<Trial> propose() = 0;  ///< nothing: no more trials, or none before another result is told
  virtual void tell(const TrialResult& result) = 0;
  virtual bool finished() const = 0;  ///< propose() will give nothing more, whatever is told
  /// Takes a trial of the journal in place of propose(). By default it proposes and throws Error (Exit::verdict)
  /// saying what differs.
  virtual void adopt(const Trial& trial);
  /// True if only the process that began the sweep may propose, since what proposes is outside.
  virtual bool outside() const { return false; }
};

/// Which trials are watched on their way, and where.
struct PruneRule {
  std::string metric;         ///< a curve of one training stage: "pretrain.loss"
  bool higher = false;        ///< which values are better
  std::vector<double> rungs;  ///< shares of that stage's budget within (0, 1), rising
};

/// "pruner". Trials rest at each rung until they are promoted. Deterministic, as Search.
class XP_API Pruner : public Component {
 public:
  static constexpr const char* kInterface = "pruner";
  ~Pruner() override;
  virtual PruneRule rule() const = 0;
  /// A trial reached a rung with this value; smaller is better.
  virtual void tell(std::int64_t trial, std::size_t rung, double value) = 0;
  /// The next trial that may leave the rung where it rests; nothing: none before another is told.
  virtual std::optional<std::int64_t> promote() = 0;
};

struct LaunchRequest {
  std::vector<std::string> command;  ///< of one worker
  std::filesystem::path logs;        ///< folder for what workers print; it exists
  std::string name;                  ///< of the sweep
};

/// "launcher": starts copies of a command that share nothing but the results folder, and waits until all ended.
class XP_API Launcher : public Component {
 public:
  static constexpr const char* kInterface = "launcher";
  ~Launcher() override;
  virtual std::int64_t workers() const = 0;
  /// Once `stop` is true it asks the copies to end (SIGTERM; they leave checkpoints) and returns when they have.
  /// Throws Error if none can be started or all end by themselves with another exit code than 0.
  virtual void launch(const LaunchRequest& request, const std::atomic<bool>& stop) = 0;
};

}  // namespace xp
