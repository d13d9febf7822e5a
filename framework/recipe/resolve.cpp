// From a recipe's file to its plan.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "recipe/digests.h"
#include "recipe/reports.h"
#include "recipe/resolver.h"
#include "recipe/stored.h"
#include "recipe/toml_reader.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using namespace recipe;

/// Components, datasets and towers that no stage uses are checked as well, unless they are of a shared part; their
/// files are not looked for.
void check_unused(const World& world, const Graph& graph, const Sources& sources) {
  const auto skip_files = [](const Problem& problem) {
    return problem.code.starts_with("missing-file") || problem.code == "missing-package";
  };
  Problems inner;
  Files files = world.files.with(inner);
  const World apart{world.catalogue, files, inner};
  std::vector<std::string> kinds = recipe_kinds();
  kinds.emplace_back("tower");
  for (const auto& kind : kinds)
    for (const auto* one : graph.names().of_kind(kind)) {
      if (sources.is_part(one->value->key)) continue;
      Resolver resolver(apart, graph.names(), nullptr);
      if (kind == "dataset")
        resolver.dataset(*one);
      else if (kind == "tower")
        resolver.tower(*one);
      else if (const auto interfaces = interfaces_of_kind(kind); !interfaces.empty())
        resolver.component(interfaces, *one->value);
    }
  for (const auto& problem : inner.list())
    if (!skip_files(problem)) world.problems.add(problem);
}

/// Stages that nothing else reads; those of shared parts run only where they are read.
std::set<std::string> ends(const Graph& graph, const Sources& sources) {
  std::set<std::string> read, out;
  for (const auto& [name, node] : graph.nodes())
    for (const auto& input : node.inside.inputs) read.insert(graph.nodes().at(input).stage);
  for (const auto& [name, node] : graph.nodes())
    if (!read.contains(node.stage) && !sources.is_part(node.span)) out.insert(node.stage);
  return out;
}

/// Ends of the recipe as it is before any arm changes it.
std::set<std::string> ends_before_arms(const Table& document, const World& world, const Sources& sources) {
  Arm base{"", "", "", {}};
  for (const auto& [key, value] : document)
    if (is_named_group(key)) base.document.emplace(key, value);
  Problems ignored;  // a recipe may be whole only with its arms
  Files files = world.files.with(ignored);
  const World apart{world.catalogue, files, ignored};
  return ends(Graph(apart, base), sources);
}

std::set<std::string> wanted_nodes(const Graph& graph, const Reports& reports, const std::set<std::string>& ends) {
  std::vector<std::string> open;
  for (const auto& pattern : reports.stages)
    for (const auto* node : nodes_of(graph, pattern)) open.push_back(node->name);
  for (const auto& [name, node] : graph.nodes())
    if (ends.contains(node.stage)) open.push_back(name);
  std::set<std::string> out;
  while (!open.empty()) {
    const auto name = open.back();
    open.pop_back();
    if (!out.insert(name).second) continue;
    for (const auto& input : graph.nodes().at(name).inside.inputs) open.push_back(input);
  }
  return out;
}

void collect_not_fetched(const Value& value, std::set<std::string>& out) {
  if (const auto* text = value.as<std::string>(); text && text->starts_with(kNotFetched)) out.insert(*text);
  if (const auto* reference = value.as<Reference>()) {
    if (reference->digest.starts_with(kNotFetched)) out.insert(reference->digest);
    if (reference->component) collect_not_fetched(Value(*reference->component), out);
  }
  if (const auto* list = value.as<List>())
    for (const auto& one : *list) collect_not_fetched(one, out);
  if (const auto* table = value.as<Table>())
    for (const auto& [key, one] : *table) collect_not_fetched(one, out);
}

/// Packages to fetch are errors where `plan` is to run and reads them, else warnings.
void report_not_fetched(const Files& files, const Plan* to_run, Problems& problems) {
  std::set<std::string> read;
  if (to_run)
    for (const auto& node : to_run->nodes) collect_not_fetched(Value(node.settings), read);
  for (const auto& one : files.not_fetched())
    if (read.contains(one.digest))
      problems.error("missing-package", one.message, one.span, one.hint);
    else if (!to_run)
      problems.warn("missing-package", one.message, one.span, one.hint);
}

