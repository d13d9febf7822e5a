#include <ATen/Parallel.h>

#include "../toy_fixture.h"
#include "kit/tensors.h"
#include "set_network.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace hyperofa_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

constexpr int kOldTokens = 300, kNewTokens = 60, kDim = 8, kWidth = 6;

/// Every token stands in three words with vectors of their own; its row is a linear map of their mean. The new
/// tokens' rows by the same map are what is to be predicted.
struct Planted {
  Toy toy;
  at::Tensor wanted;  // [new tokens, width]

  Planted() : toy(vocabulary("o", kOldTokens), vocabulary("n", kNewTokens)) {
    RandomStream random(11);
    const auto normal = [&] { return static_cast<float>(random.uniform() + random.uniform() - 1); };
    auto map = ops::empty({kDim, kWidth}, at::kFloat);
    for (std::int64_t i = 0; i < map.numel(); ++i) map.mutable_data_ptr<float>()[i] = normal();
    std::vector<std::pair<std::string, std::vector<float>>> words;
    const auto row_of = [&](const std::string& token) {
      std::vector<float> mean(kDim);
      for (const char* end : {"", "a", "b"}) {
        std::vector<float> vector;
        for (int d = 0; d < kDim; ++d) vector.push_back(normal()), mean[d] += vector[d] / 3;
        words.push_back({token + end, vector});
      }
      return tensor_of(mean).unsqueeze(0).matmul(map).add(0.5);
    };
    std::vector<at::Tensor> old_rows{ops::zeros({5, kWidth}, at::kFloat)}, new_rows;  // and the reserved ids
    for (const auto& token : names("o", kOldTokens)) old_rows.push_back(row_of(token));
    for (const auto& token : names("n", kNewTokens)) new_rows.push_back(row_of(token));
    old_rows.push_back(ops::full({2, kWidth}, 0.5, at::kFloat));  // what the map says of endings
    toy.weights.values = {ops::cat(old_rows), ops::full({toy.source.size()}, 0.25, at::kFloat)};
    wanted = ops::cat(new_rows);
    toy.give_vectors(words);
  }
  static std::vector<std::string> names(const std::string& letter, int n) {
    std::vector<std::string> out;
    for (int i = 0; i < n; ++i) out.push_back(letter + std::to_string(i));
    return out;
  }
  static std::vector<std::string> vocabulary(const std::string& letter, int n) {
    auto out = names(letter, n);
    out.insert(out.end(), {"##a", "##b"});
    return out;
  }

  MixPlan plan(Table settings) const {
    settings["type"] = "hyperofa";
    return toy.plan(settings);
  }
  static at::Tensor rows(const MixPlan& plan, const std::string& role = "vocab.input") {
    std::vector<at::Tensor> out;
    for (std::size_t i = 5; i < 5 + kNewTokens; ++i) {
      REQUIRE(plan.rows()[i].rule == "predicted");
      out.push_back(tensor_of(plan.rows()[i].dense.at(role)));
    }
    return ops::stack(out);
  }
  /// Correlation over all numbers, each dimension without its mean.
  double correlation(const at::Tensor& made, const at::Tensor& truth) const {
    const auto a = made.sub(made.mean(0)), b = truth.sub(truth.mean(0));
    return a.mul(b).sum().item<double>() / (a.norm().item<double>() * b.norm().item<double>() + 1e-12);
  }
  double correlation(const Table& settings) const { return correlation(rows(plan(settings)), wanted); }
};

Table quick(const char* network, Table more = {}) {
  more["network"] = Value(network);
  for (auto& [key, value] :
       Table{{"width", 32}, {"layers", 1}, {"epochs", 60}, {"batch", 32}, {"lr", 0.003}, {"dropout", 0.0}})
    more.emplace(key, value);
  return more;
}

