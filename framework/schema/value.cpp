#include "schema/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace xp {
namespace {

using Json = nlohmann::json;

constexpr int kDeepest = 64;
constexpr const char* kSpecial = "$real";  // JSON has no infinities and no NaN

std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

bool bare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::string reference_text(const Reference& reference, bool digests) {
  if (!digests || reference.digest.empty()) return escaped(reference.text);
  std::string out = "@" + reference.digest;
  if (!reference.output.empty()) out += "." + reference.output;
  if (!reference.split.empty()) out += ":" + reference.split;
  if (!reference.column.empty()) out += "#" + reference.column;
  return out;
}

struct Writer {
  bool digests;
  std::string out = {};

  void write(const Value& value) {
    std::visit([this](const auto& v) { put(v); }, value.data);
  }
  void put(bool v) { out += v ? "true" : "false"; }
  void put(std::int64_t v) { out += std::to_string(v); }
  void put(double v) { out += number_text(v, true); }
  void put(const std::string& v) { out += escaped(v); }
  void put(const Reference& v) { out += reference_text(v, digests); }
  void put(const List& v) {
    out += "[";
    for (const auto& one : v) {
      if (&one != &v.front()) out += ", ";
      write(one);
    }
    out += "]";
  }
  void put(const Table& v) {
    out += "{";
    const char* between = " ";
    for (const auto& [key, one] : v) {
      out += between + (bare(key) ? key : escaped(key)) + " = ";
      write(one);
      between = ", ";
    }
    out += v.empty() ? "}" : " }";
  }
};

Json to(const Value& value);

Json json_of(bool v) { return v; }
Json json_of(std::int64_t v) { return v; }
Json json_of(double v) { return std::isfinite(v) ? Json(v) : Json{{kSpecial, number_text(v)}}; }
Json json_of(const std::string& v) { return v; }
Json json_of(const List& v) {
  Json out = Json::array();
  for (const auto& one : v) out.push_back(to(one));
  return out;
}
Json json_of(const Table& v) {
  Json out = Json::object();
  for (const auto& [key, one] : v) out[key] = to(one);
  return out;
}
Json json_of(const Reference& v) {
  Json out{{"reference", v.text}};
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) out[key] = text;
  };
  add("kind", v.kind), add("node", v.node), add("output", v.output), add("split", v.split), add("column", v.column);
  add("digest", v.digest), add("path", v.path);
  if (v.component) out["component"] = json_of(*v.component);
  return out;
}

Json to(const Value& value) {
  return std::visit([](const auto& v) { return json_of(v); }, value.data);
}

Error not_a_value(const std::string& why) { return Error("JSON does not hold a value: " + why, Exit::data); }

Value from(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean: return json.get<bool>();
    case Json::value_t::number_integer: return json.get<std::int64_t>();
    case Json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw not_a_value(json.dump() + " does not fit 64 bits with a sign");
      return json.get<std::int64_t>();
    case Json::value_t::number_float: return json.get<double>();
    case Json::value_t::string: return json.get<std::string>();
    case Json::value_t::array: {
      List list;
      for (const auto& one : json) list.push_back(from(one));
      return list;
    }
    case Json::value_t::object: {
      if (json.size() == 1 && json.contains(kSpecial)) {
        const auto& text = json.at(kSpecial);
        if (text == "inf") return std::numeric_limits<double>::infinity();
        if (text == "-inf") return -std::numeric_limits<double>::infinity();
        if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
      }
      Table table;
      for (const auto& [key, one] : json.items()) table.emplace(key, from(one));
      return table;
    }
    default: throw not_a_value("there is no `null` here");
  }
}

// One step of a path: a key, then any number of "[n]".
const Value* step(const Table& table, std::string_view part) {
  if (const auto whole = table.find(part); whole != table.end()) return &whole->second;
  const auto open = part.find('[');
  if (open == std::string_view::npos) return nullptr;
  const auto found = table.find(part.substr(0, open));
  if (found == table.end()) return nullptr;
  const Value* value = &found->second;
  part.remove_prefix(open);
  while (!part.empty()) {
    const auto close = part.find(']');
    const auto* list = value->as<List>();
    if (part[0] != '[' || close == std::string_view::npos || !list) return nullptr;
    std::size_t index = 0;
    const auto digits = part.substr(1, close - 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || index >= list->size()) return nullptr;
    value = &(*list)[index];
    part.remove_prefix(close + 1);
  }
  return value;
}

}  // namespace

bool Reference::operator==(const Reference& other) const {
  const auto same_component = [&] {
    if (component == other.component) return true;
    return component && other.component && *component == *other.component;
  };
  return text == other.text && kind == other.kind && node == other.node && output == other.output &&
         split == other.split && column == other.column && digest == other.digest && path == other.path &&
         same_component();
}

std::string_view type_name(const Value& value) {
  constexpr std::string_view kNames[] = {"boolean", "integer", "real", "text", "list", "table", "reference"};
  return kNames[value.data.index()];
}

std::string to_text(const Value& value, bool digests) {
  Writer writer{digests};
  writer.write(value);
  return std::move(writer.out);
}

std::string to_json(const Value& value) { return to(value).dump(-1, ' ', false, Json::error_handler_t::replace); }

const Value* find(const Table& table, std::string_view path) {
  const Table* at = &table;
  for (;;) {
    const auto dot = path.find('.');
    const Value* value = step(*at, path.substr(0, dot));
    if (!value || dot == std::string_view::npos) return value;
    at = value->as<Table>();
    if (!at) return nullptr;
    path.remove_prefix(dot + 1);
  }
}

Value value_from_json(std::string_view json) {
  try {
    return from(Json::parse(json, [](int depth, Json::parse_event_t event, Json&) {
      const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
      if (opens && depth >= kDeepest) throw not_a_value("it is nested deeper than " + std::to_string(kDeepest));
      return true;
    }));
  } catch (const Json::exception& error) {
    throw not_a_value(error.what());
  }
}

}  // namespace xp
