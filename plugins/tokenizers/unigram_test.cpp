#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "base/error.h"
#include "kit/unicode.h"
#include "testing/tokenizer_checks.h"

namespace unigram_test {

using namespace xp;
using testing::fit;
using testing::ids_of;
using testing::make_tokenizer;

Table table(std::int64_t vocab_size, bool byte_fallback = false) {
  return {
      {"vocab_size", Value(vocab_size)}, {"byte_fallback", Value(byte_fallback)}, {"character_coverage", Value(1.0)}};
}

/// What decoding gives back: NFKC, and one space for each run of white space, none at the ends.
std::string expected(const std::string& text) {
  AlignedText normal(text);
  normal.nfkc();
  std::string out;
  bool gap = false;
  for (const char32_t c : characters(normal.text())) {
    if (is_white_space(c) || c == 0x2581) {
      gap = !out.empty();
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    append_char(out, c);
  }
  return out;
}

TEST_CASE("unigram with bytes decodes any text to its normal form") {
  const auto tokenizer = make_tokenizer("unigram", table(600, true));
  const auto encoder = fit(*tokenizer, testing::shipped_text({"udhr/en", "udhr/ru"}, 8000));
  for (const auto& text : testing::nasty_texts()) {
    CHECK(testing::broken_rule(*encoder, text) == "");
    CHECK(encoder->decode(ids_of(encoder->encode(text))) == expected(text));
    for (const auto& token : encoder->encode(text)) CHECK(token.id != *encoder->reserved("unk"));
  }
  CHECK(testing::broken_key(*encoder) == "");
  CHECK(testing::broken_restore(*tokenizer, *encoder, testing::nasty_texts()) == "");
  const auto newline = encoder->pieces({"\n", WordStart::no, TokenKind::byte});
  REQUIRE(newline.size() == 1);
  CHECK(encoder->text(newline[0]) == "<0x0A>");
  CHECK(encoder->key(newline[0]) == TokenKey{"\n", WordStart::no, TokenKind::byte});
}

TEST_CASE("unigram without bytes has one unknown token for unknown characters in a row") {
  const auto tokenizer = make_tokenizer("unigram", table(300));
  const auto encoder = fit(*tokenizer, testing::shipped_text({"udhr/en"}, 8000));
  const std::string text = "the \xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97 right";
  std::vector<std::string> unknown;
  for (const auto& token : encoder->encode(text))
    if (token.id == *encoder->reserved("unk")) unknown.push_back(text.substr(token.begin, token.end - token.begin));
  CHECK(unknown == std::vector<std::string>{"\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97"});
  for (const auto& nasty : testing::nasty_texts()) CHECK(testing::broken_rule(*encoder, nasty) == "");
  CHECK(testing::broken_key(*encoder) == "");
  CHECK(testing::broken_restore(*tokenizer, *encoder, testing::nasty_texts()) == "");
  CHECK(encoder->pieces({"\xE4\xB8\xAD", WordStart::yes}).empty());
  CHECK(encoder->pieces({"\xE4", WordStart::no}).empty());
}

TEST_CASE("unigram tokens keep the bytes of the input") {
  const auto encoder = fit(*make_tokenizer("unigram", table(300)), testing::shipped_text({"udhr/en"}, 8000));
  // The ligature becomes two letters, the wide space one, and the run of spaces belongs to the word behind it.
  const std::string text = " \xEF\xAC\x81ne \t\xE3\x80\x80 word ";
  const auto tokens = encoder->encode(text);
  REQUIRE(tokens.size() >= 2);
  CHECK(tokens.front().begin == 1);
  CHECK(tokens.back().end == text.size() - 1);
  for (const auto& token : tokens) CHECK((token.word == 0 ? token.end <= 6 : token.begin >= 6));
  for (const auto& token : tokens)
    if (token.word == 1) {
      CHECK(token.begin == 6);
      break;
    }
}

TEST_CASE("unigram cuts words long enough to overwhelm anything quadratic") {
  const auto encoder = fit(*make_tokenizer("unigram", table(300)), testing::shipped_text({"udhr/en"}, 8000));
  const std::string huge(1 << 20, 'a');
  const auto tokens = encoder->encode(huge);
  CHECK(tokens.back().end == huge.size());
  CHECK(encoder->decode(ids_of(tokens)) == huge);
}

TEST_CASE("unigram fits the same with one and four threads") {
  const auto texts = testing::shipped_text({"udhr/en", "udhr/fi", "udhr/ar", "udhr/th", "udhr/el"}, 15000);
  REQUIRE(texts.size() > 50);
  Table settings = table(1200);
  settings["threads"] = Value(std::int64_t{1});
  const auto one = fit(*make_tokenizer("unigram", settings), texts);
  settings["threads"] = Value(std::int64_t{4});
  CHECK(fit(*make_tokenizer("unigram", settings), texts)->json() == one->json());
  CHECK(one->size() == 1200);
  // Real text of the same languages is cut into far fewer tokens than characters, and nothing is unknown.
  std::size_t tokens = 0, chars = 0;
  for (const auto& text : texts) {
    for (const auto& token : one->encode(text)) CHECK(token.id != *one->reserved("unk"));
    tokens += one->encode(text).size();
    chars += characters(text).size();
  }
  CHECK(tokens * 2 < chars);
}

TEST_CASE("unigram learns from the words that encoding sees") {
  // NFKC, then every run of white space and of the mark is one mark, and none ends the text.
  const std::string raw =
      "\xE2\x96\x81 \xEF\xAC\x81ne\t\xC2\xA0\xEF\xBC\xA1\xEF\xBC\xA2 "
      "e\xCC\x81t\xE2\x96\x81\xE3\x80\x80t\xE2\x91\xA0\n";
  const std::string clean = "fine AB \xC3\xA9t t1";
  const auto tokenizer = make_tokenizer("unigram", table(64));
  const std::string raws = raw + raw + raw, cleans = clean + " " + clean + " " + clean;
  const auto encoder = fit(*tokenizer, {raws});
  CHECK(encoder->json() == fit(*tokenizer, {cleans})->json());
  CHECK(testing::ids_of(encoder->encode(raws)) == testing::ids_of(encoder->encode(cleans)));
}

TEST_CASE("unigram refuses what does not fit") {
  const auto tokenizer = make_tokenizer("unigram", table(64));
  CHECK_THROWS_AS(fit(*tokenizer, {"   "}), Error);
  CHECK_THROWS_AS(fit(*make_tokenizer("unigram", table(200, true)), {"text"}), Error);
  const auto encoder = fit(*tokenizer, {"some text some text"});
  const std::string file = encoder->json();
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = file;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  for (const auto& text :
       {changed("\"NFKC\"", "\"NFC\""), changed("\"byte_fallback\": false", "\"byte_fallback\": true"),
        changed("\"unk_id\": 1", "\"unk_id\": 2"), changed("\"always\"", "\"never\""),
        changed("\"<mask>\",\n    0.0", "\"<mask>\",\n    \"0\""),
        changed("\"<s>\",\n    0.0", "\"</s>\",\n    0.0")})
    try {
      tokenizer->restore(text, encoder->purposes());
      FAIL("restored from a changed file");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
    }
}

}  // namespace unigram_test
