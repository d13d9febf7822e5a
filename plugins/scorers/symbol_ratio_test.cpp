#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

#include "api/selector.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace symbol_ratio_test {

using namespace xp;
using Catch::Matchers::WithinAbs;

double score(const std::string& text) {
  Document document;
  document.text = text;
  return testing::registry().make<Scorer>({{"type", "symbol_ratio"}})->score(document);
}

TEST_CASE("symbol_ratio describes itself") {
  testing::check_component(testing::registry(), "scorer", "symbol_ratio");
}

TEST_CASE("symbol_ratio: letters among what is no white space") {
  CHECK(score("plain words\nonly") == 1);
  CHECK(score("a1 b2") == 0.5);
  CHECK_THAT(score("x = {1, 2};"), WithinAbs(1 / 8.0, 1e-12));
  CHECK(score("12 -- <>") == 0);
  CHECK(score("") == 0);
  CHECK(score(" \t\xC2\xA0\n") == 0);
}

TEST_CASE("symbol_ratio: letters of every script, with their marks") {
  CHECK(score("\xC3\xA9t\xC3\xA9 \xE4\xB8\xAD\xE6\x96\x87") == 1);
  CHECK(score("\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80") == 1);  // three are marks
  CHECK_THAT(score("\xD0\xB4\xD0\xB0!"), WithinAbs(2 / 3.0, 1e-12));
}

}  // namespace symbol_ratio_test
