#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "api/selector.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace sample_test {

using namespace xp;

std::unique_ptr<Selector> sample(const Table& more) {
  Table settings{{"type", "sample"}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  return testing::registry().make<Selector>(settings);
}

TEST_CASE("sample describes itself") { testing::check_component(testing::registry(), "selector", "sample"); }

TEST_CASE("sample: two of four come as softmax without putting back says") {
  const std::vector<Scored> documents{{0, 1}, {1, 1}, {2, 1}, {3, 1}};
  const double temperature = 2;
  const auto selector = sample({{"keep", 0.5}, {"temperature", temperature}});
  std::vector<double> seen(4, 0), p(4), expected(4, 0);
  constexpr int kTimes = 20000;
  for (std::uint64_t key = 0; key < kTimes; ++key) {
    const auto kept = selector->select(documents, RandomStreams(key).stream());
    REQUIRE(std::count(kept.begin(), kept.end(), true) == 2);
    for (std::size_t i = 0; i < 4; ++i) seen[i] += kept[i];
  }
  double all = 0;
  for (std::size_t i = 0; i < 4; ++i) all += p[i] = std::exp(documents[i].score / temperature);
  for (auto& one : p) one /= all;
  // First i, or first j and then i of those that are left.
  for (std::size_t i = 0; i < 4; ++i) {
    expected[i] = p[i];
    for (std::size_t j = 0; j < 4; ++j)
      if (j != i) expected[i] += p[j] * p[i] / (1 - p[j]);
    INFO(i);
    CHECK(std::abs(seen[i] / kTimes - expected[i]) < 3 * std::sqrt(expected[i] * (1 - expected[i]) / kTimes));
  }
}

TEST_CASE("sample: near temperature 0 the highest, and the share may be of bytes") {
  const std::vector<Scored> documents{{0, 10}, {1, 60}, {2, 10}, {3, 20}};
  const auto cold = sample({{"keep", 0.5}, {"temperature", 1e-6}});
  CHECK(cold->select(documents, RandomStream(4)) == std::vector<bool>{false, false, true, true});
  const auto bytes = sample({{"keep", 0.31}, {"temperature", 1e-6}, {"of", "bytes"}});
  CHECK(bytes->select(documents, RandomStream(4)) == std::vector<bool>{false, true, true, true});
}

TEST_CASE("sample: the same stream gives the same, another one others") {
  const std::vector<Scored> documents(200, Scored{0, 1});
  const auto selector = sample({{"keep", 0.5}});
  const auto first = selector->select(documents, RandomStream(1));
  CHECK(first == selector->select(documents, RandomStream(1)));
  CHECK(first != selector->select(documents, RandomStream(2)));
}

}  // namespace sample_test
