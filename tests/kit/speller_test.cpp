#include "kit/speller.h"

#include "testing/toy_encoder.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>

namespace speller_test {

using namespace xp;

const testing::ToyEncoder kEncoder({"sea", "seaside", "se", "##a", "##side", "##sid", "##e", "s"});

std::vector<std::string> spelt(const Speller& speller, const std::string& token, bool smaller = false) {
  std::vector<std::string> out;
  for (const auto id : speller.spell(kEncoder.key(kEncoder.id(token)), smaller)) out.push_back(kEncoder.text(id));
  return out;
}

using Texts = std::vector<std::string>;

TEST_CASE("a token is itself, or made of the longest that are smaller") {
  const Speller all(kEncoder);
  CHECK(spelt(all, "seaside") == Texts{"seaside"});
  CHECK(spelt(all, "seaside", true) == Texts{"sea", "##side"});
  CHECK(spelt(all, "sea", true) == Texts{"se", "##a"});
  CHECK(spelt(all, "##side", true) == Texts{"##sid", "##e"});
  CHECK(spelt(all, "se", true) == Texts{"s", "##e"});
}

TEST_CASE("tokens that are away spell nothing; what nothing is left for has no spelling") {
  const Speller few(kEncoder, {kEncoder.id("seaside"), kEncoder.id("##side")});
  CHECK(spelt(few, "seaside") == Texts{"sea", "##sid", "##e"});
  CHECK(spelt(few, "s", true).empty());
  const Speller none(kEncoder, {kEncoder.id("##a"), kEncoder.id("sea"), kEncoder.id("seaside")});
  CHECK(spelt(none, "sea").empty());
}

}  // namespace speller_test
