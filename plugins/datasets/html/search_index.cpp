#include "search_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/strict_json.h"
#include "page.h"

namespace xp::html {
namespace {

bool is_name(char c) {
  return c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// What JavaScript writes of plain lists and objects, as JSON.
std::string as_json(std::string_view script) {
  std::string out;
  for (std::size_t i = 0; i < script.size();) {
    if (script[i] == '"') {
      const auto begin = i++;
      while (i < script.size() && script[i] != '"') i += script[i] == '\\' ? 2 : 1;
      i = std::min(i + 1, script.size());
      out += script.substr(begin, i - begin);
    } else if (is_name(script[i])) {
      const auto begin = i;
      while (i < script.size() && is_name(script[i])) ++i;
      const auto after = script.find_first_not_of(" \t\r\n", i);
      const bool key = after != std::string_view::npos && script[after] == ':';
      const auto name = std::string(script.substr(begin, i - begin));
      out += key ? '"' + name + '"' : name;
    } else if (script[i] == ',') {
      const auto after = script.find_first_not_of(" \t\r\n", ++i);
      if (after == std::string_view::npos || (script[after] != ']' && script[after] != '}')) out += ',';
    } else {
      out += script[i++];
    }
  }
  return out;
}

std::string field(const nlohmann::json& entry, const char* key, const std::string& place) {
  const auto found = entry.is_object() ? entry.find(key) : entry.end();
  if (found == entry.end() || !found->is_string() || trim(found->get_ref<const std::string&>()).empty())
    throw Error(place + " has no text " + backquoted(key) + "; an entry is an object with `url` and `text`",
                Exit::data);
  return std::string(trim(found->get<std::string>()));
}

}  // namespace

std::vector<IndexEntry> read_index(std::string_view content, const std::string& file) {
  const auto begin = content.find('['), end = content.rfind(']');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin)
    throw Error(file + " has no list of entries between [ and ]", Exit::data);
  const auto list = parse_strict_json(as_json(content.substr(begin, end - begin + 1)),
                                      file + " is no list of objects in JSON or JavaScript", 8);
  std::vector<IndexEntry> out;
  for (const auto& entry : list) {
    const auto place = file + ": entry " + std::to_string(out.size() + 1);
    const auto text = field(entry, "text", place), url = field(entry, "url", place);
    IndexEntry one{read_page("<p>" + text + "</p>", place, {.blocks = {"p"}}).text,
                   url.substr(0, url.find_first_of("?#"))};
    if (one.text.empty() || one.page.empty())
      throw Error(place + " has an empty " + backquoted(one.text.empty() ? "text" : "url"), Exit::data);
    out.push_back(std::move(one));
  }
  if (out.empty()) throw Error(file + " has no entries", Exit::data);
  return out;
}

}  // namespace xp::html
