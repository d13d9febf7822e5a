#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <map>
#include <set>

#include "api/generator.h"
#include "base/text.h"
#include "testing/conformance_component.h"
#include "testing/testing.h"

namespace inverse_cloze_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

/// Must not be asked.
struct Silent final : Backend {
  bool repeatable() const override { return true; }
  Completion complete(const Prompt&, std::int64_t, RandomStream) override {
    throw Error("a generator without a model asked for one");
  }
};

std::unique_ptr<Generator> cloze(Table settings) {
  settings.insert_or_assign("type", "inverse_cloze");
  return testing::registry().make<Generator>(settings);
}

/// Paragraphs by line, as the source `text` marks them.
Document document(const Strings& paragraphs, const std::string& title = "Harbours") {
  Document out;
  out.id = "en:7", out.title = title, out.language = "en", out.source = "manual", out.split = "train";
  out.group = "g", out.fields = {{"label", "x"}};
  for (const auto& one : paragraphs) {
    if (!out.text.empty()) out.text += '\n';
    out.annotations.push_back({"paragraph", out.text.size(), out.text.size() + one.size(), {}});
    out.text += one;
  }
  return out;
}

void mark(Document& document, const std::string& kind, const std::string& stretch) {
  const auto begin = document.text.find(stretch);
  REQUIRE(begin != std::string::npos);
  document.annotations.push_back({kind, begin, begin + stretch.size(), {}});
}

std::vector<Document> made(Generator& generator, const Document& from, std::uint64_t key) {
  Silent nobody;
  return generator.generate(from, nobody, RandomStream(key));
}

/// Query and passage of each pair.
using Pairs = std::vector<std::pair<std::string, std::string>>;
Pairs pairs(Generator& generator, const Document& from, std::uint64_t key) {
  const auto documents = made(generator, from, key);
  REQUIRE(documents.size() % 2 == 0);
  Pairs out;
  for (std::size_t i = 0; i < documents.size(); i += 2) out.emplace_back(documents[i].text, documents[i + 1].text);
  return out;
}

void check_share(double seen, double all, double expected) {
  INFO(seen << " of " << all << ", expected share " << expected);
  CHECK(std::abs(seen / all - expected) < 3 * std::sqrt(expected * (1 - expected) / all));
}

const Strings kPassage{"Boats come in.", "A woman counts them.", "Gulls follow.", "Then it rains."};
const Strings kHarbour{join(kPassage, " "), "One alone.", "The baker opens at six. Bread is warm. It is bread."};

/// The passage without one sentence, and the title in front.
std::string rest(std::size_t without) {
  auto sentences = kPassage;
  sentences.erase(sentences.begin() + static_cast<std::ptrdiff_t>(without));
  return "Harbours\n" + join(sentences, " ");
}

TEST_CASE("inverse_cloze describes itself") {
  testing::check_component(testing::registry(), "generator", "inverse_cloze");
}

TEST_CASE("inverse_cloze makes groups of two of which the first asks for the second") {
  const auto generator = cloze({{"pairs", 3}});
  std::set<std::string> ids, groups;
  const auto documents = made(*generator, document(kHarbour), 1);
  REQUIRE(documents.size() == 2 * 2 * 3);  // of the lonely sentence nothing would be left
  for (std::size_t i = 0; i < documents.size(); i += 2) {
    CHECK(documents[i].group == documents[i + 1].group);
    CHECK(groups.insert(documents[i].group).second);
    for (std::size_t m = 0; m < 2; ++m) {
      const auto& one = documents[i + m];
      CHECK(ids.insert(one.id).second);
      CHECK((one.language == "en" && one.source == "manual" && one.split == "train"));
      CHECK((one.title.empty() && one.annotations.empty()));
      CHECK(one.fields == std::map<std::string, std::string, std::less<>>{{"task", "ict"}});
    }
  }
}

TEST_CASE("inverse_cloze: the answer is the title and the rest of the passage, or all of it") {
  const auto removed = cloze({{"remove", 1.0}}), kept = cloze({{"remove", 0.0}});
  const auto from = document({kHarbour[0]});
  std::set<std::size_t> seen;
  for (std::uint64_t key = 0; key < 100; ++key) {
    const auto without = pairs(*removed, from, key), with = pairs(*kept, from, key);
    REQUIRE((without.size() == 1 && with.size() == 1));
    const auto which =
        static_cast<std::size_t>(std::find(kPassage.begin(), kPassage.end(), without[0].first) - kPassage.begin());
    REQUIRE(which < kPassage.size());
    seen.insert(which);
    CHECK(without[0].second == rest(which));
    CHECK(with[0].first == without[0].first);  // the rate changes no query
    CHECK(with[0].second == "Harbours\n" + kHarbour[0]);
  }
  CHECK(seen.size() == kPassage.size());
  for (const auto& [query, answer] : pairs(*removed, document({kHarbour[0]}, ""), 1))
    CHECK_THAT("Harbours\n" + answer, !ContainsSubstring(query) && ContainsSubstring("\n"));
}

