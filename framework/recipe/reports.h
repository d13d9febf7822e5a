#pragma once
// [[claim]], [[table]], [[figure]] and [sweep]: read, and checked against the stages of the arms.
#include <string>
#include <vector>

#include "recipe/graph.h"
#include "recipe/plan.h"

namespace xp::recipe {

/// What a recipe wants to know at the end.
struct Reports {
  std::vector<ClaimSpec> claims;
  std::vector<TableSpec> tables;
  std::vector<FigureSpec> figures;
  Table sweep;                      ///< resolved [sweep] without its axes
  std::vector<Value> axes;          ///< [[sweep.axis]] as written
  std::vector<std::string> stages;  ///< patterns over stages that anything above names
};

/// Reads and checks them all.
Reports read_reports(const Table& document, const std::vector<Graph>& arms, const Head& head,
                     const ResolveOptions& options, Problems& problems);

/// One metric path in the recipe.
struct UsedPath {
  MetricPath path;
  SourceSpan span;
};

/// The leaves of a path: itself, or the parts of its mean.
std::vector<const MetricPath*> leaves(const MetricPath& path);
/// Nodes of an arm whose name or stage fits.
std::vector<const StageNode*> nodes_of(const Graph& arm, std::string_view pattern);
/// True if the path's stages exist and give the metric; reports what does not.
bool check_metric(const MetricPath& path, const SourceSpan& span, const std::vector<Graph>& arms, Problems& problems);

/// How a sweep's trial can fail: "out_of_memory" "non_finite" "crash" "timeout" "error".
const std::vector<std::string>& failure_classes();
/// Reads [sweep] into `out`.
void read_sweep(const Value& sweep, const std::vector<Graph>& arms, const std::vector<UsedPath>& claimed,
                Reports& out, Problems& problems);
/// Of a sweep's trial: only the stages that the sweep looks at.
void read_trial(const Value& sweep, Reports& out);

}  // namespace xp::recipe
