#pragma once
// What a training stage takes over from the one whose checkpoint it starts from (restart semantics of an edge).
#include "api/stage.h"
#include "engine/loader.h"
#include "engine/training_state.h"

namespace xp {

struct TrainingHost;

class Continued {
 public:
  /// Reads what the checkpoint was kept with, if the request continues anything. Throws Error if the stage starts a
  /// new model.
  Continued(const TrainRequest& request, const TrainingHost& host);

  void start(Optimizer& optimizer);  ///< gives it its moments, and lets go of them
  /// Where the data go on. Throws Error if the earlier stage read another number of parts.
  LoaderPosition position(std::size_t parts) const;
  std::int64_t first_step() const { return what_.random ? before_.counters.steps : 0; }  ///< that draws are keyed by
  double own_epochs(double of_data) const { return what_.random ? of_data - before_.counters.epochs : of_data; }
  /// Progress of the learning rate's schedule, 0 to 1.
  double schedule(const TrainRequest& request, const Counters& own) const;

  /// What later stages may continue.
  void keep(const TrainingState& own, const Optimizer& optimizer, State& out) const;

 private:
  Continuation what_;
  State kept_;
  TrainingState before_;
};

}  // namespace xp
