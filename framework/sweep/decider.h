#pragma once
// What a worker does next: takes what is open, promotes, proposes, waits. Every decision goes through the journal.
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "plugin/registry.h"
#include "sweep/book.h"
#include "sweep/rules.h"
#include "sweep/trials.h"
#include "sweep/worker_file.h"

namespace xp::sweep {

/// What to do now.
struct Step {
  enum class What : std::uint8_t { run, wait, end };
  What what = What::wait;
  TrialState trial = {};                  ///< a copy of the one to run
  std::optional<std::int64_t> rung = {};  ///< run it to this rung; nothing: to its end
};

/// How a run ended.
struct Outcome {
  enum class End : std::uint8_t { done, rung, failed, given_back };
  End end = End::done;
  double value = 0;          ///< goal or the rung's metric, as the recipe means it
  std::string failure = {};  ///< class of a failure
  std::string why = {};      ///< of a failure, or why it was given back
  std::string file = {};     ///< result, in the sweep's folder
  double seconds = 0;
};

class XP_API Decider {
 public:
  /// `registry` holds the components that the rules name. `proposes`: this process may ask a search that is outside.
  Decider(std::filesystem::path folder, Rules rules, const Registry& registry, bool proposes);
  ~Decider();

  /// Takes the next step for a worker; `wait`: nothing is open now, but others work. Throws Error.
  Step next(const std::string& worker);
  /// Writes down how a step of next() ended. False if it was given to another worker meanwhile, and nothing was
  /// written.
  bool finish(const std::string& worker, const Step& step, const Outcome& outcome);
  /// Replays the journal with fresh searches; returns how many decisions it holds. Throws Error (Exit::verdict) at
  /// the first that comes out otherwise.
  std::size_t replay();

  /// For a search that is outside: proposes until `open` trials wait for a worker. False once it proposes no more.
  bool feed(std::size_t open);
  /// Opens failed trials again; returns how many.
  std::size_t reopen_failed();

  /// As the journal has it now.
  const Trials& look();
  const Rules& rules() const { return rules_; }
  /// Where rungs lie; empty: nothing is pruned.
  const PruneRule& prune_rule() const { return prune_; }
  /// Called for each event that this process reads or writes.
  std::function<void(const Event&, const TrialState&)> watch;

 private:
  struct Study;
  void reset();
  void catch_up();
  void take_in(const Event& event, bool own);
  void write(Event event);
  void give_back_lost();
  std::optional<Step> open_trial(const std::string& worker);
  std::optional<Step> started(const std::string& worker, const TrialState& trial);
  bool promote();
  bool asks(const Study& study) const;
  bool propose();
  bool release();

  std::filesystem::path folder_;
  Rules rules_;
  const Registry& registry_;
  bool proposes_;
  PruneRule prune_;
  Book book_;
  std::unique_ptr<Trials> trials_;
  std::vector<std::unique_ptr<Study>> studies_;
  std::chrono::steady_clock::time_point looked_ = {};
};

}  // namespace xp::sweep
