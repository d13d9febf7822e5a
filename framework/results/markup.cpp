#include "results/markup.h"

#include <array>
#include <charconv>

#include "base/text.h"

namespace xp::detail {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string sentence(std::string_view text) {
  const auto parts = split(text, '`');
  if (parts.size() % 2 == 0) return escaped(text);  // a backquote without its partner
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i)
    out += i % 2 == 0 ? escaped(parts[i]) : element("code", escaped(parts[i]));
  return out;
}

std::string escaped_lines(std::string_view text) {
  std::string out;
  for (const auto& line : split(text, '\n')) {
    if (!out.empty()) out += '\n';
    const auto parts = split(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line, '\t');
    for (std::size_t i = 0; i < parts.size(); ++i) out += (i > 0 ? "    " : "") + escaped(parts[i]);
  }
  return out;
}

std::string fixed(double value) {
  std::array<char, 400> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, 2).ptr;
  std::string text(buffer.data(), end);
  return text == "-0.00" ? "0.00" : text;
}

std::string element(std::string_view name, std::string_view content, std::string_view attributes) {
  std::string out = "<" + std::string(name);
  if (!attributes.empty()) out.append(" ").append(attributes);
  return out.append(">").append(content).append("</").append(name).append(">");
}

std::string details(std::string_view summary, std::string_view content) {
  return element("details", element("summary", summary) + "\n" + std::string(content)) + "\n";
}

std::string grouped(std::size_t n) {
  auto text = std::to_string(n);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, "\u202F");
  return text;
}

HtmlTable::HtmlTable(const std::vector<std::string>& head, bool numbers) : numbers_(numbers) {
  for (std::size_t i = 0; i < head.size(); ++i)
    head_ += element("th", head[i], numbers_ && i > 0 ? "scope=\"col\" class=\"number\"" : "scope=\"col\"");
}

void HtmlTable::row(const std::vector<std::string>& cells, std::string_view attributes) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i)
    line += i == 0 ? element("th", cells[i], "scope=\"row\"")
                   : element("td", cells[i], numbers_ ? "class=\"number\"" : "");
  body_ += element("tr", line, attributes) + "\n";
}

std::string HtmlTable::text() const {
  return element("div",
                 element("table", element("thead", element("tr", head_)) + "\n" + element("tbody", "\n" + body_)),
                 "class=\"scroll\" tabindex=\"0\"") +
         "\n";
}

}  // namespace xp::detail
