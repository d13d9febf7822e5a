// Wrong recipes and the whole text that a user reads. XP_UPDATE_GOLDEN=1 writes the texts anew, to be read before
// commit.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "catalogue.h"
#include "recipe/plan.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

// Lines such as "set stage.adapt.stop=1k tokens", "unset k", "arm one", "smoke".
ResolveOptions options_of(const fs::path& folder) {
  ResolveOptions options;
  if (!fs::exists(folder / "options.txt")) return options;
  for (const auto& line : split(read_file(folder / "options.txt"), '\n')) {
    const auto word = line.substr(0, line.find(' '));
    const auto rest = line.size() > word.size() ? line.substr(word.size() + 1) : std::string();
    if (word == "set") options.set.push_back(rest);
    if (word == "unset") options.unset.push_back(rest);
    if (word == "arm") options.arms.push_back(rest);
    if (word == "seed") options.seeds.push_back(std::stoll(rest));
    if (word == "smoke") options.smoke = true;
  }
  return options;
}

std::vector<fs::path> cases() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator("tests/golden/recipes"))
    if (fs::exists(entry.path() / "recipe.toml")) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

TEST_CASE("each golden mistake is reported to the letter") {
  fs::current_path(XP_SOURCE_DIR);
  const bool update = std::getenv("XP_UPDATE_GOLDEN") != nullptr;
  const auto catalogue = small_catalogue();
  const auto all = cases();
  CHECK(all.size() >= 60);
  for (const auto& folder : all) {
    Problems problems;
    const auto plan = resolve(folder / "recipe.toml", catalogue, options_of(folder), problems);
    const auto text = problems.text();
    INFO(folder.string());
    CHECK(plan.has_value() == (problems.errors() == 0));
    CHECK_FALSE(text.empty());
    if (update) write_file(folder / "expected.txt", text);
    CHECK(text == read_file(folder / "expected.txt"));
  }
}

TEST_CASE("an unknown type is explained by the nearest, else by where was looked, or by a plugin that is broken") {
  fs::current_path(XP_SOURCE_DIR);
  auto catalogue = small_catalogue();
  catalogue.searched = {"first/folder", "second/folder"};
  catalogue.quarantined.push_back({"lib/broken.so", "broken", "it crashed"});
  const auto hint = [&](const std::string& type) {
    Problems problems;
    resolve("tests/golden/recipes/shared/small.toml", catalogue,
            {.set = {"recipe=1", "stage.pretrain.objective={ type = \"" + type + "\" }"}}, problems);
    REQUIRE(problems.list().size() == 1);
    CHECK(problems.list().front().code == "unknown-type");
    return problems.list().front().hint;
  };
  CHECK(hint("mlmm") == "did you mean `mlm`?");
  CHECK(hint("something_else") ==
        "there is `causal_lm`, `classification`, `contrastive`, `demanding`, `denoise`, `match_features`, `mlm`, "
        "`replaced_token_detection` and `sum`; looked in first/folder, second/folder; 1 plugin quarantined, `xp "
        "plugins` says why");
  CHECK(hint("broken") == "plugin `broken` is quarantined: it crashed");
}

TEST_CASE("the recipe that the mistakes start from is right") {
  fs::current_path(XP_SOURCE_DIR);
  Problems problems;
  ResolveOptions options;
  options.set = {"recipe=1"};
  const auto plan = resolve("tests/golden/recipes/shared/small.toml", small_catalogue(), options, problems);
  CHECK(problems.text() == "");
  REQUIRE(plan);
  CHECK(plan->nodes.size() == 3);
}

}  // namespace
}  // namespace xp