TEST_CASE("hyperofa: the loss by hand") {
  const auto made = tensor_of(std::vector<float>{1, 0, 0, 2}, {2, 2});
  const auto wanted = tensor_of(std::vector<float>{2, 0, 0, 1}, {2, 2});
  // Cosines 1 and 0 over 0.5; differences 1, 0, 0, 1 over values 2, 0, 0, 1.
  const double found = std::log(1 + std::exp(-2.0)), off = 0.5 / 0.75;
  CHECK(hyperofa::set_loss(made, wanted, 0.25, 0.5).item<double>() == Approx(0.25 * found + 0.75 * off));
  CHECK(hyperofa::set_loss(made, wanted, 0, 0.5).item<double>() == Approx(off));
  const auto turned = tensor_of(std::vector<float>{0, 3, 1, 0}, {2, 2});  // each is taken for the other
  CHECK(hyperofa::set_loss(turned, wanted, 1, 0.5).item<double>() == Approx(std::log(1 + std::exp(2.0))));
}

TEST_CASE("hyperofa: ridge by hand in one dimension") {
  Toy toy({"one", "two", "three"}, {"four", "five"});
  toy.give_vectors({{"one", {1}}, {"two", {2}}, {"three", {3}}, {"four", {4}}, {"five", {-1}}});
  auto table = ops::zeros({toy.source.size(), 2}, at::kFloat);
  const std::vector<std::vector<float>> rows{{1, 0}, {2, 0}, {6, 3}};
  for (int i = 0; i < 3; ++i)
    table[toy.source.id(i == 0 ? "one" : i == 1 ? "two" : "three")] = tensor_of(rows[static_cast<std::size_t>(i)]);
  toy.weights.values[0] = table;
  for (const double penalty : {1e-9, 0.5}) {
    const Table settings{{"type", "hyperofa"}, {"network", "ridge"}, {"penalty", penalty}};
    // Centred words -1, 0, 1; rows (-2, -1), (-1, -1), (3, 2): slopes 5 / 2 and 3 / 2, less by the penalty.
    const double a = 5 / (2 * (1 + penalty)), b = 3 / (2 * (1 + penalty));
    const auto four = toy.row(settings, "four").dense.at("vocab.input"),
               five = toy.row(settings, "five").dense.at("vocab.input");
    CHECK(four[0] == Approx(3 + 2 * a));
    CHECK(four[1] == Approx(1 + 2 * b));
    CHECK(five[0] == Approx(3 - 3 * a));
    CHECK(five[1] == Approx(1 - 3 * b));
  }
}

TEST_CASE("hyperofa: ridge where all words are alike gives the mean row") {
  Toy toy({"one", "two"}, {"four"});
  toy.give_vectors({{"one", {1}}, {"two", {1}}, {"four", {1}}});
  const auto row = toy.row({{"type", "hyperofa"}, {"network", "ridge"}}, "four").dense.at("vocab.input");
  const auto mean = toy.weights.values[0].narrow(0, toy.source.id("one"), 2).mean(0);
  for (std::size_t d = 0; d < row.size(); ++d)
    CHECK(row[d] == Approx(mean[static_cast<std::int64_t>(d)].item<float>()));
}

TEST_CASE("hyperofa: every network learns a planted map, and none without the words' geometry") {
  const Planted planted;
  CHECK(planted.correlation({{"network", "ridge"}, {"penalty", 1e-6}}) > 0.999);
  for (const char* network : {"bilstm", "setformer", "deep_sets"}) DYNAMIC_SECTION(network) {
      CHECK(planted.correlation(quick(network)) > 0.8);
      CHECK(std::abs(planted.correlation(quick(network, {{"shuffle_vectors", true}, {"epochs", 20}}))) < 0.3);
    }
}

