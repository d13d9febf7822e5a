#include "testing/toy_encoder.h"

#include <catch2/catch_test_macros.hpp>

#include "testing/toy_corpus.h"

TEST_CASE("the toy encoder splits by the longest match and says where") {
  const xp::testing::ToyEncoder encoder({"sun", "##flower", "a"});
  const auto tokens = encoder.encode("a sunflower zz");
  REQUIRE(tokens.size() == 4);
  CHECK(tokens[0].id == encoder.id("a"));
  CHECK(tokens[1].id == encoder.id("sun"));
  CHECK(tokens[2].id == encoder.id("##flower"));
  CHECK(tokens[2].begin == 5);
  CHECK(tokens[2].end == 11);
  CHECK(tokens[1].word == tokens[2].word);
  CHECK(tokens[3].id == *encoder.reserved("unk"));
  const std::vector<xp::TokenId> ids{tokens[0].id, tokens[1].id, tokens[2].id, tokens[3].id};
  CHECK(encoder.decode(ids) == "a sunflower");
}

TEST_CASE("the toy encoder's order moves ids and nothing else") {
  const xp::testing::ToyEncoder plain({"x", "y"}), turned({"x", "y"}, {6, 5, 4, 3, 2, 1, 0});
  CHECK(turned.id("y") == 0);
  CHECK(turned.key(0) == plain.key(plain.id("y")));
  CHECK(turned.reserved("pad") == 6);
}

TEST_CASE("the toy corpus changes its fingerprint with its texts") {
  CHECK(xp::testing::ToyCorpus({"ab", "c"}).fingerprint() != xp::testing::ToyCorpus({"a", "bc"}).fingerprint());
}
