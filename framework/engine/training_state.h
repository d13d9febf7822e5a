#pragma once
// What a killed or stopped training stage goes on from.
#include <filesystem>
#include <optional>

#include "api/recorder.h"
#include "api/state.h"
#include "api/transform.h"
#include "engine/loader.h"

namespace xp {

struct TrainingState {
  Counters counters;
  LoaderPosition position;
  std::int64_t skipped = 0, evaluations = 0, evaluations_due = 0, checkpoints_due = 0, last_evaluated_step = -1;
  std::optional<double> best;

  void save(State& out) const;
  void load(const State& in);
};

/// Hands the transform what it subscribed to and is due before this step; what it took is removed.
void deliver(std::vector<Feedback>& messages, Transform& transform, std::int64_t step);
void save_feedback(const std::vector<Feedback>& messages, State& out);
std::vector<Feedback> load_feedback(const State& in);

/// Written as <work>/training.<step>/ under a temporary name and renamed; older ones are removed then.
void write_training_state(const std::filesystem::path& work, std::int64_t step, const State& state);
/// The newest that reads back; unreadable ones are removed with a warning, and what a kill left half written without
/// one. Nothing if there is none.
std::optional<State> read_training_state(const std::filesystem::path& work);

}  // namespace xp
