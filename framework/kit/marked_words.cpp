#include "kit/marked_words.h"

#include "kit/pretokenize.h"

namespace xp {

std::string marked_words(std::string_view text) {
  AlignedText composed(text);
  composed.nfkc();
  std::string out;
  out.reserve(composed.text().size() * 3 / 2);
  bool gap = true;
  for (std::size_t at = 0; at < composed.text().size();) {
    const char32_t c = next_char(composed.text(), at);
    if (is_white_space(c) || c == 0x2581) {
      gap = true;
      continue;
    }
    if (gap) out += kWordMark;
    gap = false;
    append_char(out, c);
  }
  return out;
}

}  // namespace xp
