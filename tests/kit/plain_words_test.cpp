#include <catch2/catch_test_macros.hpp>

#include "kit/plain_words.h"

namespace plain_words_test {

using Words = std::vector<std::string>;

TEST_CASE("plain_words: in lower case, with numbers and without signs") {
  CHECK(xp::plain_words("The Cat, 12 -- don't: \xC3\x89t\xC3\xA9 3.5!") ==
        Words{"the", "cat", "12", "don't", "\xC3\xA9t\xC3\xA9", "3.5"});
  CHECK(xp::plain_words(" -- ... ").empty());
  CHECK(xp::plain_words("").empty());
}

}  // namespace plain_words_test
