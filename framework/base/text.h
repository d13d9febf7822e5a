#pragma once
// Small text helpers that the whole framework shares.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// "1 error", "3 errors".
XP_API std::string count(std::size_t n, std::string_view noun);
/// `name` in backquotes; files can hold names of any length, so of longer ones the first 300 characters and " ...".
XP_API std::string backquoted(std::string_view name);
/// "a", "b" and "c" in backquotes, for messages; at most `most`, then "and 12 more".
XP_API std::string listed(const std::vector<std::string>& names, std::size_t most = 12);
XP_API std::string join(const std::vector<std::string>& parts, std::string_view between);
XP_API std::vector<std::string> split(std::string_view text, char at);
XP_API std::string_view trim(std::string_view text);
/// The candidate with the smallest edit distance (insert, delete, replace, swap of neighbours), if it is near enough
/// to be a typo: at most a third of the longer name.
XP_API std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates);
/// True if the text fits the pattern, in which `*` stands for any run of characters (none included).
XP_API bool fits(std::string_view text, std::string_view pattern);
/// Names of recipes, stages, arms and components: [A-Za-z][A-Za-z0-9_-]{0,63}.
XP_API bool is_name(std::string_view text);
/// Shortest text that reads back as the same double; whole numbers keep ".0" only if `mark` is set.
XP_API std::string number_text(double value, bool mark = false);
/// For people: 1234567 -> "1.23M", 0.00012 -> "0.00012".
XP_API std::string short_number(double value);
/// For people: 93784 s -> "26 h 3 min".
XP_API std::string duration_text(double seconds);
/// For people: 1536 -> "1.5 kB".
XP_API std::string bytes_text(double bytes);

XP_API bool is_utf8(std::string_view text);
/// Characters (code points) of valid UTF-8; what a terminal shows is close to it outside East Asian text.
XP_API std::size_t display_width(std::string_view utf8);
/// `most` characters from character `from` on.
XP_API std::string utf8_slice(std::string_view utf8, std::size_t from, std::size_t most);
/// Control characters escaped, so that text from a file can be shown.
XP_API std::string printable(std::string_view text);

}  // namespace xp
