#pragma once
// The text of an HTML page.
#include <string>
#include <string_view>
#include <vector>

#include "api/document.h"

namespace xp::html {

/// What of a page is read.
struct Selection {
  std::vector<std::string> blocks;  ///< names of the elements whose text counts, in lower case
  std::string below;                ///< id of the element that they lie in; empty: the whole page
  bool with_id = false;             ///< elements without an id are passed over, with all that is in them
};

struct Page {
  std::string text;                    ///< the blocks, each on a line of its own
  std::string title, language;         ///< of `<title>` and `<html lang>`; empty: the page does not say
  std::vector<Annotation> paragraphs;  ///< the blocks
};

/// Reads `content`, whose elements need not be closed. A block within a block is a part of it; scripts and styles are
/// no text; white space is one blank. Throws Error (Exit::data) naming `file` if the page is not UTF-8, nested more
/// than 250 deep, or has no element `below`.
Page read_page(std::string_view content, const std::string& file, const Selection& selection);

}  // namespace xp::html
