#pragma once
// Overlays as assignments: what arms, expansions, sweeps and [smoke] change.
#include <string>
#include <string_view>
#include <vector>

#include "recipe/layers.h"

namespace xp::recipe {

using Path = std::vector<PathStep>;

struct Assignment {
  Path path;
  Value value;
};

/// "stage.finetune.terms[0]", for messages.
std::string path_text(const Path& path);
/// True for "stage.finetune.stop": a key that stands for a path.
bool is_path(std::string_view key);
std::vector<std::string> keys_of(const Table* table);
/// True if the component, tower, dataset or stage that the path leads into exists.
bool there(const Table& document, const Path& path);
/// True if the assignment makes a new one, whole.
bool creates(const Assignment& one);

/// Assignments in source order, one for each named table and for each dotted key; `owner` is "arm `ofa`".
std::vector<Assignment> flatten(const Table& overlay, const std::string& owner, Problems& problems);
/// Lays them over a document; what leads nowhere is a problem.
void apply(Table& document, const std::vector<Assignment>& overlay, const std::string& owner, Problems& problems);
/// The same for [smoke]: what `original` has and the arm no longer has is passed over.
void apply_smoke(Table& arm, const Table& original, const std::vector<Assignment>& overlay, Problems& problems);
/// Reports [unknown-path] with the nearest.
void unknown_path(const Table& document, const Path& path, const std::string& owner, const SourceSpan& span,
                  Problems& problems);

}  // namespace xp::recipe
