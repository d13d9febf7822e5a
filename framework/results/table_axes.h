#pragma once
// Which runs stand behind each row and each column of a table.
#include <string>
#include <unordered_set>
#include <vector>

#include "results/study.h"

namespace xp::detail {

/// The members behind one row or one column.
struct TableGroup {
  std::string name, label;
  std::string stage;                        ///< where the axis is `stage`
  std::vector<const StudyMember*> members;  ///< in the study's order: of two with the same seed the first counts
};

/// Rows of a table whose columns are `cols` (empty: metrics). Arms and recipes that no axis tells apart stay apart:
/// their names go in front. Throws Error (Exit::usage) if no member has a value of the key.
std::vector<TableGroup> row_groups(const std::string& rows, const std::string& cols, const Study& study);
std::vector<TableGroup> column_groups(const std::string& cols, const Study& study);
/// A row for each run, arm and seed.
std::vector<TableGroup> listed_groups(const Study& study);

using MemberSet = std::unordered_set<const StudyMember*>;
/// The first of each seed, ascending; of those in `within` only, if it is not null.
std::vector<const StudyMember*> one_for_each_seed(const TableGroup& group, const MemberSet* within);

}  // namespace xp::detail
