#pragma once
// Where each trial of a sweep stands, from its journal alone.
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "sweep/event.h"

namespace xp::sweep {

struct XP_API TrialState {
  enum class Phase : std::uint8_t { open, running, resting, done, failed, pruned };
  std::string arm;
  std::int64_t number = 0;
  Table values;
  Phase phase = Phase::open;
  std::int64_t passed = 0;  ///< rungs that it may run beyond
  bool to_end = false;      ///< no rung holds it any more
  std::string by;           ///< worker at it
  std::string file;         ///< of a finished one: its result, in the sweep's folder
  std::string why;          ///< of a failed one
  double goal = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> rungs = {};                     ///< values where it rested
  std::map<std::string, std::int64_t> failures = {};  ///< by class
  std::int64_t lost = 0;                              ///< attempts that ended with their worker
  double seconds = 0;                                 ///< of all attempts

  std::string name() const;  ///< "rtd-0003", also of its files
  bool ended() const { return phase == Phase::done || phase == Phase::failed || phase == Phase::pruned; }
};

XP_API std::string_view phase_name(TrialState::Phase phase);

class XP_API Trials {
 public:
  /// `retries` by failure class say whether a failed trial is open again.
  explicit Trials(std::map<std::string, std::int64_t> retries) : retries_(std::move(retries)) {}

  /// Throws Error (Exit::data) if the event cannot follow what was before.
  TrialState& apply(const Event& event);
  /// True if a failure of this class would be its last.
  bool gives_up(const TrialState& trial, const std::string& failure) const;

  const std::deque<TrialState>& all() const { return all_; }  ///< in the order proposed
  TrialState* find(const std::string& arm, std::int64_t number);
  std::size_t count(TrialState::Phase phase) const;
  double seconds() const { return seconds_; }  ///< of all attempts

 private:
  TrialState& known(const Event& event);
  std::map<std::string, std::int64_t> retries_;
  std::deque<TrialState> all_;
  std::map<std::pair<std::string, std::int64_t>, TrialState*> by_name_;
  std::map<TrialState::Phase, std::size_t> counts_;
  double seconds_ = 0;
};

/// "3 done, 1 running"; of all arms without one. Empty: there is no trial.
XP_API std::string counts_text(const Trials& trials, std::string_view arm = {});

/// Finished trials of an arm, the best first; equal goals by number. NaN goals stand last.
XP_API std::vector<const TrialState*> ranking(const Trials& trials, const std::string& arm, bool higher);

}  // namespace xp::sweep
