#pragma once
// Identities: of datasets, of nodes for one seed, of plans.
#include <map>
#include <string>

#include "recipe/graph.h"
#include "recipe/plan.h"

namespace xp::recipe {

/// The settings of a resolved component that change results: fields marked otherwise are left out, files stand as
/// name and content, artifacts as digests.
XP_API Table result_settings(const Catalogue& catalogue, const std::vector<std::string>& interfaces,
                             const Table& settings);

/// Gives nodes of members their digests and collects them in the plan, each once.
class PlanBuilder {
 public:
  PlanBuilder(Plan& plan, const Catalogue& catalogue, std::string engine_hash)
      : plan_(plan), catalogue_(catalogue), engine_hash_(std::move(engine_hash)) {}

  /// One arm with one seed; only the nodes in `wanted` are part of the plan.
  void add(const Graph& graph, const std::set<std::string>& wanted, std::int64_t seed);
  /// Identity of the whole without binaries, after all members are in.
  std::string plan_id() const;

 private:
  struct Filled {
    std::shared_ptr<const Table> component;
    std::string digest;
  };
  struct Both {
    std::string full;      ///< with libraries, engine and LibTorch
    std::string identity;  ///< without
  };
  void fill(Value& value, const PlanMember& member, PlanNode& node);
  void fill_dataset(Reference& reference, const PlanMember& member, PlanNode& node);
  Both digest_of(const PlanNode& node) const;
  std::string identity_text(const Table& settings) const;
  void with_identities(Value& value) const;
  std::string libraries_of(const std::set<std::pair<std::string, std::string>>& components) const;

  Plan& plan_;
  const Catalogue& catalogue_;
  std::string engine_hash_;
  std::map<std::string, std::size_t> index_;                 ///< full digest -> node
  std::map<std::shared_ptr<const Table>, Filled> datasets_;  ///< those without nodes inside, by what was resolved
  std::map<std::string, std::string> identities_;            ///< full digest -> identity
};

}  // namespace xp::recipe
