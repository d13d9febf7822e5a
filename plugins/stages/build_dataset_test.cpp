#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/text.h"

namespace build_dataset_test {

using namespace xp;
using namespace xp::testing;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kRecipe = R"(
recipe  = 1
name    = "builds"
threads = 1
seeds   = [3]
[dataset.english]
type  = "text"
files = ["en.txt"]
split = { dev = 0.1, test = 0.3 }
[stage.unigrams]
type   = "fit"
method = { type = "word_counts", mu = 20, min_count = 2, max_share = 1.0 }
corpus = "english"
[stage.pairs]
type   = "build_dataset"
corpus = "english:train"
)";
constexpr const char* kMethod =
    R"(method = { type = "representative_word_sets", model = "unigrams", length = { poisson = 2 }, short_words = )";

struct Built {
  std::vector<nlohmann::json> documents;
  StageRecord record;
};

Built build(const std::string& rest) {
  RecipeRun project;
  project.put("en.txt", planted_text(60));
  project.run(std::string(kRecipe) + kMethod + rest);
  Built out{{}, project.record("pairs")};
  for (const auto& line : split(read_file(project.output("pairs", "dataset") / "documents.jsonl"), '\n'))
    if (!line.empty()) out.documents.push_back(nlohmann::json::parse(line));
  return out;
}

TEST_CASE("build_dataset writes what its method makes of the split, groups in one piece") {
  const auto built = build("0 }\n");
  std::set<std::string> texts, groups;
  REQUIRE(built.documents.size() > 100);
  for (std::size_t i = 0; i < built.documents.size(); i += 2) {
    const auto &a = built.documents[i], &b = built.documents.at(i + 1);
    CHECK(a.at("group") == b.at("group"));
    CHECK(groups.insert(a.at("group").get<std::string>()).second);
    CHECK(a.at("id") != b.at("id"));
    CHECK(a.at("text") == b.at("text"));
    CHECK(a.at("fields").at("better") != b.at("fields").at("better"));
    CHECK(a.at("language") == "en");
    texts.insert(a.at("text").get<std::string>());
  }
  CHECK(texts.size() > 25);  // 36 of 60 are trained on, standard deviation 3.8
  CHECK(texts.size() < 48);
  CHECK(built.record.finals.at("documents").value == static_cast<double>(built.documents.size()));
  CHECK(built.record.finals.at("used").value == 1);
}

TEST_CASE("build_dataset draws by its seed") {
  const auto first = build("0 }\n"), again = build("0 }\n");
  CHECK(first.documents == again.documents);
  const auto other = build("0 }\nseed = 4\n");
  CHECK(first.documents != other.documents);
}

TEST_CASE("build_dataset says when nothing is made") {
  CHECK_THAT(said([] { build("1000, keep_short = 0 }\n"); }),
             ContainsSubstring("`representative_word_sets` makes nothing of the"));
}

}  // namespace build_dataset_test
