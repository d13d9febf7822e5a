// The example of recipes/README.md is read from there, so it cannot grow stale.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "../scratch.h"
#include "base/file.h"
#include "catalogue.h"
#include "recipe/plan.h"

namespace xp {
namespace {

TEST_CASE("the recipe of recipes/README.md is right") {
  const std::filesystem::path root = XP_SOURCE_DIR;
  const auto page = read_file(root / "recipes" / "README.md");
  const auto open = page.find("```toml\n");
  REQUIRE(open != std::string::npos);
  const auto begin = open + 8;
  const Scratch scratch;
  write_file(scratch / "example.toml", page.substr(begin, page.find("\n```", begin) + 1 - begin));
  Problems problems;
  const auto plan = resolve(scratch / "example.toml", small_catalogue(), {.root = root}, problems);
  CHECK(problems.text() == "");
  REQUIRE(plan);
  CHECK(plan->members.size() == 18);
  CHECK(plan->members.back().arm == "ramp[0]");
  CHECK(plan->members.front().nodes.contains("score[test]"));
  Problems smoke;
  CHECK(resolve(scratch / "example.toml", small_catalogue(), {.smoke = true, .root = root}, smoke)->members.size() ==
        3);
}

}  // namespace
}  // namespace xp
