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

std::vector<WordCount> count_marked_words(const DataSource& corpus, std::int64_t threads) {
  const auto words_of = [](std::string_view text, const std::function<void(std::string_view)>& word) {
    const std::string marked = marked_words(text);
    const std::string_view all = marked;
    split_before(all, kWordMark, [&](TextSpan span) { word(all.substr(span.begin, span.end - span.begin)); });
  };
  return count_words(corpus, words_of, threads);
}

}  // namespace xp
