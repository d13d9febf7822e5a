#pragma once
// Two results of one plan held against each other, number by number and hash by hash.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "results/run_log.h"

namespace xp {

/// One way in which two records of a stage differ.
struct RecordDifference {
  std::string kind;        ///< "batch" "weights" "curve" "final" "items" "ledger" "counters"
  std::string name = {};   ///< of the tensor, curve, value, table or counter; of a batch empty
  std::int64_t step = -1;  ///< of training; -1: at the end of the stage
  std::string expected, found;
};

/// The first difference of each kind, those of earlier steps first; of one step batches come before weights and these
/// before curves, as causes before what follows. Time, memory and notes do not count. With a `tolerance` > 0 numbers
/// may differ by that share of the larger one, and weights, of which there are only hashes, do not count.
/// Fingerprints do not count where one side has none at all.
XP_API std::vector<RecordDifference> differences(const StageRecord& expected, const StageRecord& found,
                                                 double tolerance = 0);

/// A stage of a member.
struct ComparedStage {
  std::string arm;
  std::int64_t seed = 0;
  std::string node;
};

struct ResultComparison {
  std::size_t same = 0;                               ///< stages without a difference
  std::size_t unknown = 0;                            ///< stages that `expected` has not finished
  std::size_t batches = 0, weights = 0, numbers = 0;  ///< held against each other: hashes, and all other numbers
  std::optional<ComparedStage> stage = {};            ///< the first that differs, and how
  std::vector<RecordDifference> where = {};           ///< empty with a stage: `found` has not finished it
};

/// The stages of a stored plan that are wanted, each once, those that others read first. Throws Error (Exit::data) if
/// it has no members.
XP_API std::vector<ComparedStage> compared_stages(
    const Value& plan, const std::function<bool(const ComparedStage&)>& wanted = [](const auto&) { return true; });

/// Goes through the stages in this order up to the first that differs. Throws Error (Exit::data) if a record cannot
/// be read.
XP_API ResultComparison compare(const Result& expected, const Result& found, const std::vector<ComparedStage>& stages,
                                double tolerance = 0);

/// "identical: ..." or what differs, in lines.
XP_API std::string to_text(const ResultComparison& comparison);
XP_API Table to_table(const ResultComparison& comparison);

}  // namespace xp
