#pragma once
// One training stage: gradients of logical batches by counts, update, evaluation, checkpoints that resume exactly.
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/stage.h"
#include "engine/data_pool.h"
#include "engine/fingerprints.h"
#include "engine/loader.h"
#include "engine/processes.h"
#include "engine/references.h"
#include "engine/session.h"
#include "graph/graph.h"

namespace xp {

/// What the graph gives a training stage.
struct TrainingHost {
  const Registry& registry;
  RandomStreams random;
  DataPool& pool;
  Recorder& recorder;
  std::function<void(std::int64_t step)> mark;       ///< a training state of this step is about to be written
  std::function<void()> records_to_disk;             ///< called from another thread, while training goes on
  std::function<void(std::int64_t step)> rewind;     ///< points recorded after this step are void
  std::filesystem::path work;                        ///< survives a kill
  std::function<bool(double share)> stop_requested;  ///< asked before each step; `share` of the stop rule is done
  std::function<void(double done, double total, std::string_view what)> progress;
  std::function<void(double share, std::int64_t step)> goes_on = {};  ///< from a training state
  std::function<Checkpoint(const Reference&)> checkpoint;
  std::function<State(const Reference&)> predictions;
  std::function<FrozenModel(const Reference&)> open;  ///< a checkpoint with its own way to be used
  std::function<State(const Reference&)> kept_state;  ///< of a checkpoint that was kept with it
  std::function<std::shared_ptr<const Encoder>(const Reference&)> tokenizer;
  std::function<const State&(std::string_view)> artifact;
  at::ScalarType precision;
  at::Device device = at::kCPU;
  int threads = 1;
  Processes& processes;
  double checkpoint_seconds = 60;  ///< training state is written this often; it changes no result
  StateRetention keep_states = {};
  FingerprintSink fingerprints = {};
};

/// What training leaves: the model for the next stage.
struct Trained {
  Checkpoint checkpoint;
  Counters counters;
};

Trained train(TrainRequest request, TrainingHost host);

/// { from, to, shape, until } tables in resolved settings, with the name that Component::set takes.
std::vector<std::pair<std::string, Ramp>> ramps_in(const Table& settings, const std::string& front = {});

/// Share of a stop rule that is done, 1 or more at its end. Throws Error for a unit that counters do not have.
double progress_of(const Quantity& stop, const Counters& counters);

/// Place of a ramp between 0 and 1; `stop` is the stage's own rule, for ramps that end at a share of it.
double ramp_progress(const Ramp& ramp, const Quantity& stop, const Counters& counters);
/// Whether only training knows how far it is: batches that are made ahead cannot.
bool known_to_training_alone(Unit stop);

}  // namespace xp
