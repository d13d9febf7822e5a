#pragma once
// Recipe values to resolved settings: names looked up, parts opened, defaults filled in, artifacts referred to.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "recipe/graph.h"

namespace xp::recipe {

/// A key as messages call it.
struct Place {
  std::string path;       ///< "lr", "terms[1]"
  std::string owner;      ///< "optimizer `adamw`"
  bool relative = false;  ///< inside `like`: numbers may be factors

  std::string text() const { return backquoted_path() + " of " + owner; }
  Place key(std::string_view name) const {
    return {path.empty() ? std::string(name) : path + "." + std::string(name), owner, relative};
  }
  Place item(std::size_t index) const { return {path + "[" + std::to_string(index) + "]", owner, relative}; }

 private:
  std::string backquoted_path() const { return "`" + path + "`"; }
};

class Resolver {
 public:
  /// `graph` answers for other stages; null while a component stands alone, outside of any stage.
  Resolver(const World& world, const Names& names, Graph* graph) : world_(world), names_(names), graph_(graph) {}

  /// The settings of a component's table with `type`. `more` are keys of the framework that stay as they are.
  std::optional<Table> component(const std::vector<std::string>& interfaces, const Value& value,
                                 const std::vector<std::string>& more = {});
  /// A dataset by name, with `split` and `sampling`.
  std::shared_ptr<const Table> dataset(const NamedTable& named);
  /// A tower by name.
  std::optional<Table> tower(const NamedTable& named);

  /// Looks up the stage's own model before its other settings are resolved, for parts that are `like` it.
  void find_primary(const Table& stage);

  Gathered& gathered() { return gathered_; }

 private:
  friend class References;
  std::optional<Value> field(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> plain(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> part(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> named_part(const FieldInfo& info, const std::string& name, const Value& value,
                                  const Place& place);
  std::optional<Value> inline_part(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> model(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> like(const Value& value, const Place& place);
  std::optional<Value> files(const Value& value, const Place& place);
  std::optional<Value> list(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> table(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> map(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> any_of(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<Value> any_name(const FieldInfo& info, const std::string& text, const Value& value,
                                const Place& place);
  std::optional<Value> reference(const FieldInfo& info, const Value& value, const Place& place);
  std::optional<List> references(const FieldInfo& info, const Value& value, const Place& place, bool many);
  void unknown_name(const std::vector<FieldInfo>& kinds, const std::string& text, const Value& value,
                    const Place& place);

  bool settings(const std::vector<FieldInfo>& fields, const Table& from, const Place& place, const SourceSpan& span,
                Table& out);
  std::optional<Value> fallback(const FieldInfo& info, const Place& place);
  const NamedTable* only_component(const FieldInfo& info) const;
  bool is_part_of_dataset(const Table& table);
  void name_evaluators(List& list, const List& written, const Place& place);
  void declare(const ComponentInfo& info, const Table& settings, const std::string& owner, const SourceSpan& span);

  const World& world_;
  const Names& names_;
  Graph* graph_;
  Gathered gathered_;
  std::size_t parts_ = 0;          // components made so far
  std::vector<std::string> open_;  // named components that are being resolved
  std::string primary_;            // type of the stage's own model, for `like`; empty: not known
};

/// True if the text names something from outside ("hf:DIR").
bool is_outside(std::string_view text);

}  // namespace xp::recipe