TEST_CASE("inverse_cloze: the query is absent from its passage at the configured rate") {
  for (const double remove : {0.9, 0.5}) {
    const auto generator = remove == 0.9 ? cloze({}) : cloze({{"remove", remove}});  // 0.9 is the default
    constexpr int kTimes = 10000;
    double all = 0, absent = 0;
    std::map<std::string, double> asked, absent_by;
    for (std::uint64_t key = 0; key < kTimes; ++key)
      for (const auto& [query, answer] : pairs(*generator, document(kHarbour), key)) {
        const bool gone = answer.find(query) == std::string::npos;
        ++all, ++asked[query], absent += gone, absent_by[query] += gone;
      }
    CHECK(all == 2 * kTimes);
    check_share(absent, all, remove);
    for (const auto& sentence : kPassage) {  // whichever it is, and each as often
      check_share(asked[sentence], kTimes, 1.0 / 4);
      check_share(absent_by[sentence], asked[sentence], remove);
    }
  }
}

TEST_CASE("inverse_cloze removes a sentence wherever the passage has it, and the title that equals it") {
  const auto generator = cloze({{"remove", 1.0}});
  const auto twice = document({"Go on. It rains. Go on. Stop."});
  std::map<std::string, std::string> seen;
  for (std::uint64_t key = 0; key < 60; ++key)
    for (const auto& [query, answer] : pairs(*generator, twice, key)) seen[query] = answer;
  CHECK(seen == std::map<std::string, std::string>{{"Go on.", "Harbours\nIt rains. Stop."},
                                                   {"It rains.", "Harbours\nGo on. Go on. Stop."},
                                                   {"Stop.", "Harbours\nGo on. It rains. Go on."}});
  CHECK(pairs(*generator, document({"Go on. Go on."}), 1).empty());
  seen.clear();
  for (std::uint64_t key = 0; key < 30; ++key)
    for (const auto& [query, answer] : pairs(*generator, document({"Rain. Wind."}, "Rain."), key))
      seen[query] = answer;
  CHECK(seen == std::map<std::string, std::string>{{"Rain.", "Wind."}, {"Wind.", "Rain.\nRain."}});
  for (const auto& [query, answer] : pairs(*cloze({{"remove", 0.0}}), document({"Rain. Wind."}, "Rain."), 1))
    CHECK(answer == "Rain.\nRain. Wind.");
}

TEST_CASE("inverse_cloze: paragraphs without marks, marked sentences and writing without spaces") {
  const auto generator = cloze({{"remove", 1.0}});
  const auto all = [&](const Document& from) {
    std::set<std::pair<std::string, std::string>> out;
    for (std::uint64_t key = 0; key < 80; ++key)
      for (auto& pair : pairs(*generator, from, key)) out.insert(pair);
    return out;
  };
  Document blocks;
  blocks.id = "a", blocks.text = "\n  One. Two.  \n\n Three.\n\nFour.\nFive.\n";
  CHECK(all(blocks) == std::set<std::pair<std::string, std::string>>{
                           {"One.", "Two."}, {"Two.", "One."}, {"Four.", "Five."}, {"Five.", "Four."}});
  auto marked = document({"a b c d", "e f"}, "");
  mark(marked, "sentence", "b c "), mark(marked, "sentence", "c d"), mark(marked, "sentence", "d\ne");
  marked.annotations.push_back({"sentence", 3, 999, {}});
  CHECK(all(marked) == std::set<std::pair<std::string, std::string>>{{"b c", "a d"}});
  CHECK(all(document({"船が来る。雨が降る。"}, "")) ==
        std::set<std::pair<std::string, std::string>>{{"船が来る。", "雨が降る。"}, {"雨が降る。", "船が来る。"}});
}

const Strings kPage{"Lead one. Lead two.", "Lead three. Middle.", "Body four.", "Body five. Lead one."};

