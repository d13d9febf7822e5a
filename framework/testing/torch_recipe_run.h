#pragma once
// A recipe run as the program runs it, with its artifacts and records at hand: for tests of stages and of what they
// use.
#include <memory>
#include <string>

#include "api/parameters.h"
#include "api/tokenizer.h"
#include "recipe/plan.h"
#include "results/cache.h"
#include "testing/testing.h"

namespace xp::testing {

/// A project in a folder of its own. Stages of the first arm and seed are meant where nothing else is said.
class RecipeRun {
 public:
  /// Writes a file of the project.
  void put(const std::string& name, const std::string& text);
  /// Resolves the recipe with all plugins of the build and runs what the cache lacks. Throws Error with the text that
  /// a user reads.
  void run(const std::string& recipe);

  const Plan& plan() const { return plan_; }
  const PlanNode& node(const std::string& stage) const;
  /// Folder of an output; empty name: the first.
  std::filesystem::path output(const std::string& stage, const std::string& name = {}) const;
  Checkpoint checkpoint(const std::string& stage) const;
  State state(const std::string& stage, const std::string& name = {}) const;
  std::shared_ptr<const Encoder> tokenizer(const std::string& stage) const;
  StageRecord record(const std::string& stage) const;
  std::size_t executed = 0, cached = 0;  ///< stages of the last run

 private:
  Scratch folder_;
  Plan plan_;
};

/// Documents of words from two topics that never meet; the same for the same seed. In the format of dataset type
/// `text`.
std::string planted_text(int documents, std::uint64_t seed = 3, int words = 12);

/// What an Error that `act` throws says; empty if it throws none.
template <class Act>
std::string said(Act&& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace xp::testing
