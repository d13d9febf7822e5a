#include "kit/files/strict_json.h"

#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace xp {
namespace {

using nlohmann::json;

constexpr std::size_t kMostReason = 200;  // characters of what the parser says

// Depth is bounded before the parser runs: values made of values are destroyed and written by recursion.
void check_depth(std::string_view text, std::string_view where, int most) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > most)
        throw Error(std::string(where) + ": its JSON nests deeper than " + std::to_string(most) +
                        " levels (at character " + std::to_string(i) + ")",
                    Exit::data);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

}  // namespace

json parse_strict_json(std::string_view text, std::string_view where, int most_depth) {
  check_depth(text, where, most_depth);
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second)
      throw Error(std::string(where) + ": its JSON has the key " +
                      backquoted(printable(parsed.get_ref<const std::string&>())) + " twice in one object",
                  Exit::data);
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::exception& problem) {
    // The message goes on with the whole text that was read last.
    throw Error(std::string(where) + ": it is not JSON: " + printable(utf8_slice(problem.what(), 0, kMostReason)),
                Exit::data);
  }
}

}  // namespace xp
