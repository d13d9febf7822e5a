#pragma once
// What a family's file says of one setting: where it lies in a configuration, and what its values are called.
#include "family.h"

namespace xp::hugging_face {

/// Names of values there and here, by kind.
const Json& value_names();
/// The value at a dotted path; null if it is not there or is null.
const Json* at_path(const Json& config, const std::string& path);
/// Where a rule's value may lie, in order.
std::vector<std::string> paths_of(const Json& rule);
void set_path(Json& config, const std::string& path, Json value);
/// A setting's value as configurations write it.
Value value_of(const Json& json);
/// A value for messages: neither long nor with line ends, whatever the file holds.
std::string text_of(const Json& json);
/// A setting's number or text; 0 or nothing if it has none.
std::int64_t whole(const Table& settings, const char* key);
std::string word(const Table& settings, const char* key);

/// The setting `name` from a configuration; `known` are those that were read before. Throws Error (Exit::data) with
/// file and key for what is missing or wrong.
Value read_rule(const std::string& name, const Json& rule, const Json& config, const HasTensor& has,
                const Table& known, const std::string& file);

}  // namespace xp::hugging_face
