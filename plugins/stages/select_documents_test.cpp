#include "testing/torch_recipe_run.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/text.h"

namespace select_documents_test {

using namespace xp;
using namespace xp::testing;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using Json = nlohmann::json;

std::vector<Json> lines_of(const std::filesystem::path& file) {
  std::vector<Json> out;
  for (const auto& line : split(read_file(file), '\n'))
    if (!line.empty()) out.push_back(Json::parse(line));
  return out;
}

struct Chosen {
  std::vector<Json> documents, decisions;
  StageRecord record;

  std::set<std::string> ids() const {
    std::set<std::string> out;
    for (const auto& one : documents) out.insert(one.at("id").get<std::string>());
    return out;
  }
  double metric(const std::string& name) const { return record.finals.at(name).value; }
};

Chosen choose(RecipeRun& project, const std::string& rest, int threads = 1) {
  project.run("recipe = 1\nname = \"chooses\"\nseeds = [3]\nthreads = " + std::to_string(threads) + "\n" + rest);
  const auto folder = project.output("chosen", "dataset");
  return {lines_of(folder / "documents.jsonl"), lines_of(folder / "decisions.jsonl"), project.record("chosen")};
}

// All documents are of the training split, two say so themselves; "b" and "c" are one group.
constexpr const char* kTable =
    "id\ttext\tgroup\tsplit\n"
    "a\tone two three four\ta\ttrain\n"
    "b\tone two three four five six\tg\ttrain\n"
    "c\tone 2 3 4 5 6\tg\ttrain\n"
    "d\tone\td\ttrain\n"
    "e\t1 2 3 4 x\te\ttrain\n"
    "f\tseven words of letters stand here alone\tf\ttrain\n";
constexpr const char* kCorpus = R"(
[dataset.table]
type  = "labelled_text"
files = ["table.tsv"]
label = ""
id    = "id"
group = "group"
split_column = "split"
[stage.chosen]
type    = "select_documents"
corpus  = "table:train"
)";

TEST_CASE("select_documents: filters one after the other, each decision with its score") {
  RecipeRun project;
  project.put("table.tsv", kTable);
  const auto chosen = choose(project, std::string(kCorpus) + R"(filters = [
  { scorer = { type = "length", least = 3 }, selector = { type = "threshold", least = 0 } },
  { scorer = { type = "symbol_ratio" }, selector = { type = "threshold", least = 0.5 }, as = "letters" },
]
)");
  // d is too short; e has one letter of five; of the group, c has 3 letters of 8, so that b goes with it.
  CHECK(chosen.ids() == std::set<std::string>{"table:a", "table:f"});
  std::map<std::string, Json> by_length, by_letters;
  for (const auto& one : chosen.decisions) {
    auto& log = one.at("rule") == "length" ? by_length : by_letters;
    CHECK(log.emplace(one.at("id").get<std::string>(), one).second);
  }
  CHECK(by_length.size() == 6);
  CHECK(by_letters.size() == 5);  // what the first has kept
  CHECK(by_length.at("table:d") == Json{{"id", "table:d"}, {"rule", "length"}, {"score", -2.0}, {"kept", false}});
  CHECK(by_letters.at("table:b") ==
        Json{{"id", "table:b"}, {"group", "g"}, {"rule", "letters"}, {"score", 1.0}, {"kept", false}});
  CHECK(by_letters.at("table:c").at("score") == 3 / 8.0);
  CHECK(by_letters.at("table:e").at("score") == 0.2);
  CHECK(by_letters.at("table:f").at("kept") == true);
  CHECK_THAT(chosen.metric("kept.length"), WithinAbs(5 / 6.0, 1e-9));
  CHECK_THAT(chosen.metric("kept.letters"), WithinAbs(2 / 5.0, 1e-9));
  CHECK_THAT(chosen.metric("kept"), WithinAbs(2 / 6.0, 1e-9));
  CHECK(chosen.metric("documents") == 2);
  CHECK(chosen.metric("text_bytes") == 18 + 39);
  CHECK(
      chosen.documents.at(0) ==
      Json{
          {"id", "table:a"}, {"text", "one two three four"}, {"script", "Latn"}, {"group", "a"}, {"split", "train"}});
}

TEST_CASE("select_documents: paragraphs by themselves, and a document without any left is gone") {
  RecipeRun project;
  project.put("t.txt", "good words here\n1 2 3\nmore of them\n\n4 5\n6\n\nfine\n");
  const auto chosen = choose(project, R"(
[dataset.text]
type  = "text"
files = ["t.txt"]
split = { dev = 0, test = 0 }
[stage.chosen]
type    = "select_documents"
corpus  = "text"
filters = { scorer = { type = "symbol_ratio" }, selector = { type = "threshold", least = 0.5 }, unit = "paragraph" }
)");
  REQUIRE(chosen.ids() == std::set<std::string>{"t:1", "t:3"});
  const auto& first = chosen.documents.at(0);
  CHECK(first.at("text") == "good words here\nmore of them");
  REQUIRE(first.at("annotations").size() == 2);
  CHECK(first.at("annotations").at(1) == Json{{"kind", "paragraph"}, {"begin", 16}, {"end", 28}, {"value", ""}});
  CHECK(chosen.decisions.size() == 6);
  CHECK(chosen.decisions.at(1) ==
        Json{{"id", "t:1"}, {"paragraph", 1}, {"rule", "symbol_ratio"}, {"score", 0.0}, {"kept", false}});
  CHECK_THAT(chosen.metric("kept.symbol_ratio"), WithinAbs(3 / 6.0, 1e-9));
  CHECK_THAT(chosen.metric("kept"), WithinAbs(2 / 3.0, 1e-9));
}

