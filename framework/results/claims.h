#pragma once
// Verdicts on claims; STATISTICS.md says the rules in full.
#include <optional>
#include <string>
#include <vector>

#include "results/spec.h"
#include "results/statistics.h"
#include "results/study.h"

namespace xp {

enum class Outcome { pass, fail, undecided };
/// "PASS" "FAIL" "UNDECIDED".
XP_API std::string_view outcome_name(Outcome outcome);

/// The claim's arm against one other, in pairs. Differences are oriented: above 0, the arm is better.
struct Comparison {
  std::string other;
  std::vector<std::string> pairs;    ///< seeds or item ids
  std::vector<double> arm, against;  ///< values of each pair
  std::vector<double> differences;
  double mean = 0, sd = 0;
  Interval interval;       ///< 95 %, of the mean difference
  double p = 1;            ///< that the difference is above -margin; NaN if the test cannot say
  double adjusted = 1;     ///< Holm over the claim's baselines
  std::size_t needed = 0;  ///< pairs for 80 % power if the difference is as seen; 0: no number would do
};

struct Verdict {
  ClaimSpec claim;
  Outcome outcome = Outcome::undecided;
  std::string reason;  ///< one or more sentences
  std::string test;    ///< the one that was used
  MetricSignature what;
  std::vector<Comparison> baselines;
  std::optional<Comparison> control;      ///< the arm against its control
  std::vector<Comparison> control_gains;  ///< the control against each baseline
  double p = 1;                           ///< largest of the baselines, after both corrections
  double reachable = 0;                   ///< smallest that p could have been
  std::size_t n = 0;                      ///< pairs
  std::size_t missing = 0;                ///< pairs still needed, where a number is known
  std::vector<std::string> notes;         ///< what was not varied, what stands apart
};

/// Judges the claims of one recipe together: Holm's correction runs over those that are neither primary nor `exact`.
XP_API std::vector<Verdict> judge(const std::vector<ClaimSpec>& claims, const Study& study);
XP_API std::vector<Verdict> judge(const std::vector<ClaimSpec>& claims, const std::vector<const Result*>& results);

/// A few lines for people: verdict, what was compared, reason, notes.
XP_API std::string to_text(const Verdict& verdict);
XP_API Value to_value(const Verdict& verdict);

struct Gate {
  MetricPath path;
  std::string compare;  ///< ">" ">=" "<" "<="
  double bound = 0;
};
/// "pretrain.accuracy > 0.5"; a mistake becomes a problem at `span`.
XP_API std::optional<Gate> parse_gate(std::string_view text, const SourceSpan& span, Problems& problems);

struct SlopeAxis {
  std::string key;  ///< "stage.synthetic.stop"
  bool log = false;
};
/// "stage.synthetic.stop" or "log(stage.synthetic.stop)".
XP_API std::optional<SlopeAxis> parse_slope_axis(std::string_view text, const SourceSpan& span, Problems& problems);

/// What is wrong with a claim whatever the data: paths, gates, a test that does not fit the unit; a warning where
/// `seeds` cannot reach alpha. Arms are the recipe reader's to check.
XP_API void check_claim(const ClaimSpec& claim, std::size_t seeds, const SourceSpan& span, Problems& problems);

}  // namespace xp
