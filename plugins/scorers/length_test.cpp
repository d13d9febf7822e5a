#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/selector.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace length_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

double score(const Table& more, const std::string& text) {
  Table settings{{"type", "length"}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  Document document;
  document.text = text;
  return testing::registry().make<Scorer>(settings)->score(document);
}

TEST_CASE("length describes itself") { testing::check_component(testing::registry(), "scorer", "length"); }

TEST_CASE("length: 0 in the range, both ends included, else minus the words that lack or are too many") {
  const Table range{{"least", 2}, {"most", 4}};
  CHECK(score(range, "") == -2);
  CHECK(score(range, "one, ... --") == -1);  // signs are no words
  CHECK(score(range, "one 2") == 0);
  CHECK(score(range, "a b c d") == 0);
  CHECK(score(range, "a b c d e f g") == -3);
}

TEST_CASE("length: bytes are those of UTF-8, and without an end every length is in the range") {
  const Table range{{"unit", "bytes"}, {"least", 3}, {"most", 5}};
  CHECK(score(range, "\xC3\xA9") == -1);
  CHECK(score(range, "\xC3\xA9 a") == 0);
  CHECK(score(range, "123456 ") == -2);
  CHECK(score({{"unit", "bytes"}, {"least", 0}, {"most", 0}}, std::string(200'000, 'a')) == 0);
  CHECK(score({}, std::string(98, 'a')) == -49);  // one word of the fifty that Rae et al. ask for
}

TEST_CASE("length: a range that holds nothing is refused") {
  CHECK_THROWS_WITH(score({{"least", 9}, {"most", 8}}, ""),
                    ContainsSubstring("a range from `least` = 9 to `most` = 8 holds nothing"));
}

}  // namespace length_test
