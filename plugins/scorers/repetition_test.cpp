#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <map>
#include <set>

#include "api/selector.h"
#include "base/random.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace repetition_test {

using namespace xp;
using Catch::Matchers::WithinAbs;

double score(const Table& more, const Document& document) {
  Table settings{{"type", "repetition"}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Scorer>(settings)->score(document);
}
double score(const Table& more, const std::string& text) {
  Document document;
  document.text = text;
  return score(more, document);
}

TEST_CASE("repetition describes itself") { testing::check_component(testing::registry(), "scorer", "repetition"); }

TEST_CASE("repetition: words in n-grams that come again count once each") {
  CHECK(score({{"n", 2}}, "a b c d") == 1);
  CHECK_THAT(score({{"n", 2}}, "a b c A b, d"), WithinAbs(1 - 4 / 6.0, 1e-12));
  CHECK(score({{"n", 2}}, "a a a a") == 0);  // overlapping n-grams
  CHECK_THAT(score({{"n", 1}}, "a b a c"), WithinAbs(0.5, 1e-12));
  CHECK(score({{"n", 3}}, "a b a b") == 1);  // aba, bab
  CHECK(score({{"n", 5}}, "a b c d e") == 1);
  CHECK(score({}, "1 2 3 4 5 x 1 2 3 4 5") == 1 - 10 / 11.0);  // five is the default
  CHECK(score({}, "") == 1);
  CHECK(score({}, "-- !!") == 1);
}

TEST_CASE("repetition agrees with a count by hand on any text") {
  RandomStream stream(5);
  for (int round = 0; round < 200; ++round) {
    const auto n = 1 + stream.below(4), length = stream.below(30);
    std::vector<std::string> words;
    std::string text;
    for (int i = 0; i < length; ++i) words.emplace_back(1, static_cast<char>('a' + stream.below(3)));
    for (const auto& word : words) text += word + " ";
    const auto gram = [&](std::int64_t at) {
      return std::vector<std::string>(words.begin() + at, words.begin() + at + n);
    };
    std::map<std::vector<std::string>, int> times;
    for (std::int64_t i = 0; i + n <= length; ++i) ++times[gram(i)];
    std::set<std::int64_t> inside;
    for (std::int64_t i = 0; i + n <= length; ++i)
      for (std::int64_t w = 0; w < n && times[gram(i)] > 1; ++w) inside.insert(i + w);
    const double expected = length == 0 ? 1 : 1 - static_cast<double>(inside.size()) / static_cast<double>(length);
    INFO(n << ": " << text);
    CHECK_THAT(score({{"n", n}}, text), WithinAbs(expected, 1e-12));
  }
}

TEST_CASE("repetition: paragraphs that come again, by their words") {
  const Table paragraphs{{"of", "paragraphs"}};
  CHECK(score(paragraphs, "a b\n\nc d") == 1);
  CHECK_THAT(score(paragraphs, "a b\n\nc d e\n\nA\nb!\n\n--\n\n=="), WithinAbs(1 - 4 / 7.0, 1e-12));
  Document marked;
  marked.text = "a b\na b\nc";
  CHECK(score(paragraphs, marked) == 1);  // one block
  marked.annotations = {{"paragraph", 0, 3, {}}, {"paragraph", 4, 7, {}}, {"paragraph", 8, 9, {}}};
  CHECK_THAT(score(paragraphs, marked), WithinAbs(1 - 4 / 5.0, 1e-12));
  CHECK(score(paragraphs, std::string("\n\n")) == 1);
}

}  // namespace repetition_test
