#include <catch2/catch_test_macros.hpp>

#include "base/error.h"
#include "kit/unicode.h"
#include "testing/tokenizer_checks.h"

namespace bpe_test {

using namespace xp;
using testing::fit;
using testing::ids_of;
using testing::make_tokenizer;
using Texts = std::vector<std::string>;

Table table(std::int64_t vocab_size, bool byte_level, const char* pattern) {
  return {{"vocab_size", Value(vocab_size)}, {"byte_level", Value(byte_level)}, {"pattern", Value(pattern)}};
}

Texts pieces_of(const Encoder& encoder, const std::string& text) {
  Texts out;
  for (const auto& token : encoder.encode(text)) out.push_back(encoder.text(token.id));
  return out;
}

Texts words_of(const Encoder& encoder, const std::string& text) {
  Texts out;
  for (const auto& token : encoder.encode(text)) {
    if (token.word >= out.size()) out.emplace_back();
    out[token.word] += text.substr(token.begin, token.end - token.begin);
  }
  return out;
}

TEST_CASE("bpe merges a hand example in the order of counts") {
  // aaabdaaabac: aa occurs 4 times; then ab and (aa, a) twice each, and a comes before aa.
  const auto encoder = fit(*make_tokenizer("bpe", table(264, true, "gpt2")), {"aaabdaaabac"});
  REQUIRE(encoder->size() == 264);
  CHECK(encoder->text(261) == "aa");
  CHECK(encoder->text(262) == "ab");
  CHECK(encoder->text(263) == "aaab");
  CHECK(pieces_of(*encoder, "aaabaab") == Texts{"aaab", "aa", "b"});
}

TEST_CASE("bpe over bytes gives back every text, and its tokens tile the input") {
  for (const char* pattern : {"gpt2", "whitespace"}) {
    const auto tokenizer = make_tokenizer("bpe", table(700, true, pattern));
    const auto encoder = fit(*tokenizer, testing::shipped_text({"udhr/en", "udhr/el", "udhr/ja"}, 6000));
    CHECK(encoder->size() == 700);
    for (const auto& text : testing::nasty_texts()) {
      CHECK(testing::broken_rule(*encoder, text) == "");
      const auto tokens = encoder->encode(text);
      CHECK(encoder->decode(ids_of(tokens)) == repaired_utf8(text));
      if (repaired_utf8(text) != text) continue;
      std::uint32_t end = 0;
      for (const auto& token : tokens) {
        CHECK(token.begin == end);
        end = token.end;
      }
      CHECK(end == text.size());
    }
    CHECK(testing::broken_key(*encoder) == "");
    CHECK(testing::broken_restore(*tokenizer, *encoder, testing::nasty_texts()) == "");
  }
}

TEST_CASE("bpe words follow the pattern") {
  const std::string text = "it's 12 o'clock,  don't\n\n go!!";
  const auto gpt2 = fit(*make_tokenizer("bpe", table(270, true, "gpt2")), {text});
  CHECK(words_of(*gpt2, text) ==
        Texts{"it", "'s", " 12", " o", "'", "clock", ",", " ", " don", "'t", "\n\n", " go", "!!"});
  const auto white = fit(*make_tokenizer("bpe", table(270, true, "whitespace")), {text});
  CHECK(words_of(*white, text) == Texts{"it's", " 12", " o'clock,", " ", " don't", "\n\n", " go!!"});
}

TEST_CASE("bpe over characters knows the characters of its corpus") {
  const auto tokenizer = make_tokenizer("bpe", table(300, false, "whitespace"));
  const auto encoder = fit(*tokenizer, testing::shipped_text({"udhr/en"}, 8000));
  const std::string text = "all human beings";
  CHECK(encoder->decode(ids_of(encoder->encode(text))) == text);
  const auto tokens = encoder->encode("the \xE4\xB8\xAD end");
  bool unknown = false;
  for (const auto& token : tokens)
    if (token.id == *encoder->reserved("unk")) {
      unknown = true;
      CHECK(token.end - token.begin == 3);
    }
  CHECK(unknown);
  for (const auto& nasty : testing::nasty_texts()) CHECK(testing::broken_rule(*encoder, nasty) == "");
  CHECK(testing::broken_key(*encoder) == "");
  CHECK(testing::broken_restore(*tokenizer, *encoder, testing::nasty_texts()) == "");
  CHECK(encoder->pieces({"\xE4\xB8\xAD", WordStart::no}).empty());
}

TEST_CASE("bpe keys are bytes, a leading space says that a word starts") {
  const auto encoder =
      fit(*make_tokenizer("bpe", table(300, true, "gpt2")), {"the the the caf\xC3\xA9 caf\xC3\xA9 the"});
  bool seen = false;
  for (TokenId id = 0; id < encoder->size(); ++id) {
    if (encoder->text(id) == "\xC4\xA0the") {
      seen = true;
      CHECK(encoder->key(id) == TokenKey{"the", WordStart::yes});
      CHECK(encoder->pieces({"the", WordStart::yes}) == std::vector<TokenId>{id});
    }
    if (encoder->text(id) == "\xC3\x83") CHECK(encoder->key(id) == TokenKey{"\xC3", WordStart::no, TokenKind::byte});
    if (encoder->text(id) == "\xC4\xA0") CHECK(encoder->key(id) == TokenKey{"", WordStart::yes});
  }
  CHECK(seen);
  CHECK(encoder->decode(encoder->pieces({"any thing \xF0\x9F\x98\x80", WordStart::no})) ==
        "any thing \xF0\x9F\x98\x80");
}

TEST_CASE("bpe merges a word of a megabyte") {
  const auto encoder =
      fit(*make_tokenizer("bpe", table(264, true, "gpt2")), {"aaaaaaaa " + std::string(100000, 'b')});
  for (const char c : {'a', 'b', ' '}) {
    const std::string huge(1 << 20, c);
    CHECK(encoder->decode(ids_of(encoder->encode(huge))) == huge);
  }
}

TEST_CASE("bpe learns the same with one and four threads") {
  const auto texts = testing::shipped_text({"udhr/en", "udhr/fr", "udhr/bn", "udhr/ko"}, 15000);
  REQUIRE(texts.size() > 40);
  Table settings = table(1000, true, "gpt2");
  settings["threads"] = Value(std::int64_t{1});
  const auto one = fit(*make_tokenizer("bpe", settings), texts);
  settings["threads"] = Value(std::int64_t{4});
  CHECK(fit(*make_tokenizer("bpe", settings), texts)->json() == one->json());
}

TEST_CASE("bpe refuses what does not fit") {
  CHECK_THROWS_AS(fit(*make_tokenizer("bpe", table(200, true, "gpt2")), {"text"}), Error);
  const auto tokenizer = make_tokenizer("bpe", table(270, true, "gpt2"));
  CHECK_THROWS_AS(fit(*tokenizer, {""}), Error);
  const auto encoder = fit(*tokenizer, {"ababab ab ab"});
  const std::string file = encoder->json();
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = file;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  for (const auto& text :
       {changed("\"use_regex\": true", "\"use_regex\": false"), changed("\"fuse_unk\": false", "\"fuse_unk\": true"),
        changed("\"a\",\n    \"b\"", "\"a\",\n    \"q\""), changed("\"a\",\n    \"b\"", "\"a\""),
        changed("\"c\": ", "\"cc\": "), changed("\"normalizer\": null", "\"normalizer\": {}")})
    try {
      tokenizer->restore(text, encoder->purposes());
      FAIL("restored from a changed file");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
    }
}

}  // namespace bpe_test
