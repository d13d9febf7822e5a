#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/fitter.h"
#include "testing/testing.h"

namespace skipgram_test {

using namespace xp;

/// Two topics that never meet, and one of them in a second language, text by text.
class Planted final : public DataSource {
 public:
  void for_each(const std::function<void(const Document&)>& visit) const override {
    const std::vector<std::string> sea{"ship", "wave", "sail", "harbour"}, farm{"cow", "field", "plough", "barn"},
        mer{"navire", "vague", "voile", "port"};
    RandomStream stream(3);
    for (int i = 0; i < 600; ++i) {
      const auto& topic = i % 2 ? sea : farm;
      Document document{.id = "en:" + std::to_string(i),
                        .text = {},
                        .title = {},
                        .language = "en",
                        .script = {},
                        .source = {},
                        .group = "g" + std::to_string(i),
                        .split = {}};
      Document other{.id = "fr:" + std::to_string(i),
                     .text = {},
                     .title = {},
                     .language = "fr",
                     .script = {},
                     .source = {},
                     .group = document.group,
                     .split = {}};
      for (int w = 0; w < 12; ++w) {
        const auto k = static_cast<std::size_t>(stream.below(4));
        document.text += topic[k] + " ", other.text += mer[k] + " ";
      }
      visit(document);
      if (i % 2) visit(other);
    }
  }
  std::string fingerprint() const override { return "planted"; }
};

State fit(const Table& more) {
  Table settings{{"type", "skipgram"}, {"dim", 16},  {"epochs", 5}, {"min_count", 1},
                 {"sample", 0.0},      {"min_n", 0}, {"max_n", 0},  {"buckets", 1}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Fitter>(settings)->fit(Planted(), nullptr, nullptr, RandomStreams(1));
}

double cosine(const State& state, const std::string& a, const std::string& b) {
  const auto& words = state.strings("words");
  const auto& vectors = state.floats("vectors");
  const auto dim = static_cast<std::size_t>(vectors.shape.at(1));
  const auto row = [&](const std::string& w) {
    return vectors.data.data() +
           static_cast<std::size_t>(std::find(words.begin(), words.end(), w) - words.begin()) * dim;
  };
  double dot = 0, na = 0, nb = 0;
  for (std::size_t d = 0; d < dim; ++d)
    dot += row(a)[d] * row(b)[d], na += row(a)[d] * row(a)[d], nb += row(b)[d] * row(b)[d];
  return dot / std::sqrt(na * nb);
}

TEST_CASE("words of one topic lie nearer than words of two") {
  const auto state = fit({{"parallel", 0}});
  CHECK(cosine(state, "ship", "wave") > cosine(state, "ship", "cow") + 0.2);
  CHECK(cosine(state, "cow", "barn") > cosine(state, "barn", "sail") + 0.2);
}

TEST_CASE("translations of a topic come near only where they are used") {
  const auto with = fit({{"parallel", 4}}), without = fit({{"parallel", 0}});
  const double near = cosine(with, "ship", "vague") - cosine(with, "cow", "vague");
  const double apart = cosine(without, "ship", "vague") - cosine(without, "cow", "vague");
  CHECK(near > apart + 0.2);
}

TEST_CASE("any number of threads gives the same vectors, another seed others") {
  for (const std::int64_t min_n : {0, 3}) {
    const auto one = fit({{"dim", 40}, {"min_n", min_n}, {"max_n", 2 * min_n}, {"buckets", 50}});
    for (const std::int64_t threads : {1, 2, 3, 11}) {
      const auto more =
          fit({{"dim", 40}, {"min_n", min_n}, {"max_n", 2 * min_n}, {"buckets", 50}, {"threads", threads}});
      CHECK(one.floats("vectors").data == more.floats("vectors").data);
    }
  }
  const Table settings{{"type", "skipgram"}, {"dim", 16}, {"min_count", 1}};
  const auto of_seed = [&](std::uint64_t seed) {
    return testing::registry().make<Fitter>(settings)->fit(Planted(), nullptr, nullptr, RandomStreams(seed));
  };
  CHECK(of_seed(1).floats("vectors").data != of_seed(2).floats("vectors").data);
}

/// One document, in which one word stands twice.
class Twice final : public DataSource {
 public:
  void for_each(const std::function<void(const Document&)>& visit) const override {
    Document document;
    document.id = "1", document.text = "ship ship";
    visit(document);
  }
  std::string fingerprint() const override { return "twice"; }
};

TEST_CASE("the first steps of skip-gram are those worked out by hand") {
  const auto vector = [](double lr) {
    const Table settings{{"type", "skipgram"}, {"dim", 1},   {"epochs", 1},    {"min_count", 1}, {"sample", 0.0},
                         {"min_n", 0},         {"max_n", 0}, {"negatives", 5}, {"lr", lr}};
    const auto state = testing::registry().make<Fitter>(settings)->fit(Twice(), nullptr, nullptr, RandomStreams(4));
    return static_cast<double>(state.floats("vectors").data.at(0));
  };
  const double rate = 4, hidden = vector(1e-30);
  // Each occurrence predicts the other; every negative is the true word itself and counts for nothing. Output rows
  // start at 0 and move at once, the word's own row moves at the end, each of two steps damped by the 6 pairs of the
  // other.
  const double output = rate * 0.5 * hidden;
  const double gradient = rate * (1 - 1 / (1 + std::exp(-output * hidden))) * output;
  CHECK(std::abs(gradient) > 0.01);
  CHECK_THAT(vector(rate), Catch::Matchers::WithinAbs(hidden + gradient / std::hypot(1, 0.1 * rate * 6), 1e-6));
}

TEST_CASE("few words and a high rate: rows that all blocks move stay within bounds") {
  const auto state = fit({{"parallel", 0}, {"lr", 0.2}, {"min_n", 2}, {"max_n", 4}, {"buckets", 20}});
  for (const float x : state.floats("vectors").data) CHECK(std::abs(x) < 20);
  CHECK(cosine(state, "ship", "wave") > cosine(state, "ship", "cow") + 0.05);
}

TEST_CASE("a corpus without frequent words says so") {
  CHECK_THROWS_WITH(fit({{"min_count", 100000}}), Catch::Matchers::ContainsSubstring("lower min_count"));
}

}  // namespace skipgram_test
