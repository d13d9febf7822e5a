// Which words have a token, beside the vectors that come of them.
#include "api/ops.h"
#include "kit/subword_vectors.h"
#include "testing/toy_encoder.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

namespace xp::word_sets_test {

using Set = std::vector<std::uint32_t>;

TEST_CASE("word sets: every writing of a word counts, special tokens have none") {
  const testing::ToyEncoder encoder({"sun", "##flower", "Sun", "moon"});
  const Strings words{"sun", "sunflower", "strange"};
  const auto sets = word_sets(encoder, words);
  REQUIRE(sets.size() == 9);
  const auto of = [&](const char* token) { return sets[static_cast<std::size_t>(encoder.id(token))]; };
  CHECK(of("sun") == Set{0, 0, 1, 1});  // as it is and behind a space
  CHECK(of("Sun") == Set{0, 1});        // capitalised
  CHECK(of("##flower") == Set{1, 1, 1});
  CHECK(of("moon").empty());
  CHECK(of("[unk]").empty());
  CHECK(word_sets(encoder, words, {.specials = true})[static_cast<std::size_t>(encoder.id("[unk]"))] == Set{2, 2, 2});
  CHECK(word_sets(encoder, words,
                  {.plain = false, .capitalised = false})[static_cast<std::size_t>(encoder.id("sun"))] == Set{0, 1});
}

TEST_CASE("word sets: a token's vector is the mean over its set") {
  const testing::ToyEncoder encoder({"sun", "##flower", "Sun", "moon"});
  const Strings words{"sun", "sunflower", "moon"};
  const Floats vectors{{1, 0, 0, 1, 0.6F, 0.8F}, {3, 2}};
  const auto made = subword_vectors(encoder, words, vectors, {0, 1, 2});
  const auto sets = word_sets(encoder, words);
  for (std::size_t id = 0; id < sets.size(); ++id) {
    CHECK(made.covered[id] == !sets[id].empty());
    if (sets[id].empty()) continue;
    double x = 0, y = 0;
    for (const auto w : sets[id]) x += vectors.data[2 * w], y += vectors.data[2 * w + 1];
    const auto row = made.vectors[static_cast<std::int64_t>(id)];
    CHECK(row[0].item<double>() == Catch::Approx(x / std::hypot(x, y)).margin(1e-6));
    CHECK(row[1].item<double>() == Catch::Approx(y / std::hypot(x, y)).margin(1e-6));
  }
}

}  // namespace xp::word_sets_test
