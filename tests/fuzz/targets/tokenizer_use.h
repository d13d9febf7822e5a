#pragma once
// What is done with a tokenizer that could be read: texts in, ids out and back, with the bounds that callers rely on.
#include <array>

#include "target.h"

namespace xp::fuzz {

inline void check_framed(const pipeline::Framed& framed, std::size_t bytes) {
  for (const auto size : {framed.offsets.size(), framed.words.size(), framed.types.size(), framed.attention.size(),
                          framed.special.size(), framed.sequences.size()})
    if (size != framed.size()) finding("a frame whose columns have several lengths");
  for (const auto& span : framed.offsets)
    if (span.begin > span.end || span.end > bytes) finding("an offset outside its text");
}

inline void encode_one(const pipeline::Pipeline& tokenizer, std::string_view text) {
  // Each call may refuse what its step cannot do with the text; the others must still work.
  read_or_refuse("", [&] {
    for (const auto& token : tokenizer.encode(text))
      if (token.begin > token.end || token.end > text.size()) finding("an offset outside its text");
  });
  read_or_refuse("", [&] {
    const auto framed = tokenizer.frame(text);
    check_framed(framed, text.size());
    tokenizer.decode(framed.ids, true);
    tokenizer.decode(framed.ids, false);
  });
  read_or_refuse("", [&] {
    check_framed(tokenizer.frame(text, std::string_view("pair"), false), std::max<std::size_t>(text.size(), 4));
  });
}

/// Encodes short hard texts and the end of the file itself, which holds its own tokens, and asks for some tokens.
inline void use(const pipeline::Pipeline& tokenizer, std::string_view file) {
  using namespace std::string_view_literals;
  constexpr std::size_t kTail = 300;
  static const std::array<std::string_view, 5> texts{
      "", "Hello, world's  12345 \n\t caf\xC3\xA9",
      "a\xCC\x81\xE2\x80\x8D\xF0\x9F\x91\xA9\xE4\xB8\xAD\xE6\x96\x87 \xE2\x96\x81x",
      "\0\xFF\xC3(\xED\xA0\x80 <unk>[MASK]"sv, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  for (const auto text : texts) encode_one(tokenizer, text);
  encode_one(tokenizer, file.substr(file.size() - std::min(file.size(), kTail)));
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{7}, tokenizer.size() - 1}) {
    if (n < 0 || n >= tokenizer.size()) continue;
    const auto id = static_cast<TokenId>(n);
    read_or_refuse("", [&] {
      tokenizer.text(id);
      if (tokenizer.has(id)) tokenizer.pieces(tokenizer.key(id));
    });
  }
  read_or_refuse("", [&] { tokenizer.around(); });
}

}  // namespace xp::fuzz