std::string all_texts(const Sources& files) {
  std::string out;
  for (const auto& file : files.texts) {
    out += "# " + file->name + "\n" + file->text;
    if (!file->text.ends_with('\n')) out += "\n";
  }
  return out;
}

}  // namespace

std::optional<Plan> resolve(const fs::path& file, const Catalogue& catalogue, const ResolveOptions& options,
                            Problems& problems) {
  const auto root = root_of(file, options);
  Sources files;
  const auto document = load_files(file, root, options.stored, files, problems);
  if (!document) return {};
  const Overrides overrides(options, problems);
  const auto outer = outer_document(*document, overrides, options, problems);
  const auto head = read_head(outer, options, problems);
  const auto arms = make_arms(outer, overrides, options, problems);
  Files found(root, outer, problems);
  const World world{catalogue, found, problems};
  std::vector<Graph> graphs;
  graphs.reserve(arms.size());
  for (const auto& arm : arms) graphs.emplace_back(world, arm);
  for (const auto& graph : graphs) check_unused(world, graph, files);
  if (!arms.empty() && graphs.front().nodes().empty() && problems.errors() == 0)
    problems.error("no-stages", "the recipe has no stages", {}, "write [stage.NAME] with `type`");
  auto reports = read_reports(outer, graphs, head, options, problems);
  if (problems.errors() > 0) return report_not_fetched(found, nullptr, problems), std::nullopt;

  Plan plan;
  plan.name = head.name.empty() ? fs::path(files.files.back().path).stem().string() : head.name;
  plan.summary = head.summary, plan.source = all_texts(files);
  plan.files = files.files, plan.overrides = overrides_table(options), plan.engine = options.engine_hash;
  plan.setting = head.setting, plan.seeds = head.seeds;
  plan.claims = reports.claims, plan.tables = reports.tables, plan.figures = reports.figures;
  plan.axes = reports.axes, plan.sweep = reports.sweep;
  const auto last = ends_before_arms(outer, world, files);
  PlanBuilder builder(plan, catalogue, options.engine_hash);
  for (const auto& graph : graphs) {
    const auto wanted = wanted_nodes(graph, reports, last);
    for (const auto seed : head.seeds) builder.add(graph, wanted, seed);
  }
  if (plan.nodes.empty()) {
    report_not_fetched(found, nullptr, problems);
    problems.error("no-stages", "nothing in the recipe asks for a stage", {},
                   "name one in a claim, a table or a figure, or write [stage.NAME] in the recipe itself");
    return {};
  }
  report_not_fetched(found, options.to_run ? &plan : nullptr, problems);
  if (problems.errors() > 0) return {};
  plan.plan_id = builder.plan_id();
  return plan;
}

std::vector<fs::path> plugin_folders(const fs::path& file, const ResolveOptions& options, Problems& problems) {
  if (!options.trust_plugins) return {};
  const auto root = root_of(file, options);
  Sources files;
  const auto document = load_files(file, root, options.stored, files, problems);
  if (!document) return {};
  const auto outer = outer_document(*document, Overrides(options, problems), options, problems);
  read_head(outer, options, problems);
  std::vector<fs::path> out;
  if (const auto* paths = find(outer, "plugins.path")) {
    const List list = paths->as<List>() ? *paths->as<List>() : List{*paths};
    for (const auto& one : list)
      if (const auto* text = one.as<std::string>()) out.push_back((root / *text).lexically_normal());
  }
  return out;
}

fs::path project_root(const fs::path& from) {
  std::error_code none;
  auto folder = fs::weakly_canonical(fs::absolute(from, none), none);
  if (!fs::is_directory(folder, none)) folder = folder.parent_path();
  for (; !folder.empty(); folder = folder.parent_path()) {
    if (fs::exists(folder / "xp.toml", none)) return folder;
    if (folder == folder.root_path()) break;
  }
  return fs::current_path();
}

fs::path recipe::root_of(const fs::path& file, const ResolveOptions& options) {
  return options.root.empty() ? project_root(options.stored.empty() ? file : fs::current_path()) : options.root;
}

std::vector<std::string> libraries(const Plan& plan, const Catalogue& catalogue) {
  std::set<std::string> out;
  for (const auto& node : plan.nodes)
    for (const auto& [interface, type] : node.components)
      if (const auto* info = catalogue.find(interface, type); info && !info->library.empty())
        out.insert(info->library);
  return {out.begin(), out.end()};
}

}  // namespace xp
