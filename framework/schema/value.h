#pragma once
// One value of a recipe with its place. The plan and the components' settings are made of the same type.
#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace xp {

struct Value;
using List = std::vector<Value>;
using Table = std::map<std::string, Value, std::less<>>;

/// What a field that wants an artifact holds once the recipe is resolved.
struct Reference {
  std::string text = {};  ///< as the recipe writes it: "tokens", "icons:test", "hf:DIR"
  std::string kind =
      {};  ///< "checkpoint" "tokenizer" "dataset" "static_vectors" "mixing" "statistics" "predictions" "text"
  std::string node =
      {};  ///< stage node of the plan that makes it ("tuned[duplicates]"); empty: a dataset or from outside
  std::string output = {};                      ///< which output of the node; empty: its first
  std::string split = {};                       ///< of a dataset: "train" "dev" "test" ...
  std::string column = {};                      ///< "dataset#field"
  std::string digest = {};                      ///< identity of the content; of a node: the node's digest
  std::shared_ptr<const Table> component = {};  ///< a dataset: its resolved table with `type`
  std::string path = {};                        ///< from outside: file or folder

  XP_API bool operator==(const Reference& other) const;
};

/// One value; spans say where it and its key were written (empty for defaults) and are no part of equality.
struct Value {
  std::variant<bool, std::int64_t, double, std::string, List, Table, Reference> data;
  SourceSpan span;
  SourceSpan key;

  Value() : data(false) {}
  Value(bool v) : data(v) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Value(T v) : data(static_cast<std::int64_t>(v)) {}
  Value(double v) : data(v) {}
  Value(const char* v) : data(std::string(v)) {}
  Value(std::string v) : data(std::move(v)) {}
  Value(std::string_view v) : data(std::string(v)) {}
  Value(List v) : data(std::move(v)) {}
  Value(Table v) : data(std::move(v)) {}
  Value(Reference v) : data(std::move(v)) {}

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
  template <class T>
  T* as() {
    return std::get_if<T>(&data);
  }
  bool is_number() const { return as<std::int64_t>() || as<double>(); }
  double number() const { return as<std::int64_t>() ? static_cast<double>(*as<std::int64_t>()) : *as<double>(); }

  bool operator==(const Value& other) const { return data == other.data; }
};

/// "boolean" "integer" "real" "text" "list" "table" "reference": what a message calls it.
XP_API std::string_view type_name(const Value& value);
/// One-line TOML with sorted keys: equal values give equal text. References are written as their digest if `digests`,
/// else as the recipe wrote them.
XP_API std::string to_text(const Value& value, bool digests = false);
XP_API std::string to_json(const Value& value);
/// The value at a dotted path ("stage.pretrain.lr", "terms[0].weight"), or null.
XP_API const Value* find(const Table& table, std::string_view path);
/// Reads what to_json wrote (references become tables); throws Error (Exit::data).
XP_API Value value_from_json(std::string_view json);

}  // namespace xp
