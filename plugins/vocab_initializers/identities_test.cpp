// What holds for every initializer that needs no files, whatever its formula.
#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

namespace identities_test {

using namespace xp;
using namespace xp::fixture;

struct Case {
  std::string name;
  Table settings;
  bool convex = false;  ///< vocab_initializers.md 3: rows stay in the hull of old rows
  bool pieces = false;  ///< mixes the token's own pieces, and leaves tokens that have none
  bool draws = false;   ///< some rows are random numbers, which belong to ids
};

Value list_of(std::vector<Table> members) {
  List list;
  for (auto& member : members) list.emplace_back(std::move(member));
  return Value(std::move(list));
}

/// Every type that is registered stands here, but those that read text or files.
std::vector<Case> cases() {
  const auto one = [](const char* type, Table settings = {}) {
    settings.insert_or_assign("type", type);
    return settings;
  };
  const auto with_donor = [&](const char* type) { return one(type, {{"donor", a_donor()}, {"fallback", "mean"}}); };
  return {
      {"random", one("random"), false, false, true},
      {"gaussian", one("gaussian"), false, false, true},
      {"mean", one("mean"), true},
      {"mean_of_pieces", one("mean_of_pieces"), true, true},
      {"fvt", one("fvt"), true, true},
      {"length_weighted", one("length_weighted"), true, true},
      {"eeve", one("eeve"), true, true},
      {"adaptivocab", one("adaptivocab"), true, true},
      {"ofa", one("ofa", {{"fallback", "pieces"}}), true, false, true},
      {"wechsel", one("wechsel", {{"fallback", "pieces"}}), true, false, true},
      {"focus", one("focus", {{"fallback", "pieces"}}), true, false, true},
      {"cw2v", one("cw2v", {{"steps", 20}}), true},
      {"hyperofa", one("hyperofa", {{"network", "ridge"}, {"fallback", "mean"}})},
      {"clp", with_donor("clp")},
      {"omp", with_donor("omp")},
      {"salt", with_donor("salt")},
      {"first_of", one("first_of", {{"of", list_of({one("mean_of_pieces"), one("mean")})}}), true},
      {"interpolate", one("interpolate", {{"of", list_of({one("mean"), one("eeve", {{"fallback", "mean"}})})}}),
       true},
  };
}

const std::vector<std::string> kOld{"ship", "sail", "cow", "barn", "##ing", "s", "##s", "##hip"};
const std::vector<std::string> kNew{"sailing", "ships", "boat", "ship", "cow", "##ing", "barns", "zz"};

Toy scene(const std::vector<TokenId>& old_order = {}, const std::vector<TokenId>& new_order = {}) {
  Toy toy(testing::ToyEncoder(kOld, old_order), testing::ToyEncoder(kNew, new_order));
  std::vector<std::pair<std::string, std::vector<float>>> words;
  for (std::size_t i = 0; i < kNew.size(); ++i) {
    if (kNew[i] == "zz") continue;
    const auto angle = static_cast<float>(i);
    words.push_back({kNew[i], {std::cos(angle), std::sin(angle), 0.3F}});
  }
  words.push_back({"sail", {0.9F, 0.1F, 0.3F}});
  toy.give_vectors(words);
  toy.donor_tokens.emplace(kNew);
  toy.donor_model.parameters = testing::toy_weights(*toy.donor_tokens);
  return toy;
}

std::vector<TokenId> reversed(std::size_t n) {
  std::vector<TokenId> order(n + 5);  // and the reserved ids
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<TokenId>(order.size() - 1 - i);
  return order;
}

/// Gives the model an output table of its own.
void untie(Toy& toy) {
  toy.weights.info.push_back({"head.output", "vocab.output"});
  toy.weights.values.push_back(toy.weights.values[0].mul(-0.5));
}

TEST_CASE("the table names every initializer") {
  std::vector<std::string> wanted, named{"context_average",    "ramen", "trans_tokenization", "tokalign",
                                         "token_distillation", "zett"};  // read text, files or what a stage learnt
  for (const auto& type : testing::registry().catalogue().types(VocabInitializer::kInterface)) wanted.push_back(type);
  for (const auto& one : cases()) named.push_back(one.name);
  std::sort(named.begin(), named.end()), std::sort(wanted.begin(), wanted.end());
  CHECK(named == wanted);
}

TEST_CASE("rows that are convex by definition have weights of 0 or more that sum to 1, in every table") {
  for (const auto& one : cases()) DYNAMIC_SECTION(one.name) {
      auto toy = scene();
      untie(toy);
      const auto plan = toy.plan(one.settings);
      std::size_t broken = 0, made = 0;
      for (const auto& row : plan.rows())
        for (const auto* role : {"vocab.input", "vocab.output", "vocab.bias"}) {
          double sum = row.uniform;
          bool negative = row.uniform < 0;
          for (const auto& part : row.parts_for(role)) sum += part.weight, negative |= part.weight < 0;
          if (!row.dense.empty() && one.draws) continue;  // numbers that were drawn are no mix
          broken += negative || std::abs(sum - 1) > 1e-6;
          made += row.rule != kCopyRule;
        }
      if (one.convex) CHECK(broken == 0);
      CHECK((made > 0 || one.draws));
      const auto bound = report(plan, {kCopyRule}).leak_bound;
      if (one.convex && !one.draws) CHECK(bound.has_value());
      if (!one.convex && !one.draws) CHECK_FALSE(bound.has_value());
    }
}

TEST_CASE(
    "the same vocabulary gives the same tables to the bit, tokens of the same text in another order their rows") {
  for (const auto& one : cases()) DYNAMIC_SECTION(one.name) {
      auto settings = one.settings;
      if (one.name == "wechsel") settings["match"] = Value("exact");  // as published it copies special tokens alone
      Toy toy = scene();
      toy.target = testing::ToyEncoder(kOld);
      toy.donor_tokens.emplace(kOld), toy.donor_model.parameters = testing::toy_weights(*toy.donor_tokens);
      const auto plan = toy.plan(settings);
      for (const auto* role : {"vocab.input", "vocab.output"})
        CHECK(apply_plan(plan, toy.weights.values[0], role).equal(toy.weights.values[0]));
      CHECK(apply_plan(plan, toy.weights.values[1], "vocab.bias").equal(toy.weights.values[1]));
      toy.target = testing::ToyEncoder(kOld, reversed(kOld.size()));
      const auto turned = apply_plan(toy.plan(settings), toy.weights.values[0], "vocab.input");
      for (const auto& token : kOld)
        CHECK(turned[toy.target.id(token)].equal(toy.weights.values[0][toy.source.id(token)]));
    }
}

TEST_CASE("ids that change places on either side move rows, and change none") {
  for (const auto& one : cases()) DYNAMIC_SECTION(one.name) {
      const auto plain = scene();
      const auto first = plain.plan(one.settings);
      const auto rows = apply_plan(first, plain.weights.values[0], "vocab.input");
      for (const bool new_side : {false, true}) {
        const auto other = new_side ? scene({}, reversed(kNew.size())) : scene(reversed(kOld.size()));
        const auto plan = other.plan(one.settings);
        const auto turned = apply_plan(plan, other.weights.values[0], "vocab.input");
        for (const auto& token : kNew) {
          const auto& row = first.rows()[static_cast<std::size_t>(plain.target.id(token))];
          if (one.draws && !row.dense.empty()) continue;
          INFO(token);
          CHECK(turned[other.target.id(token)].sub(rows[plain.target.id(token)]).abs().max().item<double>() < 1e-4);
        }
      }
    }
}

TEST_CASE("tokens without pieces are left to the next rule by those that mix pieces") {
  for (const auto& one : cases()) {
    if (!one.pieces) continue;
    DYNAMIC_SECTION(one.name) {
      const auto toy = scene();
      CHECK(toy.row(one.settings, "zz").note == "the initializer left the row open");
      CHECK(toy.row(one.settings, "sailing").rule == "pieces");
    }
  }
}

TEST_CASE("tables of fewer bits keep their type, and rows are the nearest numbers to sums of float64") {
  for (const auto& one : cases())
    for (const auto type : {at::kHalf, at::kBFloat16}) DYNAMIC_SECTION(one.name << " " << c10::toString(type)) {
        auto small = scene(), wide = scene();
        for (std::size_t i = 0; i < small.weights.values.size(); ++i) {
          small.weights.values[i] = small.weights.values[i].to(type);
          wide.weights.values[i] = small.weights.values[i].to(at::kDouble);
        }
        const auto plan = small.plan(one.settings);
        for (std::size_t i = 0; i < small.weights.values.size(); ++i) {
          const auto& role = small.weights.info[i].role;
          const auto made = apply_plan(plan, small.weights.values[i], role);
          CHECK(made.scalar_type() == type);
          CHECK(made.equal(apply_plan(plan, wide.weights.values[i], role).to(type)));
          const auto again = apply_plan(wide.plan(one.settings), wide.weights.values[i], role);
          // Half a unit of the last of 8 bits, of rows that may be longer than the old ones.
          CHECK(made.to(at::kDouble).sub(again).abs().max().item<double>() <
                0.004 * (1 + again.abs().max().item<double>()));
        }
      }
}

TEST_CASE("a table that serves input and output is planned once, and stays one") {
  for (const auto& one : cases()) DYNAMIC_SECTION(one.name) {
      auto toy = scene();
      toy.weights.info.push_back({"head.output", "vocab.output"});
      toy.weights.values.push_back(toy.weights.values[0]);
      for (const auto& row : toy.plan(one.settings).rows()) {
        CHECK_FALSE(row.dense.contains("vocab.output"));
        CHECK_FALSE(row.role_parts.contains("vocab.output"));
      }
    }
}

}  // namespace identities_test