TEST_CASE("hyperofa: dropout, parts of sets and drawn words are the same for the same seed and any threads") {
  const Planted planted;
  for (const char* network : {"bilstm", "setformer", "deep_sets"}) DYNAMIC_SECTION(network) {
      const auto few = quick(network, {{"epochs", 3}, {"dropout", 0.4}, {"max_words", 5}});
      const auto rows = Planted::rows(planted.plan(few));
      CHECK(rows.equal(Planted::rows(planted.plan(few))));
      const auto threads = at::get_num_threads();
      at::set_num_threads(threads == 1 ? 2 : 1);
      const auto other = Planted::rows(planted.plan(few));
      at::set_num_threads(threads);
      CHECK(rows.sub(other).abs().max().item<double>() < 1e-5);
      CHECK_FALSE(rows.equal(Planted::rows(planted.plan(quick(network, {{"epochs", 3}, {"max_words", 5}})))));
      CHECK_FALSE(rows.equal(Planted::rows(planted.plan(quick(network, {{"epochs", 3}, {"dropout", 0.4}})))));
    }
}

TEST_CASE("hyperofa: an output table of its own gets rows of its own, a bias its mean") {
  Planted planted;
  planted.toy.weights.info.push_back({"head.output", "vocab.output"});
  planted.toy.weights.values.push_back(planted.toy.weights.values[0].mul(-2));
  const auto plan = planted.plan({{"network", "ridge"}, {"penalty", 1e-6}});
  CHECK(planted.correlation(Planted::rows(plan), planted.wanted) > 0.999);
  CHECK(Planted::rows(plan, "vocab.output").sub(planted.wanted.mul(-2)).abs().max().item<double>() < 1e-3);
  CHECK(plan.rows()[5].dense.at("vocab.bias") == std::vector<float>{0.25F});
}

TEST_CASE("hyperofa: with a rank, coordinates are predicted and the table stays a product") {
  const Planted planted;
  const Table settings{{"network", "ridge"}, {"penalty", 1e-6}, {"rank", 6}};
  const auto made = Planted::rows(planted.plan(settings));
  CHECK(made.size(1) == 6);
  auto typed = settings;
  typed["type"] = "hyperofa";
  const VocabSetting setting{.source = planted.toy.source,
                             .target = planted.toy.target,
                             .weights = &planted.toy.weights,
                             .vectors = &planted.toy.vectors,
                             .random = RandomStreams(3)};
  const auto factors = testing::registry().make<VocabInitializer>(typed)->factorise(setting);
  REQUIRE(factors);
  const auto rows = made.matmul(tensor_of(factors->primitives, {6, kWidth}));
  CHECK(rows.sub(planted.wanted).abs().max().item<double>() < 1e-2);
}

TEST_CASE("hyperofa: tokens that no word covers fall back, and the rest says what is missing") {
  Toy toy({"one", "two"}, {"four", "zz"});
  toy.give_vectors({{"one", {1}}, {"two", {2}}, {"four", {4}}});
  const Table settings{{"type", "hyperofa"}, {"network", "ridge"}, {"fallback", "mean"}};
  CHECK(toy.row(settings, "zz").rule == "mean");
  CHECK(toy.row(settings, "zz").note == "no word covers the token");
  CHECK(toy.row(settings, "four").rule == "predicted");
  Toy strange({"one", "two"}, {"four"});
  strange.give_vectors({{"four", {4}}});  // no old token has a word to learn from
  CHECK(strange.row(settings, "four").rule == "mean");
  const auto made = testing::registry().make<VocabInitializer>(settings);
  CHECK(made->wants_vectors());
  MixPlan plan(toy.source.size(), toy.target.size());
  CHECK_THROWS_WITH(
      made->plan({.source = toy.source, .target = toy.target, .weights = &toy.weights, .random = RandomStreams(1)},
                 plan),
      ContainsSubstring("give the stage `vectors`"));
  const Planted planted;
  CHECK_THROWS_WITH(planted.plan(quick("deep_sets", {{"lr", 1e30}})), ContainsSubstring("use a lower `lr`"));
}

}  // namespace hyperofa_test
