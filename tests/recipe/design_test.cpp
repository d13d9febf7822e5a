// The twelve recipes that the interfaces were made for: until their components are written, unknown types are all
// that is wrong with them, and each is reported where it stands.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "../scratch.h"
#include "base/file.h"
#include "base/text.h"
#include "catalogue.h"
#include "recipe/plan.h"

namespace xp {
namespace {

namespace fs = std::filesystem;

// Components of the main job, which come first.
Catalogue first_catalogue() {
  const std::set<std::string> later{"replaced_token_detection",
                                    "sum",
                                    "contrastive",
                                    "denoise",
                                    "match_features",
                                    "static_mask",
                                    "transform_checkpoint",
                                    "linear_merge",
                                    "generate",
                                    "rephrase",
                                    "similarity",
                                    "retrieval",
                                    "grid",
                                    "tpe",
                                    "local"};
  const auto all = small_catalogue();
  Catalogue out;
  for (const auto* info : all.list())
    if (!later.contains(info->type)) out.add(*info);
  return out;
}

// The packages are on this machine, for the length of a test.
class WithPackages {
 public:
  WithPackages() {
    if (const char* was = std::getenv("XDG_CACHE_HOME")) old_ = was;
    ::setenv("XDG_CACHE_HOME", scratch_.path().c_str(), 1);
    const auto sources = read_file(fs::path(XP_SOURCE_DIR) / "datasets" / "sources.toml");
    put(sources, "smollm2", "model.gguf");
    put(sources, "python3-pattern", "polarity-en-pang.csv");
    put(sources, "python3-pattern", "uncertainty-conll2010.csv");
  }
  ~WithPackages() {
    if (old_.empty())
      ::unsetenv("XDG_CACHE_HOME");
    else
      ::setenv("XDG_CACHE_HOME", old_.c_str(), 1);
  }

 private:
  static void put(const std::string& sources, const std::string& name, const std::string& member) {
    const auto pinned = [&](const char* key) {
      const auto open = sources.find('"', sources.find(key, sources.find("[source." + name + "]")));
      return sources.substr(open + 1, sources.find('"', open + 1) - open - 1);
    };
    const auto folder = user_cache() / "packages" / (name + "-" + pinned("version"));
    fs::create_directories(folder);
    write_file(folder / member, "content of " + member);
    write_file(folder.string() + ".sha256", pinned("sha256") + "\n");
  }

  Scratch scratch_;
  std::string old_;
};

std::set<std::string> unknown_types(const std::string& name) {
  fs::current_path(XP_SOURCE_DIR);
  const WithPackages packages;
  Problems problems;
  const auto plan = resolve("tests/recipe/design/" + name + ".toml", first_catalogue(), {}, problems);
  INFO(problems.text("nothing was started", 100));
  CHECK(plan.has_value() == (problems.errors() == 0));
  std::set<std::string> out;
  std::set<std::string> places;
  for (const auto& problem : problems.list()) {
    if (problem.warning) continue;  // two seeds cannot decide a claim, and the sweep says so
    CHECK(problem.code == "unknown-type");
    CHECK(problem.span);
    CHECK_FALSE(problem.hint.empty());
    CHECK(places
              .insert(problem.span.source->name + ":" + std::to_string(problem.span.line) + ":" +
                      std::to_string(problem.span.column))
              .second);
    const auto open = problem.message.find('`');
    out.insert(problem.message.substr(open + 1, problem.message.find('`', open + 1) - open - 1));
  }
  return out;
}

using Types = std::set<std::string>;

TEST_CASE("design recipe: quickstart") { CHECK(unknown_types("quickstart") == Types{}); }
TEST_CASE("design recipe: electra") { CHECK(unknown_types("electra") == Types{"replaced_token_detection"}); }
TEST_CASE("design recipe: structural") {
  CHECK(unknown_types("structural") == Types{"fit", "substituted_token_detection"});
}
TEST_CASE("design recipe: prop") { CHECK(unknown_types("prop") == Types{"build_dataset", "fit", "rerank", "sum"}); }
TEST_CASE("design recipe: ul2") { CHECK(unknown_types("ul2") == Types{"bleu", "denoise", "mixture", "target_loss"}); }
TEST_CASE("design recipe: starbucks") {
  CHECK(unknown_types("starbucks") == Types{"over_views", "similarity", "text_pairs"});
}
TEST_CASE("design recipe: self_distillation") { CHECK(unknown_types("self_distillation") == Types{"sum"}); }
TEST_CASE("design recipe: spdf") {
  CHECK(unknown_types("spdf") == Types{"bleu", "records", "static_mask", "target_loss", "transform_checkpoint"});
}
TEST_CASE("design recipe: self_positioning") {
  CHECK(unknown_types("self_positioning") ==
        Types{"adam", "in_batch_softmax", "merge", "retrieval", "similarity", "text_pairs", "transform_checkpoint"});
}
TEST_CASE("design recipe: clip") {
  CHECK(unknown_types("clip") ==
        Types{"caption_lm", "contrastive", "convnet", "image_text", "predict_words", "retrieval", "zero_shot"});
}
TEST_CASE("design recipe: entigraph") {
  CHECK(unknown_types("entigraph") == Types{"facts", "generate", "multiple_choice", "rules"});
}
TEST_CASE("design recipe: sweep") {
  CHECK(unknown_types("sweep") == Types{"asha", "local", "replaced_token_detection", "tpe"});
}

}  // namespace
}  // namespace xp
