#pragma once
// The order of a plan's stages, from the digests that their settings name.
#include <algorithm>
#include <map>
#include <string>

#include "results/settings.h"

namespace xp::detail {

/// How many stages stand one before another in front of a stage. The plan must outlive it.
class StageDepths {
 public:
  explicit StageDepths(const Value& plan) : plan_(plan) {}

  std::size_t of(const std::string& digest) {
    const auto [known, fresh] = known_.emplace(digest, 0);  // a damaged plan that goes in a circle ends here
    if (!fresh) return known->second;
    std::size_t depth = 0;
    for (const auto* part : {"nodes", "datasets"})
      if (const auto* entry = planned(plan_, part, digest)) look_in(*entry, depth);
    return known_[digest] = depth;
  }

 private:
  void look(const Value& value, std::size_t& depth) {
    if (const auto* list = value.as<List>())
      for (const auto& one : *list) look(one, depth);
    if (const auto* table = value.as<Table>()) look_in(*table, depth);
  }

  void look_in(const Table& table, std::size_t& depth) {
    const auto found = table.find("digest");
    const auto* digest = found == table.end() ? nullptr : found->second.as<std::string>();
    if (digest && table.contains("reference"))
      depth = std::max(depth, of(*digest) + (planned(plan_, "nodes", *digest) ? 1 : 0));
    for (const auto& [key, one] : table) look(one, depth);
  }

  const Value& plan_;
  std::map<std::string, std::size_t> known_;  ///< of stages, and of datasets by what they are made of
};

}  // namespace xp::detail
