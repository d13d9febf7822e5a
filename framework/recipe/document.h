#pragma once
// What a recipe says outside its stages, and which names it gives.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recipe/layers.h"
#include "recipe/plan.h"

namespace xp::recipe {

/// Keys of a document that hold named tables: the kinds of components, `tower` and `stage`.
bool is_named_group(std::string_view key);

/// Top keys as values.
struct Head {
  std::string name, summary;
  PlanSetting setting;
  std::vector<std::int64_t> seeds = {0};
  bool sound = true;  ///< no mistake was found in the top keys, so that their values are those meant
};

/// Checks every top key of a merged recipe; mistakes in one key do not hide those in others.
Head read_head(const Table& document, const ResolveOptions& options, Problems& problems);

/// One name of a document.
struct NamedTable {
  std::string kind;  ///< "dataset", "objective", "tower", "stage" ...
  std::string name;
  const Value* value = nullptr;

  const Table& table() const { return *value->as<Table>(); }
};

/// Datasets, towers, components and stages of one document by name; they share one namespace.
class Names {
 public:
  /// Reports names that are none, groups that are no tables, and names given twice.
  Names(const Table& document, Problems& problems);

  const NamedTable* find(std::string_view name) const;
  /// All of a kind in source order.
  std::vector<const NamedTable*> of_kind(std::string_view kind) const;
  /// Components that a field of the interface can hold, in source order.
  std::vector<const NamedTable*> of_interface(std::string_view interface) const;

 private:
  std::map<std::string, NamedTable, std::less<>> names_;
};

/// The recipe's word for an interface: "initializer" for "vocab_initializer"; the interface itself if it has none.
std::string kind_of_interface(std::string_view interface);

/// "a model", "an optimizer".
std::string with_article(std::string_view word);
/// True if a key that is missing is likely one that was misspelt, which is reported by itself.
bool follows_from_unknown(const std::vector<FieldInfo>& fields, const Table& written, const std::string& missing);
/// "did you mean `x`?", else "there is `a` and `b`", else `none`.
std::string suggestion(std::string_view name, const std::vector<std::string>& known, std::string_view none);

}  // namespace xp::recipe
