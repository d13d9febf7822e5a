#include "kit/unicode.h"

#include <catch2/catch_test_macros.hpp>

#include "base/random.h"
#include "base/text.h"
#include "kit/byte_level.h"
#include "kit/pretokenize.h"

using namespace xp;
using Texts = std::vector<std::string>;

namespace {

/// What each byte range of the new text stands for, character by character.
Texts origins(const AlignedText& aligned, const std::string& original) {
  Texts out;
  for (std::size_t at = 0; at < aligned.text().size();) {
    const auto begin = static_cast<std::uint32_t>(at);
    next_char(aligned.text(), at);
    const auto span = aligned.original(begin, static_cast<std::uint32_t>(at));
    out.push_back(original.substr(span.begin, span.end - span.begin));
  }
  return out;
}

template <class Split>
Texts parts(const std::string& text, Split split) {
  Texts out;
  split(text, [&](TextSpan span) { out.push_back(text.substr(span.begin, span.end - span.begin)); });
  return out;
}

}  // namespace

TEST_CASE("broken UTF-8 is replaced per maximal broken sequence") {
  // The examples of the Unicode standard, table 3-8 to 3-11.
  const std::string r = "\uFFFD";
  CHECK(repaired_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(repaired_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(repaired_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(repaired_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == r + r + r + r + "A");
  CHECK(repaired_utf8("fine \u00E9") == "fine \u00E9");
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b), 'x'};
      CHECK(is_utf8(repaired_utf8(text)));
      CHECK((repaired_utf8(text) == text) == is_utf8(text));
    }
}

TEST_CASE("characters and their classes") {
  for (const char32_t c : {U'\0', U'a', U'\u00E9', U'\u4E2D', U'\U0001F600', U'\U0010FFFF'}) {
    const std::string text = char_text(c);
    std::size_t at = 0;
    CHECK(next_char(text, at) == c);
    CHECK(at == text.size());
  }
  CHECK(is_white_space(U'\u3000'));
  CHECK(is_punctuation(U'$'));
  CHECK(is_punctuation(U'\u3002'));
  CHECK_FALSE(is_punctuation(U'\u20AC'));
  // Categories of Unicode 8, which later versions changed.
  CHECK(is_nonspacing_mark(U'\u1734'));
  CHECK_FALSE((is_nonspacing_mark(U'\u1885') || is_nonspacing_mark(U'\uA9BD')));
  CHECK(script_of(U'\u3042') == script_of(U'\u4E2D'));
  CHECK(script_of(U'a') != script_of(U'\u0430'));
  std::string lower;
  append_lower(lower, U'\u0130'), append_lower(lower, U'\u03A3'), append_lower(lower, U'\u00C9');
  CHECK(lower == "i\u0307\u03C3\u00E9");
}

TEST_CASE("normalised text finds its way back") {
  std::string text = "A\u030A x \uFB01 \u212B";  // composed, ligature, singleton
  AlignedText aligned(text);
  aligned.nfc();
  CHECK(aligned.text() == "\u00C5 x \uFB01 \u00C5");
  CHECK(origins(aligned, text) == Texts{"A\u030A", " ", "x", " ", "\uFB01", " ", "\u212B"});
  aligned.nfkc();
  CHECK(aligned.text() == "\u00C5 x fi \u00C5");
  CHECK(origins(aligned, text) == Texts{"A\u030A", " ", "x", " ", "\uFB01", "\uFB01", " ", "\u212B"});
  aligned.nfd();
  CHECK(aligned.text() == "A\u030A x fi A\u030A");
  CHECK(origins(aligned, text) ==
        Texts{"A\u030A", "A\u030A", " ", "x", " ", "\uFB01", "\uFB01", " ", "\u212B", "\u212B"});
  aligned.rewrite([](char32_t c, std::string_view bytes, TextSpan from, bool same, auto& out) {
    if (c == U' ') return;
    if (c == U'x') out.put("[", {from.begin, from.begin}, false);
    out.put(bytes, from, same);
  });
  CHECK(aligned.text() == "A\u030A[xfiA\u030A");
  CHECK(origins(aligned, text) == Texts{"A\u030A", "A\u030A", "", "x", "\uFB01", "\uFB01", "\u212B", "\u212B"});
}

