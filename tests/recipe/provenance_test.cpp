// What a result says of the project that made it.
#include "recipe/provenance.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "project.h"

namespace xp {
namespace {

// A git of its own: nobody's configuration, no hooks.
bool git(const std::filesystem::path& folder, const std::string& arguments) {
  const auto command = "GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git -C '" + folder.string() +
                       "' -c user.name=Test -c user.email=test@example.org -c init.defaultBranch=main " + arguments +
                       " >/dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

TEST_CASE("uncommitted changes of tracked files are seen, untracked files are not") {
  Project p;
  CHECK(uncommitted_changes(p.root()) == "");
  if (!git(p.root(), "init")) SKIP("git is not installed");
  REQUIRE(git(p.root(), "add -A"));
  CHECK(uncommitted_changes(p.root()) == "yes");
  REQUIRE(git(p.root(), "commit -m first"));
  CHECK(uncommitted_changes(p.root()) == "no");
  p.put("new.txt", "not tracked");
  CHECK(uncommitted_changes(p.root()) == "no");
  p.put("base.toml", "# changed");
  CHECK(uncommitted_changes(p.root()) == "yes");
  std::filesystem::remove(p.root() / ".git" / "HEAD");
  CHECK(uncommitted_changes(p.root()) == "unknown");
}

TEST_CASE("attributes of a result name the commit and whether it was changed") {
  Project p;
  const auto plan = p.plan(kScore);
  const auto was = std::filesystem::current_path();
  std::filesystem::current_path(p.root());
  const auto attributes = run_attributes(plan, small_catalogue(), {"xp", "run", "r.toml"});
  std::filesystem::current_path(was);
  CHECK(attributes.at("commit") == "");
  CHECK(attributes.at("dirty") == "");
  CHECK(attributes.at("command") == "xp run r.toml");
  CHECK(attributes.at("plan_id") == plan.plan_id);
}

}  // namespace
}  // namespace xp
