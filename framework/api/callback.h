#pragma once
// Watchers. They steer by their return value only; what changes training is a strategy, a constraint or a schedule.
#include <map>

#include "api/recorder.h"
#include "schema/component.h"

namespace xp {

enum class Next : std::uint8_t { go_on, stop, abort };

/// After one step of the stage.
struct StepReport {
  Counters counters;
  double loss = 0;  ///< weighted sum of the terms
  double lr = 0;
  double gradient_norm = 0;                                 ///< before clipping; not finite: the step was skipped
  std::map<std::string, double, std::less<>> terms = {};    ///< of this step, by name
  std::map<std::string, double, std::less<>> metrics = {};  ///< of this step, by name
  std::map<std::string, double, std::less<>> by_source =
      {};  ///< loss of each source's items; of several sources only
};

/// "callback".
class XP_API Callback : public Component {
 public:
  static constexpr const char* kInterface = "callback";
  ~Callback() override;
  virtual Next after_step(const StepReport& report);
  virtual Next after_evaluation(const StepReport& report, const std::map<std::string, double>& metrics);
  virtual void finished(std::string_view status) noexcept;  ///< "done" "diverged" "stopped" "failed"
};

}  // namespace xp
