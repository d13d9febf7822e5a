#include "kit/vocabulary_sampler.h"

#include <algorithm>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <map>

#include "base/error.h"

namespace vocabulary_sampler_test {

using namespace xp;
using Catch::Approx;

std::map<std::string, double> shares(const std::vector<UnigramPiece>& pieces) {
  std::map<std::string, double> out;
  for (const auto& piece : pieces) out[piece.text] = std::exp(piece.score);
  return out;
}

TEST_CASE("without noise the substrings with the most characters of text become pieces, and single characters") {
  const VocabularySampling plain{.pieces = 2, .words = 10, .noise_median = 0};
  const auto pieces = sample_vocabulary({{"\u2581abc", 5}}, plain, RandomStream(1));
  // Ten substrings have 20 characters together; "▁abc" has 4 of them, "▁ab" and "abc" 3.
  const auto share = shares(pieces);
  REQUIRE(pieces.size() == 6);
  CHECK(pieces[0].text == "\u2581abc");
  CHECK(pieces[1].text == "abc");  // before "▁ab" by its bytes
  CHECK(share.at("\u2581abc") == Approx(0.2));
  CHECK(share.at("abc") == Approx(0.15));
  for (const char* one : {"\u2581", "a", "b", "c"}) CHECK(share.at(one) == Approx(0.05));
}

TEST_CASE("pieces stay within letters, digits or other characters, and are no longer than asked for") {
  const VocabularySampling plain{.pieces = 1000, .words = 100, .max_chars = 3, .noise_median = 0};
  const auto share =
      shares(sample_vocabulary({{"\u2581ab12-\u0301", 1}, {"\u2581e\u0301f", 1}}, plain, RandomStream(1)));
  for (const char* there : {"\u2581ab", "ab", "12", "e\u0301f", "\u2581e\u0301", "-\u0301"})
    CHECK(share.contains(there));
  for (const char* not_there : {"b1", "2-", "\u2581e\u0301f", "ab1"}) CHECK_FALSE(share.contains(not_there));
}

TEST_CASE("words are drawn by their counts, noise differs by stream and by nothing else") {
  const std::vector<WordCount> words{{"\u2581left", 3}, {"\u2581rights", 1}, {"\u2581never", 0}};
  const VocabularySampling plain{.pieces = 1000, .words = 40000, .noise_median = 0};
  const auto share = shares(sample_vocabulary(words, plain, RandomStream(2)));
  CHECK_FALSE(share.contains("\u2581never"));
  // Both whole words have all their characters: 5 of each "▁left", 7 of each "▁rights".
  CHECK(share.at("\u2581left") / share.at("\u2581rights") == Approx(3 * 5.0 / 7).epsilon(0.05));
  const VocabularySampling noisy{.pieces = 20, .words = 400, .noise_median = 0.01, .noise_log_sd = 1};
  const auto texts = [&](std::uint64_t seed) {
    std::string all;
    for (const auto& piece : sample_vocabulary(words, noisy, RandomStream(seed))) all += piece.text + " ";
    return all;
  };
  CHECK(texts(5) == texts(5));
  CHECK(texts(5) != texts(6));
}

TEST_CASE("a vocabulary needs a word") {
  CHECK_THROWS_AS(sample_vocabulary({}, {}, RandomStream(1)), Error);
  CHECK_THROWS_AS(sample_vocabulary({{"a", 0}}, {}, RandomStream(1)), Error);
}

}  // namespace vocabulary_sampler_test
