// Pairs of texts: models that tell texts apart are told which one each token is in.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace segments_test {

using xp::testing::Fixture;
using xp::testing::FixtureSpec;

struct Case {
  const char *objective, *field, *axis;  ///< a field of its own that it reads, if any
  int members;
};

FixtureSpec spec(const Case& of) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 1}, {"width", 8}, {"heads", 2}, {"max_time", 40}, {"segments", 2}};
  s.objective = {{"type", of.objective}};
  if (of.objective == std::string("substituted_token_detection"))
    s.objective["sampler"] = xp::Table{{"type", "uniform"}};
  s.dataset_fields.push_back({"segment", "input", 0});
  s.dataset_fields.push_back({"word", "input", -1});
  if (*of.field) {
    s.categories[of.field] = {"one", "two"};
    s.dataset_fields.push_back({of.field, of.axis, -1});
  }
  s.type = at::kDouble;
  return s;
}

std::vector<std::vector<xp::Example>> pairs(const FixtureSpec& s, const Case& of) {
  auto all = xp::testing::random_texts(s, 6, of.members);
  std::int64_t number = 0;
  for (auto& group : all)
    for (auto& item : group) {
      const auto length = std::ssize(item.ints("ids").data);
      xp::Ints segment, word, field;
      for (std::int64_t t = 0; t < length; ++t) {
        segment.data.push_back(t >= length / 2), word.data.push_back(t);
        field.data.push_back(number % 2);
      }
      item.fields["segment"] = segment, item.fields["word"] = word;
      if (*of.field && !*of.axis) field.data = {number % 2};
      if (*of.field) item.fields[of.field] = field;
      ++number;
    }
  return all;
}

TEST_CASE("the second text of a pair is in segment 1, in training and behind the handle") {
  const auto of =
      GENERATE(Case{"mlm", "", "", 1}, Case{"classification", "label", "", 1}, Case{"regression", "score", "", 1},
               Case{"tagging", "tag", "input", 1}, Case{"multiple_choice", "right", "", 2},
               Case{"pointer", "answer", "input", 1}, Case{"margin_rank", "better", "", 2},
               Case{"in_batch_softmax", "", "", 2}, Case{"replaced_token_detection", "", "", 1},
               Case{"substituted_token_detection", "", "", 1});
  CAPTURE(of.objective);
  const auto s = spec(of);
  Fixture f(xp::testing::registry(), s);
  f.accumulate({f.load(pairs(s, of))});
  const auto& own = f.weights("primary");
  const auto gradient = own.values[own.find("embedding.segment")].grad();
  REQUIRE(gradient.defined());
  for (const int row : {0, 1}) {
    CAPTURE(row);
    CHECK(gradient[row].abs().max().item<double>() > 1e-9);
  }
}

}  // namespace segments_test
