#pragma once
// Fields of JSON that was stored by this program; every mistake is an Error (Exit::data) naming the place.
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "schema/value.h"

namespace xp::detail {

class Stored {
 public:
  Stored(const Table& table, std::string where) : table_(table), where_(std::move(where)) {}

  bool has(std::string_view key) const { return table_.find(key) != table_.end(); }
  const std::string& text(std::string_view key) const { return as<std::string>(key, "a text"); }
  std::int64_t integer(std::string_view key) const { return as<std::int64_t>(key, "an integer"); }
  double number(std::string_view key) const {
    const auto& value = field(key);
    if (!value.is_number()) throw wrong(key, "a number");
    return value.number();
  }
  const Table& table(std::string_view key) const { return as<Table>(key, "an object"); }
  const List& list(std::string_view key) const { return as<List>(key, "an array"); }
  Error wrong(std::string_view key, std::string_view right) const {
    return Error(where_ + ": " + backquoted(key) + " is not " + std::string(right), Exit::data);
  }

 private:
  const Value& field(std::string_view key) const {
    const auto found = table_.find(key);
    if (found == table_.end()) throw Error(where_ + ": " + backquoted(key) + " is missing", Exit::data);
    return found->second;
  }
  template <class T>
  const T& as(std::string_view key, std::string_view right) const {
    if (const auto* value = field(key).template as<T>()) return *value;
    throw wrong(key, right);
  }

  const Table& table_;
  std::string where_;
};

/// Parses an object; throws Error (Exit::data) naming `where`.
inline Table stored_object(std::string_view json, const std::string& where) {
  try {
    auto value = value_from_json(json);
    if (auto* table = value.as<Table>()) return std::move(*table);
  } catch (const Error& error) {
    throw Error(where + ": " + error.what(), Exit::data);
  }
  throw Error(where + ": it is not a JSON object", Exit::data);
}

}  // namespace xp::detail
