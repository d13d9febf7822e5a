#pragma once
// The stages of one arm with their settings resolved.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "recipe/arms.h"
#include "recipe/world.h"

namespace xp::recipe {

/// A declared need that holds for the settings at hand.
struct Need {
  Trait trait;
  std::string owner;  ///< "objective `causal_lm`"
  SourceSpan span;
  std::vector<Reference> data = {};  ///< datasets that the owner reads itself; none: those of its stage
};

/// An evaluator of a stage.
struct EvaluatorUse {
  std::string name;  ///< as metric paths call it
  const ComponentInfo* info = nullptr;
  Table settings;
};

/// What resolving a component and all below it brings together.
struct Gathered {
  std::set<std::pair<std::string, std::string>> components;
  std::vector<std::string> inputs;  ///< nodes, in order of use
  std::vector<Need> needs;
  std::vector<std::string> metrics;  ///< given by anything but evaluators; may hold `*`
  std::vector<EvaluatorUse> evaluators;
  bool unknown = false;  ///< an unknown type or name is inside: what follows from it is not reported

  void add(const Gathered& other);
};

/// One node of an arm's graph.
struct StageNode {
  std::string name;   ///< "adapt", "tuned[duplicates]"
  std::string stage;  ///< its table
  std::string type;
  const ComponentInfo* info = nullptr;
  Table settings;
  std::vector<PlanOutput> outputs;
  std::optional<std::int64_t> seed;  ///< its own; else the member's
  Gathered inside;
  SourceSpan span;      ///< where the recipe names it
  bool broken = false;  ///< mistakes were found in it
};

/// All stages of an arm; making one resolves everything and reports mistakes.
class Graph {
 public:
  Graph(const World& world, const Arm& arm);

  const Arm& arm() const { return arm_; }
  const Names& names() const { return names_; }
  const World& world() const { return world_; }
  /// Nodes by name.
  const std::map<std::string, StageNode, std::less<>>& nodes() const { return nodes_; }
  /// Inputs before users, otherwise in source order.
  const std::vector<std::string>& order() const { return order_; }
  /// Members of a stage: one, or one for each value of `each`. Empty if there is no such stage.
  const std::vector<std::string>& members(std::string_view stage) const;
  /// The node, resolved now if need be. Null, and a problem, if it needs itself.
  const StageNode* node(const std::string& name, const SourceSpan& asked);
  /// Datasets that were resolved already, with what they bring; null where mistakes were found.
  std::map<std::string, std::pair<std::shared_ptr<const Table>, Gathered>, std::less<>>& datasets() {
    return datasets_;
  }
  /// The component that the node's model is made of: its own or, along checkpoints, that of the stage that made it.
  const ComponentInfo* model_of(const StageNode& node, std::string_view role, Table* settings = nullptr) const;

 private:
  struct Planned {
    std::string stage;
    Table table;
    SourceSpan span;
  };
  void plan(const NamedTable& stage);
  const ComponentInfo* kept_model(const StageNode& node, std::string_view role, Table* settings) const;
  const ComponentInfo* model_from(const Value& model, std::string_view role, Table* settings) const;

  const World& world_;
  const Arm& arm_;
  Names names_;
  std::map<std::string, std::vector<std::string>, std::less<>> members_;
  std::map<std::string, Planned, std::less<>> planned_;
  std::map<std::string, StageNode, std::less<>> nodes_;
  std::map<std::string, std::pair<std::shared_ptr<const Table>, Gathered>, std::less<>> datasets_;
  std::vector<std::string> order_, open_;
};

/// The value of a key or null.
const Value* setting(const Table& table, std::string_view key);
/// The artifact that a value refers to, the first of a list; null if it is none.
const Reference* reference_in(const Value* value);

/// Reports what the components of a resolved stage need and nothing gives: capabilities, reserved ids, batch fields,
/// artifacts, splits, metrics, outputs; and tokens as a measure where there is no tokenizer.
void check_needs(const Graph& graph, const StageNode& node);

}  // namespace xp::recipe
