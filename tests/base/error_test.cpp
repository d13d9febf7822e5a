#include "base/error.h"

#include <catch2/catch_test_macros.hpp>

using namespace xp;

namespace {
std::shared_ptr<const SourceText> recipe(std::string text) {
  return std::make_shared<const SourceText>(SourceText{"recipes/cpt.toml", std::move(text)});
}
}  // namespace

TEST_CASE("A mistake is shown with its line and what would be right") {
  Problems problems;
  problems.error("unknown-key", "`learning_rat` is not a parameter of optimizer `adamw`",
                 {recipe("type = \"adamw\"\nlearning_rat = 3e-4\n"), 2, 1, 12},
                 "did you mean `lr`? (real, > 0, default 0.001)");
  CHECK(problems.text() ==
        "error[unknown-key]: `learning_rat` is not a parameter of optimizer `adamw`\n"
        "  --> recipes/cpt.toml:2:1\n"
        "2 | learning_rat = 3e-4\n"
        "  | ^^^^^^^^^^^^ did you mean `lr`? (real, > 0, default 0.001)\n"
        "1 error, nothing was started\n");
}

TEST_CASE("Columns count characters, not bytes") {
  Problems problems;
  problems.error("bad-choice", "m", {recipe("a = \"漢字\", b = 1"), 1, 11, 1}, "h");
  CHECK(problems.text().find("1 | a = \"漢字\", b = 1\n  |           ^ h\n") != std::string::npos);
}

TEST_CASE("Mistakes come in source order, each once, warnings last and never fatal") {
  const auto source = recipe("a\nb\nc\n");
  Problems problems;
  problems.warn("w", "careful", {source, 1, 1, 1});
  CHECK_NOTHROW(problems.raise());
  problems.error("e", "second", {source, 3, 1, 1});
  problems.error("e", "first", {source, 2, 1, 1});
  problems.error("e", "first", {source, 2, 1, 1});
  CHECK(problems.errors() == 2);
  const auto text = problems.text();
  CHECK(text.find("first") < text.find("second"));
  CHECK(text.find("second") < text.find("careful"));
  CHECK(text.ends_with("2 errors, nothing was started\n"));
  try {
    problems.raise("nothing was read", Exit::data);
    FAIL("raise returned");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    CHECK(std::string(error.what()).ends_with("2 errors, nothing was read\n"));
  }
}

TEST_CASE("An override is a place without a line number, and mistakes beyond the most are counted") {
  Problems problems;
  problems.error("e", "m",
                 {std::make_shared<const SourceText>(SourceText{"--set number 2", "a.b = 3", true}), 1, 1, 3}, "h");
  CHECK(problems.text().starts_with("error[e]: m\n  --> --set number 2\n | a.b = 3\n | ^^^ h\n"));
  Problems many;
  for (int i = 0; i < 25; ++i) many.error("e", std::to_string(i), {});
  CHECK(many.text().find("... and 5 more\n25 errors, ") != std::string::npos);
}
