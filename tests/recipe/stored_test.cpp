#include "recipe/stored.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "project.h"
#include "recipe/provenance.h"

namespace xp {
namespace {

using Catch::Matchers::ContainsSubstring;

/// A result of a plan without records.
std::unique_ptr<Result> result_of(const Plan& plan, const Catalogue& catalogue,
                                  const std::filesystem::path& results) {
  Cache cache(results);
  RunLog log(results, plan.name, "run-1", run_attributes(plan, catalogue, {"xp", "run", "r.toml"}), to_value(plan));
  return read_result(log.close("done", cache));
}

std::string refusal(const Result& result, const Plan& plan, const Catalogue& catalogue, Exit exit,
                    bool any_build = false) {
  try {
    check_same_experiment(result, plan, catalogue, any_build);
  } catch (const Error& error) {
    CHECK(error.exit() == exit);
    return error.what();
  }
  return {};
}

/// A recipe in a folder of its own that extends a file beside it and one of recipes/, with everything laid over it.
struct Stored {
  Project p;
  Plan plan;
  std::unique_ptr<Result> result;

  Stored() {
    p.put("recipes/shared/model.toml", "[model.encoder]\nlayers = 3\n");
    p.put("recipes/mine/start.toml",
          "extends = [\"../../base.toml\", \"shared/model.toml\"]\n[objective.masked]\nmask_rate = 0.3\n");
    p.put("recipes/mine/r.toml",
          "recipe = 1\nextends = \"start.toml\"\n[arm.one]\n[arm.two.optimizer.adamw]\nlr = "
          "0.5\n" +
              std::string(kScore));
    ResolveOptions options;
    options.set = {"optimizer.adamw.lr=0.25"}, options.unset = {"objective.masked.mask_rate"};
    options.arms = {"one"}, options.seeds = {3, 4}, options.engine_hash = "aaaa";
    plan = resolved(p.root() / "recipes" / "mine" / "r.toml", options);
    result = result_of(plan, small_catalogue(), p.root() / "results");
  }

  Plan resolved(const std::filesystem::path& file, ResolveOptions options, Catalogue catalogue = small_catalogue()) {
    Problems problems;
    options.root = p.root();
    auto out = resolve(file, catalogue, options, problems);
    INFO(problems.text());
    REQUIRE(out);
    return std::move(*out);
  }
  Plan again(Catalogue catalogue = small_catalogue(), const std::string& engine = "aaaa") {
    auto options = stored_experiment(*result);
    options.engine_hash = engine;
    return resolved("nowhere.toml", options, std::move(catalogue));
  }
};

TEST_CASE("a result gives its experiment back when its recipe's folder is gone or changed") {
  Stored stored;
  REQUIRE(stored.plan.files.size() == 4);
  CHECK(stored.plan.files[0].path == "base.toml");
  CHECK(stored.plan.files[1].path == "recipes/shared/model.toml");
  CHECK(stored.plan.files[3].path == "recipes/mine/r.toml");
  std::filesystem::remove_all(stored.p.root() / "recipes");
  stored.p.put("base.toml", "other = nonsense");
  const auto again = stored.again();
  CHECK(to_text(again) == to_text(stored.plan));
  CHECK(*find(node(again, "pretrain", "one", 3).settings, "optimizer.lr") == Value(0.25));
  CHECK(node(again, "pretrain", "one", 4).settings == node(stored.plan, "pretrain", "one", 4).settings);
  check_same_experiment(*stored.result, again, small_catalogue(), false);
  const auto twice = result_of(again, small_catalogue(), stored.p.root() / "again");
  CHECK(twice->attributes().at("recipe_files") == stored.result->attributes().at("recipe_files"));
  CHECK(twice->attributes().at("overrides") == stored.result->attributes().at("overrides"));
}

TEST_CASE("data that changed are an error that names them, whatever the build") {
  Stored stored;
  stored.p.put("data/en.txt", "One.\n\nTwo!\n");
  for (const bool any_build : {false, true}) {
    const auto text = refusal(*stored.result, stored.again(), small_catalogue(), Exit::data, any_build);
    CHECK_THAT(text, ContainsSubstring("dataset `english` holds something else"));
    CHECK_THAT(text, ContainsSubstring("`en.txt` has sha256 "));
  }
}

TEST_CASE("other binaries are refused unless told") {
  Stored stored;
  const auto built = [](const std::string& hash) {
    Catalogue out;
    const auto from = small_catalogue();
    for (const auto* info : from.list()) {
      auto copy = *info;
      if (info->type == "train") copy.plugin = "trainer", copy.library = "/trainer.so", copy.hash = hash;
      out.add(std::move(copy));
    }
    return out;
  };
  stored.result = result_of(stored.again(built("eeee")), built("eeee"), stored.p.root() / "built");
  CHECK(refusal(*stored.result, stored.again(built("eeee")), built("eeee"), Exit::ok) == "");
  const auto other = built("ffff");
  const auto text = refusal(*stored.result, stored.again(other), other, Exit::plugin);
  CHECK_THAT(text, ContainsSubstring("made with other binaries: plugin `trainer` (eeee there, ffff here); "));
  CHECK(refusal(*stored.result, stored.again(other), other, Exit::plugin, true) == "");
  CHECK_THAT(refusal(*stored.result, stored.again(built("eeee"), "bbbb"), built("eeee"), Exit::plugin),
             ContainsSubstring("the engine (aaaa there, bbbb here)"));
}

TEST_CASE("another plan is an error with the first line that differs") {
  Stored stored;
  auto options = stored_experiment(*stored.result);
  options.engine_hash = "aaaa", options.set.emplace_back("objective.masked.mask_rate=0.5");
  options.unset.clear();
  const auto other = stored.resolved("nowhere.toml", options);
  for (const bool any_build : {false, true})
    CHECK_THAT(refusal(*stored.result, other, small_catalogue(), Exit::usage, any_build),
               ContainsSubstring("the plan is not that of ") && ContainsSubstring(": line "));
}

TEST_CASE("a result without its recipe's files says so") {
  Stored stored;
  stored.plan.files.clear();
  const auto old = result_of(stored.plan, small_catalogue(), stored.p.root() / "old");
  CHECK_THROWS_WITH(stored_experiment(*old), ContainsSubstring("does not hold the files of its recipe"));
}

}  // namespace
}  // namespace xp
