#pragma once
// What a plan will cost, going by what stages of the cache took: printed before a run and by `xp check`.
#include <string>

#include "recipe/plan.h"
#include "results/cache.h"

namespace xp::program {

/// Sums over the stages that no earlier run made.
struct Outlook {
  std::size_t to_run = 0, cached = 0;
  std::size_t unknown = 0;       ///< of `to_run`: no stage of the kind ran here, so they are in none of the sums
  std::size_t guessed = 0;       ///< of `to_run`: judged by stages with other settings
  std::size_t at_once = 1;       ///< stages that run side by side on this machine
  double tokens = 0, flops = 0;  ///< of training
  double seconds = 0;            ///< of work: divided by `at_once` it is about the time until the end
  double bytes = 0;              ///< of disk
  double memory = 0;             ///< bytes that the program held at most when such stages ran
};

/// Each stage is held against the earlier ones that are most like it: those with equal settings, else of the same
/// recipe and name, else of the same kind. What they took grows with the amount at which training stops.
Outlook outlook(const Plan& plan, const Cache& cache);

/// What there is to do, what it costs, and how far that is known.
std::string outlook_text(const Plan& plan, const Outlook& ahead);

Table to_table(const Outlook& ahead);

}  // namespace xp::program
