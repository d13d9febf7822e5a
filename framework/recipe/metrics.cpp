// Metric paths against what the stages of the arms give.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "recipe/reports.h"

namespace xp::recipe {
namespace {

// Either side may hold `*`: recipes ask for "*.normalised", components give "recall@*".
bool meets(std::string_view asked, std::string_view given) { return fits(asked, given) || fits(given, asked); }

bool is_counter(const std::string& name) {
  const auto& names = counter_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct KnownMetrics {
  bool found = false, unsure = false;
  std::set<std::string> names;  ///< "similarity.spearman", "loss", "tokens"
};

void look(const StageNode& node, const std::string& name, KnownMetrics& known) {
  if (node.broken || node.inside.unknown) known.unsure = true;
  const auto offer = [&](const std::string& given) {
    known.names.insert(given);
    if (meets(name, given)) known.found = true;
  };
  for (const auto& one : node.inside.metrics) offer(one);
  if (node.info)
    for (const auto& use : node.inside.evaluators)
      for (const auto& given : use.info->schema.gives)
        if (given.what == "metric" && holds(given.when, use.settings)) offer(use.name + "." + given.name);
}

std::string metric_hint(const std::string& name, const KnownMetrics& known) {
  const std::vector<std::string> given(known.names.begin(), known.names.end());
  auto all = given;
  all.insert(all.end(), counter_names().begin(), counter_names().end());
  if (const auto near = nearest(name, all)) return "did you mean " + backquoted(*near) + "?";
  return given.empty() ? "it gives counters only: " + listed(counter_names(), counter_names().size())
                       : "it gives " + listed(given) + ", and counters such as `tokens`";
}

}  // namespace

std::vector<const MetricPath*> leaves(const MetricPath& path) {
  if (path.parts.empty()) return {&path};
  std::vector<const MetricPath*> out;
  for (const auto& part : path.parts)
    for (const auto* leaf : leaves(part)) out.push_back(leaf);
  return out;
}

std::vector<const StageNode*> nodes_of(const Graph& arm, std::string_view pattern) {
  std::vector<const StageNode*> out;
  for (const auto& name : arm.order()) {
    const auto& node = arm.nodes().at(name);
    if (fits(node.name, pattern) || fits(node.stage, pattern)) out.push_back(&node);
  }
  return out;
}

bool check_metric(const MetricPath& path, const SourceSpan& span, const std::vector<Graph>& arms,
                  Problems& problems) {
  bool good = true;
  for (const auto* leaf : leaves(path)) {
    KnownMetrics known;
    std::set<std::string> stages;
    bool any = false;
    for (const auto& arm : arms) {
      for (const auto& [name, node] : arm.nodes()) stages.insert(node.stage);
      for (const auto* node : nodes_of(arm, leaf->stage)) {
        any = true;
        look(*node, leaf->name, known);
      }
    }
    if (!any) {
      const std::vector<std::string> all(stages.begin(), stages.end());
      problems.error("unknown-metric", backquoted(leaf->text) + ": there is no stage " + backquoted(leaf->stage),
                     span, suggestion(leaf->stage, all, "the recipe has no stages"));
      good = false;
    } else if (!known.found && !known.unsure && !is_counter(leaf->name)) {
      problems.error(
          "unknown-metric",
          backquoted(leaf->text) + ": stage " + backquoted(leaf->stage) + " gives no " + backquoted(leaf->name), span,
          metric_hint(leaf->name, known));
      good = false;
    }
  }
  return good;
}

}  // namespace xp::recipe
