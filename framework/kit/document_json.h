#pragma once
// Documents and what was decided about them as lines of JSON: what a stage that makes a dataset writes.
#include <string>

#include "api/document.h"
#include "base/export.h"

namespace xp {

/// One line of `documents.jsonl`: the members of the document that are not empty. Throws Error (Exit::data) if a text
/// is no UTF-8.
XP_API std::string document_line(const Document& document);

}  // namespace xp
