#include "toy_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace tokalign_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;

/// Two spaces of which one is turned and stretched: what is near what can be seen by shared tokens alone.
struct Spaces : Files {
  Toy toy{{"sun", "sea", "ship", "cow", "odd"}, {"sun", "sea", "Boot", "Kuh", "Fee"}};
  Spaces() {
    write("old.vec", "4 2\nsun 1 0\nsea 0 1\nship 1 3\ncow -3 1\n");
    write("new.vec", "4 2\nsun 0 2\nsea -2 0\nBoot -6 2\nKuh -2 -5\n");  // turned by a quarter
  }
  Table settings() const {
    return {{"type", "tokalign"}, {"source_vectors", path("old.vec")}, {"target_vectors", path("new.vec")}};
  }
};

TEST_CASE("TokAlign takes the row of the one old token that stands alike among shared tokens") {
  const Spaces files;
  for (const auto& [token, old] : {std::pair{"Boot", "ship"}, {"Kuh", "cow"}}) {
    const auto row = files.toy.row(files.settings(), token);
    CHECK(row.rule == "nearest");
    REQUIRE(row.parts.size() == 1);
    CHECK(row.parts[0].source == files.toy.source.id(old));
    CHECK(row.parts[0].weight == 1);
  }
  CHECK(files.toy.row(files.settings(), "sun").rule == "copy");
}

TEST_CASE("TokAlign takes vectors of both vocabularies from the setting") {
  Spaces files;
  files.toy.give_source_vectors({{"sun", {1, 0}}, {"sea", {0, 1}}, {"ship", {1, 3}}, {"cow", {-3, 1}}});
  files.toy.give_vectors({{"sun", {0, 2}}, {"sea", {-2, 0}}, {"Boot", {-6, 2}}});
  const auto row = files.toy.row({{"type", "tokalign"}}, "Boot");
  REQUIRE(row.parts.size() == 1);
  CHECK(row.parts[0].source == files.toy.source.id("ship"));
}

TEST_CASE("TokAlign: a token without vector takes an old token that is drawn") {
  const Spaces files;
  const auto row = files.toy.row(files.settings(), "Fee");
  CHECK(row.rule == "token");
  CHECK(row.parts.at(0).weight == 1);
  CHECK(row.parts[0].source == files.toy.row(files.settings(), "Fee").parts.at(0).source);
}

TEST_CASE("TokAlign needs a shared token with vectors on both sides") {
  const Spaces files;
  files.write("old.vec", "2 2\nship 1 3\ncow -3 1\n");
  CHECK_THROWS_WITH(files.toy.plan(files.settings()),
                    ContainsSubstring("no shared token has a vector on both sides"));
}

}  // namespace tokalign_test
