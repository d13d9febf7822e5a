#include "kit/word_counts.h"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <map>

#include "api/dataset.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "testing/tokenizer_checks.h"

namespace word_counts_test {

using namespace xp;

using Word = std::function<void(std::string_view)>;

void by_spaces(std::string_view text, const Word& word) {
  for (const auto& one : split(std::string(text), ' '))
    if (!one.empty()) word(one);
}

/// Texts of many distinct words of 1 to 24 bytes, with some that differ late and that hold NUL.
std::vector<std::string> texts_of(std::size_t megabytes) {
  RandomStream random(5);
  std::vector<std::string> out;
  for (std::size_t bytes = 0; bytes < megabytes << 20; bytes += out.back().size()) {
    std::string text;
    for (int i = 0; i < 400; ++i) {
      const auto number = random.below(random.below(2) == 0 ? 50 : 60000);
      text += (number % 3 == 0 ? std::string("one-long-beginning-")
                               : std::string(static_cast<std::size_t>(number % 2), '\0'));
      text += std::to_string(number) + ' ';
    }
    out.push_back(std::move(text));
  }
  return out;
}

TEST_CASE("words are counted the same by any number of threads, as a map counts them") {
  const auto texts = texts_of(6);
  std::map<std::string, std::int64_t> expected;
  for (const auto& text : texts) by_spaces(text, [&](std::string_view word) { ++expected[std::string(word)]; });
  REQUIRE(expected.size() > 50000);
  for (const std::int64_t threads : {1, 2, 5}) {
    const auto counts = count_words(testing::TextSource(texts), by_spaces, threads);
    REQUIRE(counts.size() == expected.size());
    std::size_t i = 0, different = 0;
    for (const auto& [word, n] : expected) different += counts[i].word != word || counts[i].count != n, ++i;
    CHECK(different == 0);
  }
}

TEST_CASE("a corpus without words says what it has") {
  const auto said = [](std::vector<std::string> texts) -> std::string {
    try {
      count_words(testing::TextSource(std::move(texts)), by_spaces, 2);
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
      return error.what();
    }
    return {};
  };
  CHECK_THAT(said({}), Catch::Matchers::ContainsSubstring("no documents"));
  CHECK_THAT(said({"  ", ""}), Catch::Matchers::ContainsSubstring("none of the corpus' 2 documents has a word"));
}

TEST_CASE("an error in counting ends it, whichever thread it is in") {
  const auto texts = texts_of(5);
  for (const std::int64_t threads : {1, 3}) {
    std::atomic<int> calls = 0;
    const auto failing = [&](std::string_view text, const Word& word) {
      if (++calls == 700) throw Error("no words here", Exit::data);
      by_spaces(text, word);
    };
    CHECK_THROWS_AS(count_words(testing::TextSource(texts), failing, threads), Error);
    CHECK(calls >= 700);
  }
}

TEST_CASE("long work tells the innermost scope of its thread, which may stop it") {
  const auto texts = texts_of(4);
  int inner = 0, outer = 0;
  show_progress(1, 2, "nobody listens");
  {
    const ProgressScope one([&](double, double, std::string_view) { ++outer; });
    {
      const ProgressScope two([&](double, double, std::string_view what) {
        CHECK_THAT(std::string(what), Catch::Matchers::ContainsSubstring("documents read"));
        ++inner;
      });
      count_words(testing::TextSource(texts), by_spaces, 2);
    }
    CHECK(inner > 2);
    CHECK(outer == 0);
    show_progress(1, 2, "again");
    CHECK(outer == 1);
  }
  const ProgressScope stop([](double, double, std::string_view) { throw Error("stopped", Exit::interrupted); });
  CHECK_THROWS_AS(count_words(testing::TextSource(texts), by_spaces, 3), Error);
}

}  // namespace word_counts_test
