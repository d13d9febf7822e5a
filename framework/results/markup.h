#pragma once
// Markup that people's browsers read, for figures and reports. Included by results/*.cpp only.
#include <string>
#include <string_view>
#include <vector>

namespace xp::detail {

/// Text for a place between tags or in a quoted attribute; control characters become visible escapes.
std::string escaped(std::string_view text);
/// A sentence of ours: what stands in backquotes becomes <code>.
std::string sentence(std::string_view text);
/// As escaped(), line by line, for <pre>; a tab becomes four spaces.
std::string escaped_lines(std::string_view text);
/// Two decimals, the same everywhere.
std::string fixed(double value);

/// <name attributes>content</name>; content and attributes are markup.
std::string element(std::string_view name, std::string_view content, std::string_view attributes = {});
/// What is shown when a reader asks for it.
std::string details(std::string_view summary, std::string_view content);
/// "12 345", with thin spaces that do not break.
std::string grouped(std::size_t n);

/// A table that scrolls by itself where the page is narrow. Cells are markup.
class HtmlTable {
 public:
  /// `numbers`: columns behind the first stand to the right.
  explicit HtmlTable(const std::vector<std::string>& head, bool numbers = false);
  void row(const std::vector<std::string>& cells, std::string_view attributes = {});
  std::string text() const;

 private:
  bool numbers_;
  std::string head_, body_;
};

}  // namespace xp::detail
