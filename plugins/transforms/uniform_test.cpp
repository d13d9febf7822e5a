#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/transform.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace uniform_test {

using namespace xp;

/// Ids from 4 on stand for text.
class Ten final : public Resources {
 public:
  explicit Ten(std::int64_t first = 4) : first_(first) {}
  std::int64_t vocab_size() const override { return 10; }
  std::int64_t reserved(std::string_view, std::int64_t) const override { throw Error("none"); }
  bool is_text(std::int64_t token) const override { return token >= first_; }
  const State& artifact(std::string_view) const override { throw Error("none"); }
  Strings categories(std::string_view) const override { return {}; }
  const Encoder* tokenizer() const override { return nullptr; }

 private:
  std::int64_t first_;
};

std::unique_ptr<Transform> sampler() { return testing::registry().make<Transform>({{"type", "uniform"}}); }

Example item(std::vector<std::int64_t> ids, std::vector<std::int64_t> chosen) {
  Example one;
  one.fields["ids"] = Ints{std::move(ids)}, one.fields["chosen"] = Ints{std::move(chosen)};
  return one;
}

TEST_CASE("uniform replaces what is chosen, and draws every text token equally often") {
  const auto made = sampler();
  made->start(Ten());
  constexpr std::size_t n = 60000;
  std::vector<Example> group{item(std::vector<std::int64_t>(n, 5), std::vector<std::int64_t>(n, 1)),
                             item({7, 8, 9}, {0, 0, 0})};
  auto random = RandomStreams(3).stream();
  made->apply(group, random);
  std::vector<double> seen(10);
  for (const auto id : group[0].ints("substituted_ids").data) ++seen[static_cast<std::size_t>(id)];
  for (std::size_t id = 0; id < 4; ++id) CHECK(seen[id] == 0);
  const double expected = n / 6.0, sd = std::sqrt(n * (1 / 6.0) * (5 / 6.0));
  for (std::size_t id = 4; id < 10; ++id) CHECK(std::abs(seen[id] - expected) < 3 * sd);
  CHECK(group[1].ints("substituted_ids").data == group[1].ints("ids").data);
}

TEST_CASE("uniform says what does not fit") {
  testing::check_component(testing::registry(), Transform::kInterface, "uniform");
  CHECK_THROWS_WITH(sampler()->start(Ten(10)), Catch::Matchers::ContainsSubstring("none of the tokenizer's 10 ids"));
  const auto made = sampler();
  made->start(Ten());
  std::vector<Example> group{item({5, 6}, {1})};
  auto random = RandomStreams(3).stream();
  CHECK_THROWS_WITH(made->apply(group, random),
                    Catch::Matchers::ContainsSubstring("`chosen` has 1 value for 2 tokens"));
}

}  // namespace uniform_test