TEST_CASE("inverse_cloze: body first asks by a sentence of the first section for another passage") {
  const auto all = [&](const Document& from, const Table& more = {}) {
    Table settings{{"task", "bfs"}, {"remove", 0.0}};
    settings.insert(more.begin(), more.end());
    const auto generator = cloze(settings);
    std::map<std::string, std::set<std::string>> out;  // queries by passage
    for (std::uint64_t key = 0; key < 100; ++key)
      for (const auto& [query, answer] : pairs(*generator, from, key)) out[answer].insert(query);
    return out;
  };
  using Expected = std::map<std::string, std::set<std::string>>;
  const Expected one{{"T\n" + kPage[1], {"Lead one.", "Lead two."}},
                     {"T\n" + kPage[2], {"Lead one.", "Lead two."}},
                     {"T\n" + kPage[3], {"Lead two."}}};  // which has the other sentence
  const Expected two{{"T\n" + kPage[0], {"Lead three.", "Middle."}},
                     {"T\n" + kPage[1], {"Lead one.", "Lead two."}},
                     {"T\n" + kPage[2], {"Lead one.", "Lead two.", "Lead three.", "Middle."}},
                     {"T\n" + kPage[3], {"Lead two.", "Lead three.", "Middle."}}};
  CHECK(all(document(kPage, "T")) == one);
  CHECK(all(document(kPage, "T"), {{"lead", 2}}) == two);
  CHECK(all(document(kPage, "T"), {{"lead", 99}}).size() == 4);
  auto page = document(kPage, "T");
  mark(page, "section", kPage[2] + "\n" + kPage[3]);
  CHECK(all(page) == two);  // what stands before the first mark
  page = document(kPage, "T");
  mark(page, "section", kPage[0] + "\n" + kPage[1]), mark(page, "section", kPage[3]);
  CHECK(all(page) == two);
  mark(page, "section", page.text), mark(page, "section", kPage[1]);
  CHECK(all(page) == one);  // up to a section within
  CHECK(all(document({"Lead one. Lead two."}, "T")).empty());
  CHECK(all(document({"T", "Body."}, "T")) == Expected{{"Body.", {"T"}}});
}

TEST_CASE("inverse_cloze draws a task for each pair by weight") {
  const auto share = [](const Table& task, int& all) {
    const auto generator = cloze({{"task", task}});
    int drawn = 0;
    all = 0;
    for (std::uint64_t key = 0; key < 6000; ++key) {
      const auto documents = made(*generator, document({"A one. A two.", "B one. B two."}), key);
      REQUIRE(documents.size() >= 2);
      const auto& last = documents.back();  // of the second passage, which can do both
      ++all, drawn += last.fields.at("task") == "ict";
      CHECK(documents[documents.size() - 2].text.starts_with(last.fields.at("task") == "ict" ? "B" : "A"));
    }
    return drawn;
  };
  int all = 0;
  const int equal = share({{"ict", 1.0}, {"bfs", 1}}, all);
  check_share(equal, all, 0.5);
  const int less = share({{"ict", 0.5}, {"bfs", 1.5}}, all);
  check_share(less, all, 0.25);
  CHECK(share({{"bfs", 2}}, all) == 0);
}

TEST_CASE("inverse_cloze: the same stream gives the same pairs, another one others") {
  const Table mixed{{"task", Table{{"ict", 1}, {"bfs", 1}}}, {"pairs", 4}};
  const auto generator = cloze(mixed);
  const auto from = document(kHarbour);
  CHECK(pairs(*generator, from, 3) == pairs(*cloze(mixed), from, 3));
  CHECK(pairs(*generator, from, 3) != pairs(*generator, from, 4));
  std::set<std::string> asked;
  for (const auto& [query, answer] : pairs(*cloze({{"pairs", 30}}), document({kHarbour[0]}), 3)) asked.insert(query);
  CHECK(asked.size() == kPassage.size());  // draws of one passage differ
  // More draws for a passage leave those there are, and what is said of another passage changes nothing.
  std::map<std::string, std::string> more;
  for (const auto& one : made(*generator, from, 3)) more[one.id] = one.text;
  for (const auto& one : made(*cloze({{"task", mixed.at("task")}, {"pairs", 2}}), from, 3))
    CHECK(more.at(one.id) == one.text);
  auto changed = kHarbour;
  changed[0] += " One more sentence. And another.";
  const auto ict = cloze({{"pairs", 4}});
  const auto before = pairs(*ict, from, 3), after = pairs(*ict, document(changed), 3);
  REQUIRE(before.size() == 8);
  CHECK(Pairs(before.begin() + 4, before.end()) == Pairs(after.begin() + 4, after.end()));
}

TEST_CASE("inverse_cloze says what is wrong with its settings") {
  CHECK_THROWS_WITH(cloze({{"remove", 1.5}}), ContainsSubstring("`remove` is 1.5; it is a probability, 0 to 1"));
  CHECK_THROWS_WITH(cloze({{"remove", -0.1}}), ContainsSubstring("`remove`"));
  CHECK_THROWS_WITH(cloze({{"pairs", 0}}), ContainsSubstring("`pairs`"));
  CHECK_THROWS_WITH(cloze({{"lead", 0}}), ContainsSubstring("`lead`"));
  CHECK_THROWS_WITH(cloze({{"task", "wlp"}}), ContainsSubstring("`wlp`"));
  CHECK_THROWS_WITH(cloze({{"task", Table{{"ict", -1.0}}}}), ContainsSubstring("the weight of `ict`"));
  CHECK_THROWS_WITH(cloze({{"task", Table{{"ict", 0}, {"bfs", 0}}}}), ContainsSubstring("no weight above 0"));
  CHECK_NOTHROW(cloze({{"task", "ict"}}));
}

}  // namespace inverse_cloze_test
