#pragma once
// Reading our own JSON files: whatever does not fit is an error that names the file.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "schema/value.h"

namespace xp {

inline nlohmann::json read_json(const std::filesystem::path& file) {
  auto parsed = nlohmann::json::parse(read_file(file, std::uint64_t{1} << 32), nullptr, false);
  if (parsed.is_discarded()) throw Error(file.string() + " is not JSON", Exit::data);
  return parsed;
}

template <class T>
T json_entry(const nlohmann::json& object, const char* key, const std::filesystem::path& file) {
  try {
    return object.at(key).get<T>();
  } catch (const nlohmann::json::exception&) {
    throw Error(file.string() + " has no usable entry " + backquoted(key), Exit::data);
  }
}

inline Table json_table(const nlohmann::json& object, const std::filesystem::path& file) {
  auto value = value_from_json(object.dump());
  if (auto* table = value.as<Table>()) return std::move(*table);
  throw Error(file.string() + " holds " + std::string(type_name(value)) + " where settings are expected", Exit::data);
}

}  // namespace xp
