#pragma once
// Pieces of a difference that several files make.
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "results/difference.h"

namespace xp::detail {

/// An arm and a seed that both sides have.
struct MemberPair {
  const StudyMember* before = nullptr;
  const StudyMember* after = nullptr;
};
using PairSet = std::set<std::size_t>;  ///< indices of pairs

std::vector<MemberPair> common_members(const Study& before, const Study& after);

/// Names what holds for some pairs: nothing if for all, an arm if for all of its seeds.
std::vector<std::string> names_of_pairs(const PairSet& of, const std::vector<MemberPair>& all);

std::vector<NumberChange> number_changes(const DifferenceSide& before, const DifferenceSide& after,
                                         const std::vector<std::string>& metrics);

}  // namespace xp::detail
