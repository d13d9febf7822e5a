#pragma once
// What two experiments differ in: what can change results, what cannot, and the numbers.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/run_log.h"
#include "results/study.h"

namespace xp {

/// One of the two: a result, or a plan that has not run.
struct DifferenceSide {
  std::string name;  ///< as shown
  Attributes attributes;
  Value plan;
  Study study;
};
/// The result must outlive the side.
XP_API DifferenceSide side_of(const Result& result);

/// The settings of a resolved component ("stage" or "dataset") that change results; without it all count as such.
using SettingsThatCount = std::function<Table(std::string_view interface, const Table& settings)>;

struct Change {
  std::string part;                ///< "members" "settings" "data" "plugins" "program", or "machine" "run" "words"
  std::string key, before, after;  ///< an empty text: it is not there
  std::vector<std::string> arms;  ///< "ofa", or "ofa, seed 3"; empty: of all that both have, or of none in particular
};

/// A stage whose identity differs, and why.
struct StageChange {
  std::string stage;
  std::vector<std::string> own;     ///< settings and data of its own that differ: "initializer.rank"
  std::vector<std::string> inputs;  ///< stages that it takes from and that differ
  bool first = false;               ///< nothing that it takes differs: differences begin here
  std::vector<std::string> arms;    ///< as in Change
};

struct NumberOfSide {
  std::size_t n = 0;
  double mean = 0, sd = 0;  ///< NaN where there are too few
};
/// One metric in one arm.
struct NumberChange {
  std::string arm, metric, unit;
  NumberOfSide before, after;
  double difference = 0;    ///< of the means, after - before; NaN if they cannot be compared
  std::optional<double> p;  ///< two-sided paired sign-flip; only where both have the same seeds
  bool equal = false;       ///< to the last bit, seed by seed
  std::string why;          ///< of what is missing or cannot be compared
};

struct Difference {
  std::string before, after;  ///< names of the sides
  bool same = false;          ///< the same experiment: every stage of every member has the same identity
  bool same_plan = false;     ///< the same but for binaries
  std::vector<Change> can, cannot;
  std::vector<StageChange> stages;  ///< inputs first
  std::vector<NumberChange> numbers;
};

/// Compares; `metrics` are paths, by default those of both recipes' tables and claims, else all final values. Throws
/// Error (Exit::usage) on paths that cannot be read.
XP_API Difference difference_of(const DifferenceSide& before, const DifferenceSide& after,
                                const SettingsThatCount& that_count = {},
                                const std::vector<std::string>& metrics = {});

/// For people; of numbers that are equal only how many, unless `all`.
XP_API std::string to_text(const Difference& difference, bool all = false);
XP_API Value to_value(const Difference& difference);

}  // namespace xp
