#include <catch2/catch_test_macros.hpp>

#include "base/error.h"
#include "testing/tokenizer_checks.h"

namespace wordpiece_test {

using namespace xp;
using testing::fit;
using testing::ids_of;
using testing::make_tokenizer;

std::vector<std::string> pieces_of(const Encoder& encoder, const std::string& text) {
  std::vector<std::string> out;
  for (const auto& token : encoder.encode(text)) out.push_back(encoder.text(token.id));
  return out;
}

std::vector<std::string> spans_of(const Encoder& encoder, const std::string& text) {
  std::vector<std::string> out;
  for (const auto& token : encoder.encode(text)) out.push_back(text.substr(token.begin, token.end - token.begin));
  return out;
}

using Texts = std::vector<std::string>;

Table table(std::int64_t vocab_size) {
  return {{"vocab_size", Value(vocab_size)}, {"min_count", Value(std::int64_t{1})}};
}

TEST_CASE("wordpiece merges the most frequent neighbours, then takes the longest match") {
  const auto tokenizer = make_tokenizer("wordpiece", table(16));
  // Words: low x5, lower x2. Symbols l ##o ##w ##e ##r; (##o,##w) and (l,##o) both occur 7 times: the smaller pair is
  // the one with the smaller left symbol, l.
  const auto encoder = fit(*tokenizer, {"low low low low low lower lower"});
  CHECK(encoder->text(5) == "l");
  CHECK(encoder->text(6) == "##e");
  CHECK(encoder->text(10) == "lo");
  CHECK(encoder->text(11) == "low");
  CHECK(encoder->text(12) == "##er");
  CHECK(encoder->text(13) == "lower");
  CHECK(encoder->size() == 14);
  CHECK(pieces_of(*encoder, "lower lowe low") == Texts{"lower", "low", "##e", "low"});
  CHECK(pieces_of(*encoder, "slow") == Texts{"[UNK]"});
}

TEST_CASE("wordpiece reserves ids by purpose, standard ones first") {
  const auto tokenizer = make_tokenizer("wordpiece", table(40));
  const auto encoder = fit(*tokenizer, {"some text"}, {{"sentinel", 3}, {"mask", 2}, {"query", 1}});
  CHECK(encoder->text(*encoder->reserved("pad")) == "[PAD]");
  CHECK(*encoder->reserved("pad") == 0);
  CHECK(encoder->text(*encoder->reserved("begin")) == "[CLS]");
  CHECK(encoder->reserved("mask") == 4);
  CHECK(encoder->text(*encoder->reserved("mask", 1)) == "[mask_1]");
  CHECK(encoder->text(*encoder->reserved("sentinel", 2)) == "[sentinel_2]");
  CHECK(encoder->key(*encoder->reserved("sentinel", 2)).purpose == "sentinel.2");
  CHECK_FALSE(encoder->reserved("sentinel", 3));
  CHECK(encoder->size() <= 40);
}

TEST_CASE("wordpiece offsets are bytes of the input before normalisation") {
  Table settings = table(200);
  settings["lowercase"] = Value(true), settings["strip_accents"] = Value(true);
  const auto encoder =
      fit(*make_tokenizer("wordpiece", settings), {"istanbul cafe resume \xE4\xB8\xAD \xE6\x96\x87"});
  // A mark that is stripped belongs to no token.
  CHECK(spans_of(*encoder, "  \xC4\xB0STANBUL Cafe\xCC\x81,") == Texts{"\xC4\xB0STANBUL", "Cafe", ","});
  CHECK(spans_of(*encoder, "\xE4\xB8\xAD\xE6\x96\x87") == Texts{"\xE4\xB8\xAD", "\xE6\x96\x87"});
  CHECK(pieces_of(*encoder, "CAF\xC3\x89 r\xC3\xA9sum\xC3\xA9") == Texts{"cafe", "resume"});
  const auto tokens = encoder->encode("cafe, resume");
  REQUIRE(tokens.size() == 3);
  CHECK(tokens[0].word == 0);
  CHECK(tokens[2].word == 2);
}

TEST_CASE("wordpiece keys are bytes without markers") {
  const auto encoder = fit(*make_tokenizer("wordpiece", table(60)), {"talk talking walking \xE4\xB8\xAD . ing"});
  bool continuing = false;
  for (TokenId id = 0; id < encoder->size(); ++id) {
    const auto key = encoder->key(id);
    if (encoder->text(id) == "##ing") {
      continuing = true;
      CHECK(key == TokenKey{"ing", WordStart::no});
    }
    if (encoder->text(id) == "talk") CHECK(key == TokenKey{"talk", WordStart::yes});
    if (encoder->text(id) == "." || encoder->text(id) == "\xE4\xB8\xAD") CHECK(key.word_start == WordStart::unknown);
  }
  CHECK(continuing);
  CHECK(testing::broken_key(*encoder) == "");
  CHECK(encoder->pieces({"qqq", WordStart::yes}).empty());
  CHECK(encoder->pieces({"", WordStart::no, TokenKind::special, "mask"}) == std::vector<TokenId>{4});
  CHECK(encoder->decode(ids_of(encoder->encode("talking . walking"))) == "talking . walking");
}

TEST_CASE("wordpiece keeps its rules on nasty text and restores to the same") {
  for (const bool lower : {false, true}) {
    Table settings = table(500);
    settings["lowercase"] = Value(lower), settings["strip_accents"] = Value(lower);
    auto texts = testing::nasty_texts();
    const auto tokenizer = make_tokenizer("wordpiece", settings);
    const auto encoder = fit(*tokenizer, texts);
    texts.push_back(std::string(1 << 20, 'a'));
    for (const auto& text : texts) CHECK(testing::broken_rule(*encoder, text) == "");
    CHECK(testing::broken_key(*encoder) == "");
    CHECK(testing::broken_restore(*tokenizer, *encoder, texts) == "");
    const auto huge = encoder->encode(texts.back());
    REQUIRE(huge.size() == 1);
    CHECK(huge[0].id == *encoder->reserved("unk"));
    CHECK(huge[0].end == texts.back().size());
  }
}

TEST_CASE("wordpiece learns the same with one and four threads") {
  const auto texts = testing::shipped_text({"udhr/en", "udhr/de", "udhr/ru", "udhr/hi", "udhr/zh-CN"}, 20000);
  REQUIRE(texts.size() > 50);
  Table settings = table(1500);
  settings["threads"] = Value(std::int64_t{1});
  const auto one = fit(*make_tokenizer("wordpiece", settings), texts);
  settings["threads"] = Value(std::int64_t{4});
  auto backwards = texts;
  std::reverse(backwards.begin(), backwards.end());
  CHECK(fit(*make_tokenizer("wordpiece", settings), backwards)->json() == one->json());
  CHECK(one->size() == 1500);
}

TEST_CASE("wordpiece learns from the words that encoding sees") {
  // Controls go, all white space is a space, accents go or stay composed, case is lowered, broken bytes are no
  // letters.
  using namespace std::string_literals;
  const std::string raw =
      "A\xCC\x8A\tn\0gstro\xCC\x88m\xC2\xA0\xC3\x85NGSTR\xC3\x96M\r\n\x01\xE2\x80\x8B\xC4\xB0stanbul \xFFkilo\x0B\xE2\x84\xAA\x7Fg"s;
  for (const bool strip : {false, true}) {
    Table settings = table(120);
    settings["min_count"] = Value(std::int64_t{1});
    settings["lowercase"] = Value(true), settings["strip_accents"] = Value(strip);
    const auto tokenizer = make_tokenizer("wordpiece", settings);
    const std::string clean = strip ? "a ngstrom angstrom istanbul kilokg"
                                    : "\xC3\xA5 ngstr\xC3\xB6m \xC3\xA5ngstr\xC3\xB6m i\xCC\x87stanbul kilokg";
    const auto encoder = fit(*tokenizer, {raw});
    CHECK(encoder->json() == fit(*tokenizer, {clean})->json());
    // Every word became a token, as encoding cuts it.
    CHECK(encoder->encode(raw).size() == encoder->encode(clean).size());
    CHECK(encoder->encode(raw).size() == 5);
  }
}

TEST_CASE("wordpiece refuses what does not fit") {
  CHECK_THROWS_AS(make_tokenizer("wordpiece", {{"continuing_prefix", Value("x")}}), Error);
  const auto tokenizer = make_tokenizer("wordpiece", table(16));
  CHECK_THROWS_AS(fit(*tokenizer, {}), Error);
  CHECK_THROWS_AS(fit(*tokenizer, {"text"}, {{"sentinel", 100}}), Error);
  CHECK_THROWS_AS(fit(*tokenizer, {"text"}, {{"sentinel", -1}}), Error);
  const auto encoder = fit(*tokenizer, {"text"});
  CHECK_THROWS_AS(encoder->text(1000), Error);
  CHECK_THROWS_AS(encoder->decode(std::vector<TokenId>{-1}), Error);
  const std::string file = encoder->json();
  CHECK_THROWS_AS(tokenizer->restore("{", encoder->purposes()), Error);
  CHECK_THROWS_AS(tokenizer->restore("[]", encoder->purposes()), Error);
  CHECK_THROWS_AS(tokenizer->restore(file, {}), Error);
  CHECK_THROWS_AS(tokenizer->restore(file, {{"pad", 0}, {"unk", 1}, {"begin", 2}, {"end", 3}, {"mask", 99}}), Error);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = file;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  for (const auto& text :
       {changed("\"WordPiece\"", "\"BPE\""), changed("\"clean_text\": true", "\"clean_text\": false"),
        changed("\"BertPreTokenizer\"", "\"Whitespace\""), changed("\"special\": true", "\"special\": false"),
        changed("\"[MASK]\": 4", "\"[MASK]\": 400"), changed("\"post_processor\": null", "\"post_processor\": 1")})
    try {
      tokenizer->restore(text, encoder->purposes());
      FAIL("restored from a changed file");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
    }
}

}  // namespace wordpiece_test
