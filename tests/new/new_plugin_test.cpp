#include "new_plugin.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "plugin/loader.h"
#include "testing/testing.h"

namespace fs = std::filesystem;
using xp::new_plugin;
using xp::testing::Scratch;

namespace {

std::string refusal(std::string_view kind, std::string_view name, const fs::path& folder, bool in_tree = false) {
  try {
    new_plugin(kind, name, folder, in_tree);
  } catch (const xp::Error& error) {
    CHECK(error.exit() == xp::Exit::usage);
    return error.what();
  }
  return "written";
}

}  // namespace

TEST_CASE("there is a template for every interface that a plugin implements") {
  const auto catalogue = xp::read_catalogue({xp::own_plugins()}, xp::describer_path());
  const auto kinds = xp::new_kinds();
  std::set<std::string> interfaces;
  for (const auto* info : catalogue.list()) interfaces.insert(info->interface);
  REQUIRE(interfaces.size() >= 11);
  for (const auto& interface : interfaces) {
    INFO("tools/xp/templates/" << interface << ".cpp.in, " << interface << "_test.cpp.in, "
                               << interface << ".toml.in");
    CHECK(std::find(kinds.begin(), kinds.end(), interface) != kinds.end());
  }
}

TEST_CASE("every kind gets source, test, recipe and build line, without a mark left open") {
  REQUIRE(xp::new_kinds().size() >= 14);
  for (const auto& kind : xp::new_kinds()) DYNAMIC_SECTION(kind) {
      const Scratch scratch;
      const auto files = new_plugin(kind, "my_part", scratch.path(), false);
      CHECK(files.size() == 6);
      for (const auto& file : files) {
        const auto text = xp::read_file(file);
        CHECK(text.find('@') == std::string::npos);
        CHECK(text.find("//!") == std::string::npos);
      }
      const auto source = xp::read_file(scratch / "my_part.cpp");
      CHECK(source.find("XP_PLUGIN(my_part)") != std::string::npos);
      CHECK(source.find("class MyPart final") != std::string::npos);
      CHECK(xp::read_file(scratch / "my_part.toml").find("\"my_part\"") != std::string::npos);
      const auto build = xp::read_file(scratch / "CMakeLists.txt");
      CHECK(build.find("find_package(xp REQUIRED)") != std::string::npos);
      CHECK(build.find("xp_plugin(my_part") != std::string::npos);
    }
}

TEST_CASE("a recipe's name of an interface does as well") {
  const Scratch scratch;
  new_plugin("initializer", "mine", scratch.path(), false);
  CHECK(xp::read_file(scratch / "mine.cpp").find("public xp::VocabInitializer") != std::string::npos);
}

TEST_CASE("a recipe with a sweep says so, and searches lie beside pruners") {
  const Scratch scratch;
  fs::create_directories(scratch.path() / "plugins");
  new_plugin("pruner", "mine", scratch.path(), true);
  CHECK(fs::exists(scratch.path() / "plugins/search/mine.cpp"));
  CHECK(xp::read_file(scratch.path() / "recipes/mine.toml").find("#   xp sweep recipes/mine.toml\n") !=
        std::string::npos);
  new_plugin("schedule", "other", scratch.path(), true);
  CHECK(xp::read_file(scratch.path() / "recipes/other.toml").find("#   xp run recipes/other.toml\n") !=
        std::string::npos);
}

TEST_CASE("a second plugin joins the project") {
  const Scratch scratch;
  new_plugin("schedule", "first", scratch.path(), false);
  new_plugin("callback", "second", scratch.path(), false);
  const auto build = xp::read_file(scratch / "CMakeLists.txt");
  CHECK(build.find("xp_plugin(first)\nxp_plugin(second)\n") != std::string::npos);
  CHECK(std::count(build.begin(), build.end(), '\n') == 7);
}

TEST_CASE("in the tree the plugin goes beside its kind") {
  const Scratch scratch;
  fs::create_directories(scratch.path() / "plugins/strategies");
  xp::write_file(scratch.path() / "plugins/strategies/CMakeLists.txt", "xp_plugin(standard)\n");
  const auto files = new_plugin("strategy", "careful", scratch.path(), true);
  CHECK(files.size() == 4);
  CHECK(fs::exists(scratch.path() / "plugins/strategies/careful_test.cpp"));
  CHECK(fs::exists(scratch.path() / "recipes/careful.toml"));
  CHECK(xp::read_file(files.back()) == "xp_plugin(standard)\nxp_plugin(careful TORCH)\n");
  CHECK(refusal("strategy", "careful", scratch.path(), true).ends_with("careful.cpp exists already"));
}

TEST_CASE("what cannot be made is refused and writes nothing") {
  const Scratch scratch;
  CHECK(refusal("shedule", "mine", scratch.path())
            .starts_with("no kind of plugin is called `shedule`; did you mean `schedule`?"));
  CHECK(refusal("schedule", "class", scratch.path()) ==
        "`class` is no name for a plugin: it is a word of C++ or of recipes");
  CHECK(refusal("schedule", "../up", scratch.path()).starts_with("`../up` is no name for a plugin: "));
  CHECK(refusal("schedule", "my_test", scratch.path()).starts_with("`my_test` is no name for a plugin: "));
  CHECK(refusal("schedule", "mine", scratch.path(), true)
            .ends_with("is not the source tree of xp: it has no folder plugins/"));
  CHECK(fs::is_empty(scratch.path()));
  xp::write_file(scratch / "CMakeLists.txt", "project(other)\n");
  CHECK(refusal("schedule", "mine", scratch.path()).find("is not the build file of an xp project") !=
        std::string::npos);
  CHECK_FALSE(fs::exists(scratch / "mine.cpp"));
}