/// Text of two topics and, in every third document, the words of one in disorder between signs.
std::string messy_text(int documents) {
  std::string out;
  int number = 0;
  for (const auto& block : split(planted_text(documents), '\n')) {
    if (block.empty()) continue;
    if (number++ % 3 == 2) {
      for (const auto& word : split(block, ' ')) out += word.substr(1) + "; ";
    } else {
      out += block;
    }
    out += "\n\n";
  }
  return out;
}

constexpr const char* kMessy = R"(
[dataset.clean]
type  = "text"
files = ["clean.txt"]
[dataset.messy]
type  = "text"
files = ["messy.txt"]
split = { dev = 0, test = 0 }
[stage.model]
type   = "fit"
method = { type = "ngram_model", order = 2, min_count = 2 }
corpus = "clean"
[stage.chosen]
type   = "select_documents"
corpus = "messy"
)";

TEST_CASE("select_documents: a model of clean text tells what is like it, and others read what is left") {
  RecipeRun project;
  project.put("clean.txt", planted_text(60, 9)), project.put("messy.txt", messy_text(60));
  const auto chosen = choose(project, std::string(kMessy) + R"(filters = [
  { scorer = { type = "ngram_perplexity", model = "model" }, selector = { type = "top", keep = 0.666 } },
]
[stage.counts]
type   = "fit"
method = { type = "word_counts", min_count = 1, max_share = 1.0 }
corpus = "chosen"
)");
  CHECK(chosen.documents.size() == 40);
  for (const auto& one : chosen.documents) CHECK(one.at("text").get<std::string>().find(';') == std::string::npos);
  double worst = 0, best = -1e9;
  for (const auto& one : chosen.decisions)
    if (const double score = one.at("score"); one.at("kept"))
      worst = std::min(worst, score);
    else
      best = std::max(best, score);
  CHECK(worst > best);
  CHECK(worst < -1);
  const auto words = project.state("counts").strings("words");
  CHECK(std::set<std::string>(words.begin(), words.end()) ==
        std::set<std::string>{"ship", "wave", "sail", "harbour", "cow", "field", "plough", "barn"});
}

TEST_CASE("select_documents: the same for any number of threads, drawn by the seed") {
  const auto filters = std::string(R"(filters = [
  { scorer = { type = "repetition", n = 2 }, selector = { type = "top", keep = 0.9, of = "bytes" } },
  { scorer = { type = "repetition", n = 2 }, selector = { type = "sample", keep = 0.5, temperature = 0.1 } },
]
)");
  const auto run = [&](const std::string& rest, int threads) {
    RecipeRun project;
    project.put("clean.txt", planted_text(10)), project.put("messy.txt", messy_text(200));
    return choose(project, std::string(kMessy) + filters + rest, threads);
  };
  const auto one = run("", 1), four = run("", 4), other = run("seed = 4\n", 1);
  CHECK(one.documents == four.documents);
  CHECK(one.decisions == four.decisions);
  double left = 0;
  for (const auto& decision : one.decisions)
    left += decision.at("rule") == "repetition" && decision.at("kept").get<bool>() ? 1 : 0;
  CHECK(static_cast<double>(one.documents.size()) == std::ceil(left / 2));
  CHECK_THAT(one.metric("kept.repetition_2"), WithinAbs(std::ceil(left / 2) / left, 1e-9));
  CHECK(one.documents.size() == other.documents.size());
  CHECK(one.ids() != other.ids());
}

TEST_CASE("select_documents says what is wrong") {
  const auto refused = [](const std::string& recipe) {
    return said([&] {
      RecipeRun project;
      project.put("table.tsv", kTable);
      choose(project, recipe);
    });
  };
  CHECK_THAT(refused(std::string(kCorpus) + R"(filters = [
  { scorer = { type = "length", least = 90 }, selector = { type = "threshold", least = 0 } }]
)"),
             ContainsSubstring("filter `length` leaves nothing of `table:train`"));
  CHECK_THAT(refused(std::string(kCorpus) + "filters = []\n"), ContainsSubstring("`filters` is empty"));
  CHECK_THAT(refused(std::string(kCorpus) + R"(filters = [{ scorer = { type = "length" } }]
)"),
             ContainsSubstring("selector"));
}

}  // namespace select_documents_test
