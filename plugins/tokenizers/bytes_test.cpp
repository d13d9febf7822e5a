#include <catch2/catch_test_macros.hpp>

#include "base/error.h"
#include "kit/unicode.h"
#include "testing/tokenizer_checks.h"

namespace bytes_test {

using namespace xp;
using testing::fit;
using testing::ids_of;

TEST_CASE("bytes gives back every text, one token a byte") {
  const auto tokenizer = testing::make_tokenizer("bytes");
  const auto encoder = fit(*tokenizer, {}, {{"sentinel", 2}});
  CHECK(encoder->size() == 5 + 2 + 256);
  auto texts = testing::nasty_texts();
  texts.push_back(std::string(1 << 20, 'a'));
  for (const auto& text : texts) {
    CHECK(testing::broken_rule(*encoder, text) == "");
    const auto tokens = encoder->encode(text);
    CHECK(tokens.size() == repaired_utf8(text).size());
    CHECK(encoder->decode(ids_of(tokens)) == repaired_utf8(text));
  }
  CHECK(testing::broken_key(*encoder) == "");
  CHECK(testing::broken_restore(*tokenizer, *encoder, testing::nasty_texts()) == "");
}

TEST_CASE("bytes has words by white space, and offsets of broken bytes") {
  const auto encoder = fit(*testing::make_tokenizer("bytes"), {});
  const auto tokens = encoder->encode("ab c\n d\xFF");
  REQUIRE(tokens.size() == 10);
  std::vector<std::uint32_t> words;
  for (const auto& token : tokens) words.push_back(token.word);
  CHECK(words == std::vector<std::uint32_t>{0, 0, 1, 1, 2, 3, 3, 3, 3, 3});
  for (std::size_t i = 7; i < 10; ++i) {  // the three bytes of U+FFFD stand for the one that was broken
    CHECK(tokens[i].begin == 7);
    CHECK(tokens[i].end == 8);
  }
}

TEST_CASE("bytes keys: ASCII is text, a space starts a word, the others are bytes") {
  const auto encoder = fit(*testing::make_tokenizer("bytes"), {});
  const auto id = [&](const std::string& text) { return encoder->encode(text).at(0).id; };
  CHECK(encoder->key(id("a")) == TokenKey{"a", WordStart::unknown});
  CHECK(encoder->key(id(" ")) == TokenKey{"", WordStart::yes});
  CHECK(encoder->key(id("\xC3\xA9")) == TokenKey{"\xC3", WordStart::no, TokenKind::byte});
  CHECK(encoder->pieces({"ab", WordStart::yes}) == std::vector<TokenId>{id(" "), id("a"), id("b")});
  CHECK(encoder->pieces({"\n", WordStart::no, TokenKind::byte}) == std::vector<TokenId>{id("\n")});
}

TEST_CASE("bytes refuses other files") {
  const auto tokenizer = testing::make_tokenizer("bytes");
  const auto encoder = fit(*tokenizer, {});
  std::string file = encoder->json();
  const auto at = file.find("\"merges\": []");
  REQUIRE(at != std::string::npos);
  file.replace(at, 12, "\"merges\": [[\"a\", \"b\"]]");
  CHECK_THROWS_AS(tokenizer->restore(file, encoder->purposes()), Error);
  const auto other =
      fit(*testing::make_tokenizer("unigram", {{"vocab_size", Value(std::int64_t{20})}}), {"some text some"});
  CHECK_THROWS_AS(tokenizer->restore(other->json(), other->purposes()), Error);
}

}  // namespace bytes_test
