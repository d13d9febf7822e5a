#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

namespace translation_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

/// Counts of an alignment: "Boot" is ship or boat, "sun" is in both vocabularies.
struct Parallel : Files {
  Toy toy{{"ship", "boat", "sun"}, {"Boot", "sun", "Fee", "rar"}};
  Parallel() {
    write("counts.tsv",
          "ship\tBoot\t30\nboat\tBoot\t10\nnone\tBoot\t99\nboat\tnichts\t99\nship\tsun\t12\nboat\tsun\t11\nship\trar"
          "\t9\n");
  }
  Table settings(const char* type) const { return {{"type", type}, {"counts", path("counts.tsv")}}; }
};

TEST_CASE("RAMEN mixes old rows and biases by the share of their translations") {
  const Parallel files;
  const auto row = files.toy.row(files.settings("ramen"), "Boot");
  CHECK(row.rule == "translation");
  CHECK_THAT(files.toy.weight(row, "ship"), WithinAbs(0.75, 1e-12));
  CHECK_THAT(files.toy.weight(row, "boat"), WithinAbs(0.25, 1e-12));
  const auto plan = files.toy.plan(files.settings("ramen"));
  const auto& bias = files.toy.weights.values[1];
  const auto made = apply_plan(plan, bias, "vocab.bias")[files.toy.target.id("Boot")].item<double>();
  CHECK_THAT(made, WithinAbs(0.75 * bias[files.toy.source.id("ship")].item<double>() +
                                 0.25 * bias[files.toy.source.id("boat")].item<double>(),
                             1e-6));
  CHECK(files.toy.row(files.settings("ramen"), "sun").rule == "translation");  // special tokens alone are copied
  auto settings = files.settings("ramen");
  settings["match"] = Value("exact");
  CHECK(files.toy.row(settings, "sun").rule == "copy");
}

TEST_CASE("RAMEN draws what nothing translates around 0") {
  const Parallel files;
  double sum = 0;
  const auto row = files.toy.row(files.settings("ramen"), "Fee");
  CHECK(row.rule == "random");
  for (const float x : row.dense.at("vocab.input")) sum += std::abs(x);
  CHECK(sum > 0);
  CHECK(sum < 4 * 4 * 0.5);  // four numbers of standard deviation 4^-1/2
}

TEST_CASE("RAMEN from vectors: words count by 1 / rank, only as they stand after a space") {
  const Files files;
  const Toy toy({"run", "##s", "sea"}, {"lauf", "##e", "meer"});
  files.write("old.vec", "3 2\nrun 1 0\nruns 0 1\nsea -1 0\n");
  files.write("new.vec", "2 2\nlauf 1 1\nmeer -1 0.2\n");
  const Table settings{
      {"type", "ramen"}, {"source_vectors", files.path("old.vec")}, {"target_vectors", files.path("new.vec")}};
  // run: (1, 0) + (0, 1) / 2; ##s: (0, 1); sea: (-1, 0). lauf is (1, 1) / sqrt(2).
  const double run = 1.5 / std::sqrt(1.25 * 2), s = 1 / std::sqrt(2.0), threshold = (run + s - 1) / 2;
  const auto row = toy.row(settings, "lauf");
  CHECK_THAT(toy.weight(row, "run"), WithinAbs(run - threshold, 1e-6));
  CHECK_THAT(toy.weight(row, "##s"), WithinAbs(s - threshold, 1e-6));
  CHECK(toy.weight(row, "sea") == 0);
  CHECK(toy.row(settings, "##e").rule == "random");
}

TEST_CASE(
    "trans-tokenization leaves rare pairs out, counts shared tokens once, and falls back to the unknown token") {
  const Parallel files;
  const auto boot = files.toy.row(files.settings("trans_tokenization"), "Boot");
  CHECK_THAT(files.toy.weight(boot, "ship"), WithinAbs(0.75, 1e-12));
  const auto sun = files.toy.row(files.settings("trans_tokenization"), "sun");
  CHECK_THAT(files.toy.weight(sun, "ship"), WithinAbs(12.0 / 24, 1e-12));
  CHECK_THAT(files.toy.weight(sun, "boat"), WithinAbs(11.0 / 24, 1e-12));
  CHECK_THAT(files.toy.weight(sun, "sun"), WithinAbs(1.0 / 24, 1e-12));
  for (const char* token : {"Fee", "rar"}) {
    const auto row = files.toy.row(files.settings("trans_tokenization"), token);
    CHECK(row.rule == "unk");
    CHECK(row.parts.at(0).source == files.toy.source.reserved("unk"));
  }
  auto settings = files.settings("trans_tokenization");
  settings["min_count"] = 9, settings["identity"] = 0;
  CHECK(files.toy.row(settings, "rar").rule == "translation");
  CHECK(files.toy.weight(files.toy.row(settings, "sun"), "sun") == 0);
}

TEST_CASE("tokens translate as their words do: in order where both have as many, else each with its share") {
  Toy toy({"run", "##s", "sea", "boat"}, {"lauf", "##t", "meer", "##e"});
  toy.translations.set("source", Strings{"runs", "boat", "seas", "rare"});
  toy.translations.set("target", Strings{"lauft", "meere", "meer", "meer"});
  toy.translations.set("counts", Ints{{8, 6, 4, 0}, {4}});
  for (const char* type : {"ramen", "trans_tokenization"}) {
    Table settings{{"type", type}};
    if (type == std::string("trans_tokenization")) settings["min_count"] = 4;
    const auto lauf = toy.row(settings, "lauf"), t = toy.row(settings, "##t"), meer = toy.row(settings, "meer"),
               e = toy.row(settings, "##e");
    CHECK(toy.weight(lauf, "run") == 1);
    CHECK(toy.weight(t, "##s") == 1);
    CHECK_THAT(toy.weight(meer, "boat"), WithinAbs(6.0 / 10, 1e-12));  // all of boat's 6, and halves of seas' 4
    CHECK_THAT(toy.weight(meer, "sea"), WithinAbs(2.0 / 10, 1e-12));
    CHECK_THAT(toy.weight(meer, "##s"), WithinAbs(2.0 / 10, 1e-12));
    CHECK(toy.weight(e, "boat") == 1);
  }
  CHECK(toy.row({{"type", "trans_tokenization"}, {"min_count", 7}}, "meer").rule == "unk");
}

TEST_CASE("translations say what is missing or wrong") {
  const Parallel files;
  CHECK_THROWS_WITH(files.toy.plan({{"type", "trans_tokenization"}}),
                    ContainsSubstring("give it `counts`, or the stage `translations`"));
  const auto make = [](const Table& settings) { return testing::registry().make<VocabInitializer>(settings); };
  CHECK_THROWS_WITH(make({{"type", "ramen"}, {"source_vectors", files.path("old.vec")}}),
                    ContainsSubstring("ramen wants `counts`"));
  CHECK_THROWS_WITH(files.toy.plan({{"type", "ramen"}}), ContainsSubstring("give it `vectors`"));
  auto both = files.settings("ramen");
  both["source_vectors"] = files.path("old.vec"), both["target_vectors"] = files.path("new.vec");
  CHECK_THROWS_WITH(make(both), ContainsSubstring("or the stage's `vectors` alone"));
  for (const char* line : {"ship\t7", "ship\tBoot\tmany", "ship Boot 7"}) {
    files.write("counts.tsv", std::string("ship\tBoot\t30\n") + line + "\n");
    CHECK_THROWS_WITH(files.toy.plan(files.settings("trans_tokenization")),
                      ContainsSubstring("counts.tsv:2: an old token, a new token and a count"));
  }
}

}  // namespace translation_test
