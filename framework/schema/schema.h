#pragma once
// What a component declares: its parameters, and what it needs and gives. Plain data, copied out of the plugin, kept
// in its manifest; recipes are checked against it without loading or constructing anything.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/quantity.h"
#include "schema/value.h"

namespace xp {

enum class Kind : std::uint8_t {
  boolean,
  integer,
  real,
  text,
  choice,
  quantity,      ///< Quantity; `units` lists what is allowed, Unit::none among them if a bare number is
  distribution,  ///< Distribution
  part,          ///< a nested component of `interface`: a component's name or an inline table
  model,         ///< ModelSpec: a nested model by `type`, or `like` another with changed settings
  artifact,      ///< Reference of kind `interface`
  files,         ///< path patterns; resolving lists the files and puts their content into the digest
  list,          ///< any number of `fields[0]`
  table,         ///< keys as in `fields`
  any_of,        ///< the first of `fields` that the value can be
  anything,      ///< handed over as it is
  map,           ///< a table of any names; each value is `fields[0]`
};

/// One key of a recipe.
struct FieldInfo {
  std::string name = {};
  Kind kind = Kind::text;
  std::string doc = {};                ///< one sentence with a full stop
  std::optional<Value> fallback = {};  ///< the default as a recipe would write it
  bool required = false;
  bool nullable = false;  ///< "none" is a value too: the member is a std::optional, a part or a list
  std::optional<double> min = {}, max = {};
  bool above_min = false, below_max = false;  ///< the bound itself is excluded
  std::vector<std::string> choices = {};
  std::string interface = {};    ///< part: interface; artifact: kind
  std::vector<Unit> units = {};  ///< quantity
  bool schedulable = false;      ///< real: also { from, to, shape, until }; Component::set moves it
  bool learnable = false;        ///< real: also { learn = true, ... }
  bool weighted = false;         ///< list of parts: entries may carry `weight`, which belongs to the list's owner
  bool named = false;            ///< part: the entry carries `as`, the name that metric paths use
  bool evaluates = false;        ///< artifact of kind dataset: the split must be named
  bool changes_results = true;   ///< false: no part of any digest
  std::vector<FieldInfo> fields = {};  ///< list, table, any_of
};

/// Holds if the field's value, as text, is one of `values`; an unset optional part is "none".
struct Condition {
  std::string field;
  std::vector<std::string> values;
};

/// One thing that must be there, or that is there because of the component.
struct Trait {
  std::string what;                  ///< "capability" "field" "reserved" "output" "metric" "split" "parameter"
  std::string name;                  ///< "primary:memory", "labels", "sentinel[100]", "checkpoint", "bits"
  std::string detail = {};           ///< output: artifact kind; metric: unit
  std::vector<Condition> when = {};  ///< all must hold
};

struct Schema {
  std::vector<FieldInfo> fields;
  std::vector<Trait> needs;
  std::vector<Trait> gives;
  bool draws = false;  ///< uses random numbers: the seed is part of the digest (stages)

  XP_API const FieldInfo* find(std::string_view name) const;
};

/// Names that recipes use for interfaces: "objective" -> `objective`, "dataset" -> `data_source` and `dataset`.
XP_API std::vector<std::string> interfaces_of_kind(std::string_view recipe_kind);
XP_API const std::vector<std::string>& recipe_kinds();

/// "real, > 0, default 0.001": what a message or a manual says of a field.
XP_API std::string describe(const FieldInfo& field);
/// The manual page of one component.
XP_API std::string to_markdown(std::string_view interface, std::string_view type, std::string_view summary,
                               const Schema& schema);
/// JSON Schema of one component's table (draft 2020-12), `type` included.
XP_API std::string to_json_schema(std::string_view type, std::string_view summary, const Schema& schema);

/// Manifests hold schemas as JSON. from_json throws Error (Exit::plugin) on anything that is not one.
XP_API std::string schema_to_json(const Schema& schema);
XP_API Schema schema_from_json(std::string_view json);

/// Checks one value against its field; true if it fits. Parts, models, artifacts and files inside are passed over:
/// the reader of recipes resolves them. Problems name the field, the owner ("optimizer `adamw`") and what would be
/// right.
XP_API bool check_value(const FieldInfo& field, const Value& value, std::string_view owner, Problems& problems);

/// Reports [unknown-key] for a key at `path` ("betas.lo") that is none of `fields`, with the nearest as a hint.
/// `more` are keys that would be right besides the fields ("type").
XP_API void report_unknown_key(const std::vector<FieldInfo>& fields, std::string_view path, const SourceSpan& key,
                               std::string_view owner, Problems& problems, const std::vector<std::string>& more = {});
/// Of an any_of field: the first alternative that the value can be; null if there is none. Other fields: themselves.
XP_API const FieldInfo* fitting(const FieldInfo& field, const Value& value);
/// The schedulable fields of resolved settings that hold a ramp, by dotted name; parts inside have their own. Throws
/// Error if one is not a ramp, which check_value would have found.
XP_API std::vector<std::pair<std::string, Ramp>> ramps(const Schema& schema, const Table& settings);

/// True if all conditions hold for a resolved table of the component.
XP_API bool holds(const std::vector<Condition>& when, const Table& settings);

}  // namespace xp
