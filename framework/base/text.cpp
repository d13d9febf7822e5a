#include "base/text.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace xp {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

std::string printed(const char* format, double value) {
  std::array<char, 64> buffer{};
  const int n = std::snprintf(buffer.data(), buffer.size(), format, value);
  return {buffer.data(), static_cast<std::size_t>(n)};
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Length of a valid UTF-8 sequence at the start of the text, 0 if there is none.
std::size_t sequence(std::string_view t) {
  const auto c = static_cast<unsigned char>(t[0]);
  if (c < 0x80) return 1;
  const std::size_t n = c >= 0xF0 && c <= 0xF4 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC2 && c < 0xE0 ? 2 : 0;
  if (n == 0 || t.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if (!continues(t[i])) return 0;
  const auto second = static_cast<unsigned char>(t[1]);
  if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) || (c == 0xF0 && second < 0x90) ||
      (c == 0xF4 && second > 0x8F))
    return 0;  // overlong forms, surrogates, beyond U+10FFFF
  return n;
}

}  // namespace

std::string count(std::size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

std::string backquoted(std::string_view name) {
  constexpr std::size_t kMost = 300, kLongest = 4;  // characters; bytes of one
  if (name.size() <= kMost) return "`" + std::string(name) + "`";
  const auto begin = utf8_slice(name.substr(0, kMost * kLongest), 0, kMost);
  return "`" + begin + (begin.size() < name.size() ? " ...`" : "`");
}

std::string listed(const std::vector<std::string>& names, std::size_t most) {
  if (names.empty()) return "nothing";
  std::string out;
  const std::size_t shown = std::min(most, names.size());
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) out += i + 1 == names.size() ? " and " : ", ";
    out += backquoted(names[i]);
  }
  if (shown < names.size()) out += " and " + std::to_string(names.size() - shown) + " more";
  return out;
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (const auto& part : parts) {
    if (&part != &parts.front()) out += between;
    out += part;
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = text.find(at); end != std::string_view::npos; end = text.find(at, begin)) {
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  std::size_t least = 0;
  for (const auto& candidate : candidates) {
    if (candidate.size() > 64 || name.size() > 64) continue;
    const auto distance = edit_distance(name, candidate);
    const auto limit = std::max<std::size_t>(std::max(name.size(), candidate.size()) / 3, 1);
    if (distance > limit || distance >= std::max(name.size(), candidate.size())) continue;
    if (!best || distance < least) best = candidate, least = distance;
  }
  return best;
}

bool fits(std::string_view text, std::string_view pattern) {
  std::size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++, mark = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1, t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || text.size() > 64 || !letter(text[0])) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

std::string number_text(double value, bool mark) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (mark && text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string short_number(double value) {
  constexpr std::array<std::pair<double, const char*>, 5> kScales{
      {{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  for (const auto& [scale, letter] : kScales)
    if (std::abs(value) >= scale) return printed("%.3g", value / scale) + letter;
  return printed("%.4g", value);
}

std::string duration_text(double seconds) {
  if (seconds < 10) return printed("%.1f s", seconds);
  if (seconds < 120) return printed("%.0f s", seconds);
  const auto minutes = static_cast<long>(std::llround(seconds / 60));
  if (minutes < 120) return std::to_string(minutes) + " min";
  return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
}

std::string bytes_text(double bytes) {
  constexpr std::array<std::pair<double, const char*>, 4> kScales{
      {{1e12, " TB"}, {1e9, " GB"}, {1e6, " MB"}, {1e3, " kB"}}};
  for (const auto& [scale, unit] : kScales)
    if (std::abs(bytes) >= scale) return printed("%.3g", bytes / scale) + unit;
  return printed("%.0f bytes", bytes);
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::size_t display_width(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return !continues(c); }));
}

std::string utf8_slice(std::string_view utf8, std::size_t from, std::size_t most) {
  std::size_t index = 0, begin = utf8.size(), end = utf8.size();
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    if (continues(utf8[i])) continue;
    if (index == from) begin = i;
    if (index == from + most) {
      end = i;
      break;
    }
    ++index;
  }
  return begin >= end ? std::string() : std::string(utf8.substr(begin, end - begin));
}

std::string printable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto n = sequence(text.substr(i));
    const auto c = static_cast<unsigned char>(text[i]);
    if (n == 0 || c < 0x20 || c == 0x7F) {
      if (c == '\n') {
        out += "\\n";
      } else if (c == '\t') {
        out += "\\t";
      } else {
        out += std::string("\\x") + kHex[c >> 4] + kHex[c & 15];
      }
      ++i;
    } else {
      out += text.substr(i, n);
      i += n;
    }
  }
  return out;
}

}  // namespace xp