TEST_CASE("broken bytes keep their place") {
  const std::string text = "a\xFF\xE2\x82z";
  AlignedText aligned(text);
  CHECK(aligned.text() == "a\uFFFD\uFFFDz");
  CHECK(origins(aligned, text) == Texts{"a", "\xFF", "\xE2\x82", "z"});
  const auto all = aligned.original(0, static_cast<std::uint32_t>(aligned.text().size()));
  CHECK(all == TextSpan{0, static_cast<std::uint32_t>(text.size())});
}

TEST_CASE("word boundaries are bytes") {
  const std::string text =
      "Don't stop \u4E2D\u6587 \u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35\u0E0A\u0E32\u0E27\u0E42\u0E25\u0E01";
  Texts words;
  for (const auto span : word_spans(text)) words.push_back(text.substr(span.begin, span.end - span.begin));
  REQUIRE(words.size() >= 5);
  CHECK(words[0] == "Don't");
  CHECK(words[1] == "stop");
  CHECK(words[2] == "\u4E2D\u6587");
  CHECK(words[3] == "\u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35");  // a dictionary knows that Thai "hello" ends here
}

TEST_CASE("sentence boundaries are bytes, without the white space around sentences") {
  const std::string text = "  Is it so? \u00DCber 3.5 m.\n\u4E2D\u6587\u3002\u6587 \xFF! \n ";
  Texts sentences;
  for (const auto span : sentence_spans(text)) sentences.push_back(text.substr(span.begin, span.end - span.begin));
  CHECK(sentences == Texts{"Is it so?", "\u00DCber 3.5 m.", "\u4E2D\u6587\u3002", "\u6587 \xFF!"});
  CHECK(sentence_spans("").empty());
  CHECK(sentence_spans(" \n").empty());
}

TEST_CASE("splitting into words") {
  const auto bert = [](const std::string& text, const VisitWord& visit) {
    split_words_and_punctuation(text, true, visit);
  };
  CHECK(parts("a-b  c!? \u4E2D\u6587x", bert) == Texts{"a", "-", "b", "c", "!", "?", "\u4E2D", "\u6587", "x"});
  CHECK(parts("", bert).empty());
  const auto mark = [](const std::string& text, const VisitWord& visit) { split_before(text, "_", visit); };
  CHECK(parts("_a_b__c", mark) == Texts{"_a", "_b", "_", "_c"});
  CHECK(parts("a_", mark) == Texts{"a", "_"});
  const WordPattern pattern("[a-z]+");
  const auto regex = [&](const std::string& text, const VisitWord& visit) { pattern.split(text, visit); };
  CHECK(parts("ab1\u00E9cd", regex) == Texts{"ab", "1\u00E9", "cd"});
  CHECK_THROWS(WordPattern("(a"));
}

TEST_CASE("GPT-2's words are the matches of its expression") {
  const WordPattern pattern(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)");
  const Texts signs{"a",  "s", "re", "ll", "'",  "'s",     " ",      "  ",    "\n",
                    "\t", "1", "23", ",",  "!?", "\u00E9", "\u4E2D", "\u00A0"};
  RandomStream random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (auto n = random.below(120); n > 0; --n) text += signs[random.below(signs.size())];
    CHECK(parts(text, split_gpt2_words) ==
          parts(text, [&](const std::string& of, const VisitWord& visit) { pattern.split(of, visit); }));
  }
}

TEST_CASE("the byte-level table is a bijection of printable characters") {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  const std::string text = to_byte_level(all);
  CHECK(from_byte_level(text) == all);
  CHECK(to_byte_level(" \n") == "\u0120\u010A");
  CHECK_FALSE(from_byte_level(" "));
  CHECK_FALSE(from_byte_level("\u4E2D"));
  for (const char32_t c : characters(text)) CHECK((!is_white_space(c) && !is_control(c)));
}
