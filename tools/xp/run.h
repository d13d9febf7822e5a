#pragma once
// What `xp run` does, for verbs that run a recipe on their way.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "program.h"

namespace xp::program {

struct RunRequest {
  std::string max_time;          ///< "45 min"; empty: no limit
  std::string checkpoint_every;  ///< "10 s" between training states; empty: the engine's own
  std::int64_t keep_states = 2;  ///< of a running stage
  std::int64_t keep_best_states = 0, keep_states_every = 0;
  std::string max_states_size;  ///< "4 GB" for those but the newest; empty: any
  int processes = 1;            ///< that train each model together
  void add_to(CLI::App& verb);
};

/// Seconds of "45 min", as `flag` was given; `otherwise` for an empty text. Throws Error (Exit::usage).
double seconds_of(const std::string& time, const char* flag, double otherwise = 0);

/// Bytes of "2 GB", as `flag` was given; 0 for an empty text. Throws Error (Exit::usage).
double bytes_of(const std::string& size, const char* flag);

/// Runs what is missing and returns the result file; nothing in one of several processes that train along with the
/// first. Throws Error as running does (Exit::stopped after max_time).
std::optional<std::filesystem::path> run_recipe(Program& program, RecipeOptions options, const RunRequest& request);

}  // namespace xp::program
