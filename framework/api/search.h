#pragma once
// Sweeps: who proposes members, and who starts workers.
#include <filesystem>
#include <optional>

#include "base/random.h"
#include "schema/component.h"

namespace xp {

/// One axis as the recipe writes it; exactly one of the forms is used.
struct SearchAxis {
  std::string key;
  std::vector<Value> values = {};  ///< a list
  double low = 0, high = 0;        ///< a range
  bool logarithmic = false, whole = false;
  std::optional<std::string> parent = {};  ///< asked only where this axis has one of `parent_values`
  std::vector<Value> parent_values = {};
};

struct Trial {
  std::int64_t number = 0;
  std::map<std::string, Value> values;  ///< axis key -> value
};

struct TrialResult {
  std::int64_t number = 0;
  double goal = 0;      ///< smaller is better; meaningless unless `done`
  bool done = false;    ///< false: failed or pruned
  double progress = 1;  ///< share of the budget that was spent
};

/// "search". Deterministic: equal streams and equal sequences of calls give equal proposals, so a journal replays.
class XP_API Search : public Component {
 public:
  static constexpr const char* kInterface = "search";
  ~Search() override;
  virtual void start(std::vector<SearchAxis> axes, RandomStreams random) = 0;
  virtual std::optional<Trial> propose() = 0;  ///< nothing: no more trials, or none before another result is told
  virtual void tell(const TrialResult& result) = 0;
  virtual bool finished() const = 0;
};

/// "launcher": starts `workers` copies of a command line and waits; workers share nothing but the results folder.
class XP_API Launcher : public Component {
 public:
  static constexpr const char* kInterface = "launcher";
  ~Launcher() override;
  virtual void launch(const std::vector<std::string>& command, const std::filesystem::path& logs) = 0;
};

}  // namespace xp
