#pragma once
// What a killed or stopped training stage goes on from.
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>

#include "api/recorder.h"
#include "api/state.h"
#include "api/transform.h"
#include "engine/loader.h"
#include "graph/state_retention.h"

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

/// Writes training states behind the training, which waits for a copy in memory only.
class StateWriter {
 public:
  /// `records_to_disk` is called when a state is whole, before it counts: its mark has to be there first.
  StateWriter(std::filesystem::path work, std::function<void()> records_to_disk, StateRetention keep = {});
  ~StateWriter();                       ///< waits; a failure is logged
  bool wants(std::int64_t step) const;  ///< a state of this step would stay for its number or its score
  /// What `seen` has for the metric `by` is the score of this step's state; nothing where it is missing or not
  /// finite.
  void judge(std::int64_t step, const std::map<std::string, double>& seen, const std::string& by, bool higher);
  void load(const State& in);  ///< scores of earlier states
  /// Copies the tensors to memory of its own, after waiting for the state before. Written as <work>/training.<step>/
  /// under a temporary name and renamed; then older ones go, but for those that are to be kept. Throws what the one
  /// before failed with.
  void write(std::int64_t step, const State& state);
  void finish();  ///< waits until all is on the disk; throws Error if it is not

 private:
  std::filesystem::path work_;
  std::function<void()> records_to_disk_;
  StateRetention keep_;
  std::map<std::int64_t, double> scores_ = {};  // by step, the higher, the better
  std::future<void> writing_;
};

/// The newest that reads back; unreadable ones are removed with a warning, and what a kill left half written without
/// one. Nothing if there is none.
std::optional<State> read_training_state(const std::filesystem::path& work);

}  // namespace xp
