#pragma once
// Layers of a recipe: files that extend each other, and what is laid over them.
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "recipe/plan.h"
#include "schema/value.h"

namespace xp::recipe {

/// The texts that a recipe was read from, bases first.
struct Sources {
  std::vector<std::shared_ptr<const SourceText>> texts;
  std::vector<RecipeFile> files;      ///< the same, each once
  std::set<const SourceText*> parts;  ///< files without a format version: shared parts, no recipes of their own

  bool is_part(const SourceSpan& span) const { return parts.contains(span.source.get()); }
};

/// Reads a file and all that it extends, merged; `files` gets every text. A cycle, a missing base and a
/// syntax error are problems and give nothing. With `stored` files, the last of them is read in place of `file`, and
/// nothing on the disk.
std::optional<Table> load_files(const std::filesystem::path& file, const std::filesystem::path& root,
                                const std::vector<RecipeFile>& stored, Sources& files, Problems& problems);

/// options.root, else what project_root() finds from the recipe; of stored files from the working folder.
std::filesystem::path root_of(const std::filesystem::path& file, const ResolveOptions& options);

/// Lays `over` over `base`: tables merge, a table that states another `type` replaces, lists of tables with `id`
/// merge by `id`, everything else replaces. Where `base` names a component of `names` and `over` is a table, it is
/// copied first.
void lay_over(Table& base, const Table& over, const Table& names);

/// One step of a dotted path with indices: "stage.finetune.terms[0].weight".
struct PathStep {
  std::string key;
  std::vector<std::size_t> indices = {};
};
/// Reads a path; keys may be quoted. Nothing if it is not one.
std::optional<std::vector<PathStep>> parse_path(std::string_view text);

/// The value at a path or null.
const Value* value_at(const Table& table, const std::vector<PathStep>& path);
/// Puts a value at a path, with the rules of lay_over; tables that are missing are made. False if an index or a value
/// that is no table stands in the way.
bool put_at(Table& table, const std::vector<PathStep>& path, const Value& value, const Table& names);
/// Removes what is at the path; false if nothing was there.
bool remove_at(Table& table, const std::vector<PathStep>& path);

/// The table of a named component, dataset included, or null.
const Table* named_component(const Table& document, std::string_view name);

}  // namespace xp::recipe
