#pragma once
// Search indexes of help pages: which texts lead to which pages.
#include <string>
#include <string_view>
#include <vector>

namespace xp::html {

struct IndexEntry {
  std::string text;
  std::string page;  ///< without what follows "?" or "#"
};

/// Reads a list of objects with `url` and `text`, as JSON or as JavaScript writes it: keys without quotes, commas
/// before brackets, `var x =` before the list. Entities in texts are read. Throws Error (Exit::data) naming `file`
/// and the entry if it is no such list or one of the two is missing, no text, or empty.
std::vector<IndexEntry> read_index(std::string_view content, const std::string& file);

}  // namespace xp::html
