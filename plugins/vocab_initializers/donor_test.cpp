// clp, omp and salt: initializers that compare rows of a donor.
#include <ATen/ops/linalg_pinv.h>

#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

namespace donor_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

const std::vector<std::string> kShared{"ship", "sail", "cow", "barn", "field"};

/// A donor of the new vocabulary whose rows are drawn, of this width.
Toy scene(std::int64_t width = 3, bool with_new = true) {
  Toy toy(kShared, {"boat", "ship", "sail", "cow", "barn", "field"});
  auto tokens = kShared;
  if (with_new) tokens.push_back("boat");
  toy.donor_tokens.emplace(tokens);
  auto table = ops::empty({toy.donor_tokens->size(), width}, at::kFloat);
  RandomStream stream(11);
  for (std::int64_t i = 0; i < table.numel(); ++i)
    table.mutable_data_ptr<float>()[i] = static_cast<float>(stream.uniform() - 0.4);
  toy.donor_model.parameters.info = {{"embedding", "vocab.input"}}, toy.donor_model.parameters.values = {table};
  return toy;
}

at::Tensor donor_row(const Toy& toy, const std::string& token) {
  return toy.donor_model.parameters.values[0][toy.donor_tokens->id(token)].to(at::kDouble);
}
at::Tensor old_row(const Toy& toy, const std::string& token) {
  return toy.weights.values[0][toy.source.id(token)].to(at::kDouble);
}
/// Tokens that all three vocabularies have, specials too.
std::vector<std::string> anchors() {
  auto out = kShared;
  for (const char* special : {"[pad]", "[unk]", "[begin]", "[end]", "[mask]"}) out.push_back(special);
  return out;
}
void check_row(const MixRow& row, const char* role, const at::Tensor& expected) {
  const auto& numbers = row.dense.at(role);
  REQUIRE(std::ssize(numbers) == expected.numel());
  for (std::int64_t d = 0; d < expected.numel(); ++d)
    CHECK_THAT(numbers[static_cast<std::size_t>(d)], WithinAbs(expected.flatten()[d].item<double>(), 1e-5));
}

TEST_CASE("CLP mixes all shared rows by their cosines, token by token") {
  const auto toy = scene();
  const auto row = toy.row({{"type", "clp"}, {"donor", a_donor()}}, "boat");
  at::Tensor sum;
  double all = 0, bias = 0;
  for (const auto& token : anchors()) {
    const auto a = donor_row(toy, "boat"), b = donor_row(toy, token);
    const double cosine = a.dot(b).item<double>() / (a.norm().item<double>() * b.norm().item<double>());
    const auto part = old_row(toy, token).mul(cosine);
    sum = sum.defined() ? sum.add(part) : part;
    all += cosine;
    bias += cosine * toy.weights.values[1][toy.source.id(token)].item<double>();
  }
  CHECK(row.rule == "similarity");
  check_row(row, "vocab.input", sum.div(all));
  CHECK_THAT(row.dense.at("vocab.bias").at(0), WithinAbs(bias / all, 1e-5));
}

TEST_CASE("CLP's control meets the shared rows where the donor has room for it") {
  auto toy = scene(16);  // more dimensions than shared tokens
  auto& table = toy.donor_model.parameters.values[0];
  table[toy.donor_tokens->id("boat")].copy_(table[toy.donor_tokens->id("sail")]);
  const auto row = toy.row({{"type", "clp"}, {"donor", a_donor()}, {"fit", "ridge"}, {"ridge", 1e-9}}, "boat");
  check_row(row, "vocab.input", old_row(toy, "sail"));
}

TEST_CASE("OMP writes a row as few shared rows, each chosen by what is left") {
  auto toy = scene(6);
  auto& table = toy.donor_model.parameters.values[0];
  const auto id = [&](const char* token) { return toy.donor_tokens->id(token); };
  table[id("boat")].copy_(table[id("ship")].mul(2).sub(table[id("cow")].mul(0.5)));
  const auto row = toy.row({{"type", "omp"}, {"donor", a_donor()}}, "boat");
  CHECK(row.rule == "combination");
  at::Tensor rebuilt;
  for (const auto& part : row.parts) {
    const auto one = donor_row(toy, toy.source.text(part.source)).mul(part.weight);
    rebuilt = rebuilt.defined() ? rebuilt.add(one) : one;
  }
  CHECK(rebuilt.sub(donor_row(toy, "boat")).abs().max().item<double>() < 1e-8);
  double before = 1e300;
  for (const std::int64_t atoms : {1, 2, 3, 4}) {
    const auto few = toy.row({{"type", "omp"}, {"donor", a_donor()}, {"atoms", atoms}}, "boat");
    CHECK(std::ssize(few.parts) <= atoms);
    auto left = donor_row(toy, "boat");
    for (const auto& part : few.parts) left = left.sub(donor_row(toy, toy.source.text(part.source)).mul(part.weight));
    for (const auto& part : few.parts)  // least squares: what is left is at a right angle to each atom
      CHECK_THAT(left.dot(donor_row(toy, toy.source.text(part.source))).item<double>(), WithinAbs(0, 1e-8));
    CHECK(left.norm().item<double>() <= before + 1e-12);
    before = left.norm().item<double>();
  }
  const auto first = toy.row({{"type", "omp"}, {"donor", a_donor()}, {"atoms", 1}}, "boat");
  double best = 0;
  for (const auto& token : anchors())
    best = std::max(best, std::abs(donor_row(toy, token).dot(donor_row(toy, "boat")).item<double>()));
  CHECK_THAT(
      std::abs(donor_row(toy, toy.source.text(first.parts.at(0).source)).dot(donor_row(toy, "boat")).item<double>()),
      WithinAbs(best, 1e-9));
}

TEST_CASE("SALT maps a donor's row as the near shared tokens are mapped") {
  auto toy = scene(3);
  toy.give_vectors(
      {{"boat", {1, 0.2F}}, {"ship", {1, 0}}, {"sail", {0.9F, 0.3F}}, {"cow", {-1, 0}}, {"barn", {0, -1}}});
  const auto row = toy.row({{"type", "salt"}, {"donor", a_donor()}}, "boat");
  CHECK(row.rule == "local map");
  // Only ship and sail are near: sparsemax gives the others no weight.
  const auto rows = [&](const auto& of) { return ops::cat({of("ship").unsqueeze(0), of("sail").unsqueeze(0)}); };
  const auto from = rows([&](const char*t) { return donor_row(toy, t); }),
             to = rows([&](const char*t) { return old_row(toy, t); });
  check_row(row, "vocab.input", donor_row(toy, "boat").matmul(at::linalg_pinv(from)).matmul(to));
  const auto damped = toy.row({{"type", "salt"}, {"donor", a_donor()}, {"ridge", 1e-9}}, "boat");
  for (std::size_t d = 0; d < 4; ++d)
    CHECK_THAT(damped.dense.at("vocab.input")[d], WithinAbs(row.dense.at("vocab.input")[d], 1e-4));
}

TEST_CASE("a token that the donor lacks falls back") {
  const auto toy = scene(3, false);
  CHECK(toy.row({{"type", "clp"}, {"donor", a_donor()}}, "boat").rule == "random");
  CHECK(toy.row({{"type", "omp"}, {"donor", a_donor()}}, "boat").uniform);
}

TEST_CASE("initializers that need a donor say so") {
  Toy toy(kShared, {"boat"});
  for (const char* type : {"clp", "omp"})
    CHECK_THROWS_WITH(toy.plan({{"type", type}, {"donor", a_donor()}}), ContainsSubstring("give it `donor`"));
}

}  // namespace donor_test
