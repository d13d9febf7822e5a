#pragma once
// TOML text to values with their places. The only file that toml++ is included by is toml_reader.cpp.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/export.h"
#include "schema/value.h"

namespace xp::recipe {

/// Reads a whole document. A syntax error is reported alone (code `syntax`) and gives nothing; dates and numbers
/// beyond 64 bits are reported as well. Depth and size are bounded, so that no input exhausts the stack.
XP_API std::optional<Table> read_toml(const std::shared_ptr<const SourceText>& source, Problems& problems);

/// The value of an override: `text` as TOML, else as plain text. `column` is where it starts in the override.
XP_API Value read_override(const std::shared_ptr<const SourceText>& source, std::string_view text, int column);

/// Order of two places: by layer, then by line and column.
bool before(const SourceSpan& a, const SourceSpan& b);
/// Keys of a table in the order in which they were written.
std::vector<const Table::value_type*> in_source_order(const Table& table);

}  // namespace xp::recipe
