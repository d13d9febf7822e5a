#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "kit/subword_vectors.h"

namespace wechsel_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

/// Two languages whose vectors are the same after a turn, in files.
struct Languages : Files {
  Toy toy{{"cat", "dog", "sea", "sun"}, {"Katze", "Hund", "Meer", "sun", "Fee"}};

  Languages() {
    write("old.vec", "4 3\ncat 1 0 0\ndog 0 1 0\nsea 0 0 1\nsun 1 1 0\n");
    write("new.vec", "4 3\nKatze 0 1 0\nHund 0 0 1\nMeer 1 0 0\nsun 0 1 1\n");
    write("pairs.txt", "cat\tkatze\ndog\thund\nsea Meer\nnone\tkeins\n");
  }
  Table settings() const {
    return {{"type", "wechsel"},
            {"source_vectors", path("old.vec")},
            {"target_vectors", path("new.vec")},
            {"dictionary", path("pairs.txt")},
            {"neighbours", 2}};
  }
};

TEST_CASE("WECHSEL turns the old space by the dictionary, then mixes the nearest tokens") {
  const Languages files;
  const auto row = files.toy.row(files.settings(), "Katze");  // cosines: cat 1, sun 1 / sqrt(2), others 0
  const double far = std::exp((std::sqrt(0.5) - 1) / 0.1);
  CHECK(row.rule == "similarity");
  CHECK_THAT(files.toy.weight(row, "cat"), WithinAbs(1 / (1 + far), 1e-5));
  CHECK_THAT(files.toy.weight(row, "sun"), WithinAbs(far / (1 + far), 1e-5));
  CHECK_THAT(files.toy.weight(files.toy.row(files.settings(), "Meer"), "sea"), WithinAbs(1, 1e-3));
  CHECK(files.toy.row(files.settings(), "Fee").rule == "random");
}

TEST_CASE("WECHSEL copies no ordinary token unless it is told to") {
  const Languages files;
  CHECK(files.toy.row(files.settings(), "sun").rule == "similarity");
  auto settings = files.settings();
  settings["match"] = Value("exact");
  CHECK(files.toy.row(settings, "sun").rule == "copy");
  CHECK(files.toy.plan(files.settings()).rows()[static_cast<std::size_t>(*files.toy.target.reserved("mask"))].rule ==
        "copy");
}

TEST_CASE("WECHSEL takes vectors of both languages and their likeliest translations from the setting") {
  Toy toy{{"cat", "dog", "sea"}, {"Katze", "Hund", "Meer"}};
  toy.give_source_vectors({{"cat", {1, 0, 0}}, {"dog", {0, 1, 0}}, {"sea", {0, 0, 1}}});
  toy.give_vectors({{"Katze", {0, 1, 0}}, {"Hund", {0, 0, 1}}, {"Meer", {1, 0, 0}}});
  const Table settings{{"type", "wechsel"}, {"neighbours", 1}};
  CHECK_THROWS_WITH(toy.plan(settings), ContainsSubstring("or the stage's `translations`"));
  toy.translations.set("source", Strings{"cat", "cat", "dog", "sea"});
  toy.translations.set("target", Strings{"Meer", "Katze", "Hund", "Meer"});
  toy.translations.set("counts", Ints{{2, 5, 3, 3}, {4}});
  CHECK(toy.weight(toy.row(settings, "Katze"), "cat") == 1);
  CHECK(toy.weight(toy.row(settings, "Hund"), "dog") == 1);
  toy.translations.set("counts", Ints{{2, 5}, {2}});
  CHECK_THROWS_WITH(toy.plan(settings), ContainsSubstring("differ in length"));
}

TEST_CASE("without alignment the spaces are compared as they stand") {
  const Languages files;
  auto settings = files.settings();
  settings["align"] = Value("none"), settings.erase("dictionary");
  const auto row = files.toy.row(settings, "Katze");
  CHECK(files.toy.weight(row, "dog") > 0.9);  // [0 1 0] in both files
}

TEST_CASE("a token's vector is the mean over the words that have it, by their counts") {
  const testing::ToyEncoder encoder({"run", "##s", "##ner"});
  const Strings words{"runs", "runner"};
  const Floats vectors{{1, 0, 0, 1}, {2, 2}};
  const auto of = [&](const WordUse& use) {
    return subword_vectors(encoder, words, vectors, {0, 1}, use).vectors[encoder.id("run")];
  };
  const auto counted = of({.capitalised = false, .counts = {3, 1}});
  CHECK_THAT(counted[0].item<double>(), WithinAbs(3 / std::sqrt(10.0), 1e-6));
  CHECK_THAT(counted[1].item<double>(), WithinAbs(1 / std::sqrt(10.0), 1e-6));
  CHECK_THAT(of({})[0].item<double>(), WithinAbs(std::sqrt(0.5), 1e-6));
}

TEST_CASE("counts come from a file, and words without a count do not count") {
  const Languages files;
  files.write("counts.txt", "Katze\t5\nHund\t0\n");
  auto settings = files.settings();
  settings["target_counts"] = files.path("counts.txt");
  CHECK(files.toy.row(settings, "Katze").rule == "similarity");
  CHECK(files.toy.row(settings, "Meer").rule == "random");
}

TEST_CASE("WECHSEL says what is missing or wrong, and where") {
  const Languages files;
  const auto make = [](const Table& settings) { return testing::registry().make<VocabInitializer>(settings); };
  auto settings = files.settings();
  settings.erase("dictionary");
  CHECK_THROWS_WITH(files.toy.plan(settings), ContainsSubstring("give one, or align = \"none\""));
  settings = files.settings(), settings.erase("target_vectors");
  CHECK_THROWS_WITH(make(settings), ContainsSubstring("give both `source_vectors` and `target_vectors`"));
  CHECK_THROWS_WITH(files.toy.plan({{"type", "wechsel"}}), ContainsSubstring("give it `vectors`"));
  settings = files.settings();
  files.write("pairs.txt", "cat\tkatze\nalone\n");
  CHECK_THROWS_WITH(files.toy.plan(settings), ContainsSubstring("pairs.txt:2: two words with a tab between"));
  files.write("pairs.txt", "nobody\tniemand\n");
  CHECK_THROWS_WITH(files.toy.plan(settings),
                    ContainsSubstring("no pair of the dictionary has a vector on both sides"));
  files.write("pairs.txt", "cat\tKatze\n");
  files.write("counts.txt", "Katze many\n");
  settings["source_counts"] = files.path("counts.txt");
  CHECK_THROWS_WITH(files.toy.plan(settings), ContainsSubstring("counts.txt:1: a word, a tab and a count"));
  files.write("new.vec", "1 2\nKatze 0 1\n");
  CHECK_THROWS_WITH(files.toy.plan(files.settings()), ContainsSubstring("have 3 numbers, those of the new one 2"));
}

}  // namespace wechsel_test
