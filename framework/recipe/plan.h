#pragma once
// The plan: arms and seeds multiplied out, every default filled in, every stage with its digest. A plain value.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plugin/registry.h"
#include "results/metric_path.h"
#include "results/spec.h"
#include "schema/value.h"

namespace xp {

struct PlanOutput {
  std::string name, kind;  ///< kinds: design section 4
};

/// One stage to run once, however many arms and seeds ask for it.
struct PlanNode {
  std::string name;  ///< "adapt", "tuned[duplicates]"
  std::string type;  ///< stage component
  Table settings;    ///< resolved: defaults, parts as tables with `type`, References in place of artifacts
  std::vector<std::size_t> inputs;  ///< indices of earlier nodes
  std::vector<PlanOutput> outputs;
  bool draws = false;
  std::int64_t seed = 0;
  std::string digest;
  std::set<std::pair<std::string, std::string>> components;  ///< (interface, type) of everything inside
};

struct PlanMember {
  std::string arm, label;
  std::int64_t seed = 0;
  std::map<std::string, std::size_t> nodes;  ///< node name -> index
};

/// What the recipe's top keys say of the machine.
struct PlanSetting {
  std::string device = "cpu", precision = "float32", determinism = "seeded";
  std::int64_t threads = 0;    ///< 0: all cores
  std::int64_t processes = 1;  ///< that train together
};

/// A file of a recipe. `path` is relative to the project's root, as far as it lies below; so are what it extends.
struct RecipeFile {
  std::string path, text;
};

struct Plan {
  std::string name, summary, source;  ///< source: the text of all recipe files, each under its name
  std::vector<RecipeFile> files;      ///< each once, bases first, the recipe last
  Table overrides;                    ///< what the caller laid over them (recipe/stored.h)
  std::string engine;                 ///< sha256 of libxp_engine
  PlanSetting setting;
  std::vector<std::int64_t> seeds;
  std::vector<PlanNode> nodes;  ///< distinct digests, inputs before users
  std::vector<PlanMember> members;
  std::vector<ClaimSpec> claims;
  std::vector<TableSpec> tables;
  std::vector<FigureSpec> figures;
  std::vector<Value> axes;  ///< [[sweep.axis]] of the members, for slopes
  Table sweep;              ///< resolved [sweep] without its axes; empty: none
  std::string plan_id;      ///< identity without binaries
};

/// What the caller lays over a recipe.
struct ResolveOptions {
  std::vector<std::string> set = {}, unset = {};  ///< "k=v" (v as TOML, or text), "k"
  std::vector<std::string> arms = {};             ///< keep these; empty: all
  std::vector<std::int64_t> seeds = {};           ///< replace the recipe's; empty: its own
  Table sweep = {};                               ///< values of the axes by key, laid over each arm
  bool smoke = false;
  std::int64_t processes = 1;       ///< that train each model together
  bool to_run = false;              ///< packages that the plan reads must be on this machine; else that is a warning
  bool trust_plugins = false;       ///< folders of plugins that the recipe names may be used
  std::filesystem::path root = {};  ///< project root; empty: found from the recipe
  std::vector<RecipeFile> stored = {};  ///< files to read in place of those on the disk; the last is the recipe
  std::string engine_hash = {};         ///< sha256 of libxp_engine
};

/// Reads and resolves; all mistakes go to `problems`. Nothing is returned if there is an error. No plugin is loaded.
/// Datasets' files are hashed (remembered by path, size and time).
XP_API std::optional<Plan> resolve(const std::filesystem::path& recipe, const Catalogue& catalogue,
                                   const ResolveOptions& options, Problems& problems);

/// Plugin folders that the recipe names, from the project's root; empty unless options.trust_plugins. Mistakes go to
/// `problems`, as in resolve().
XP_API std::vector<std::filesystem::path> plugin_folders(const std::filesystem::path& recipe,
                                                         const ResolveOptions& options, Problems& problems);
/// What `xp show` prints: equal text means equal experiment.
XP_API std::string to_text(const Plan& plan);
/// As RunLog stores it (results/run_log.h says the keys).
XP_API Value to_value(const Plan& plan);
/// A value of the effective recipe with what set it: "recipes/r.toml:14", "--set number 2".
struct Origin {
  std::string key, value, place;
};
/// All of them in the order of their places, for `xp show --origin`: of the recipe with its arms beside it or, with
/// options.arms, of those arms as they run (keys begin with "arm NAME: ").
XP_API std::vector<Origin> origins(const std::filesystem::path& recipe, const ResolveOptions& options,
                                   Problems& problems);
/// 16 hex digits: equal for stages with equal settings, whatever their seed and their inputs' content.
XP_API std::string settings_digest(const PlanNode& node);
/// Graphviz text of the stage graph.
XP_API std::string to_dot(const Plan& plan);
/// Libraries that the plan's components come from.
XP_API std::vector<std::string> libraries(const Plan& plan, const Catalogue& catalogue);
/// The nearest folder above `from` with an `xp.toml`, else the working folder.
XP_API std::filesystem::path project_root(const std::filesystem::path& from);

}  // namespace xp
