#pragma once
// Paragraphs of a document, and the document without some of them.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/document.h"
#include "base/text.h"
#include "kit/unicode.h"

namespace xp {
namespace detail {

inline std::vector<TextSpan> marked_paragraphs(const Document& document) {
  std::vector<TextSpan> marks, out;
  for (const auto& mark : document.annotations)
    if (mark.kind == "paragraph" && mark.begin < mark.end && mark.end <= document.text.size())
      marks.push_back({static_cast<std::uint32_t>(mark.begin), static_cast<std::uint32_t>(mark.end)});
  std::sort(marks.begin(), marks.end());
  for (const auto& mark : marks)
    if (out.empty() || mark.begin >= out.back().end) out.push_back(mark);
  return out;
}

inline std::vector<TextSpan> blocks_of_lines(std::string_view text) {
  std::vector<TextSpan> out;
  bool open = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto line_end = std::min(text.find('\n', at), text.size());
    const bool blank = trim(text.substr(at, line_end - at)).empty();
    if (!blank && !open) out.push_back({static_cast<std::uint32_t>(at), 0});
    if (!blank) out.back().end = static_cast<std::uint32_t>(line_end);
    open = !blank, at = line_end + 1;
  }
  return out;
}

}  // namespace detail

/// What the source marks as paragraphs, else what stands between empty lines; in order and apart from each other.
inline std::vector<TextSpan> paragraphs_of(const Document& document) {
  auto marked = detail::marked_paragraphs(document);
  return marked.empty() ? detail::blocks_of_lines(document.text) : marked;
}

/// The document without the paragraphs that are not kept, and without the line ends behind them. Annotations shrink
/// by what is cut; those of which nothing is left are gone. `paragraphs` are those of paragraphs_of, `kept` has one
/// entry for each.
inline Document without_paragraphs(Document document, const std::vector<TextSpan>& paragraphs,
                                   const std::vector<bool>& kept) {
  if (std::find(kept.begin(), kept.end(), false) == kept.end()) return document;
  const std::string text = std::move(document.text);
  std::string left;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> cuts;  // where one begins, and the bytes it takes
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < paragraphs.size(); ++i) {
    if (kept[i]) continue;
    std::uint64_t end = paragraphs[i].end;
    while (end < text.size() && (text[end] == '\n' || text[end] == '\r')) ++end;
    left.append(text, at, paragraphs[i].begin - at);
    cuts.emplace_back(paragraphs[i].begin, end - paragraphs[i].begin), at = end;
  }
  left.append(text, at);
  const bool last_cut = !kept.back() && at == text.size();
  while (last_cut && (left.ends_with('\n') || left.ends_with('\r'))) left.pop_back();
  const auto moved = [&](std::uint64_t place) {
    std::uint64_t before = 0;
    for (const auto& [begin, bytes] : cuts)
      if (begin < place) before += std::min(bytes, place - begin);
    return std::min<std::uint64_t>(place - before, left.size());
  };
  std::vector<Annotation> marks;
  for (auto& mark : document.annotations) {
    const bool empty = mark.begin == mark.end;
    mark.begin = moved(mark.begin), mark.end = moved(mark.end);
    if (empty || mark.begin < mark.end) marks.push_back(std::move(mark));
  }
  document.text = std::move(left), document.annotations = std::move(marks);
  return document;
}

}  // namespace xp
