#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <map>
#include <set>

#include "api/generator.h"
#include "base/text.h"
#include "testing/testing.h"

namespace representative_word_sets_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

/// Nobody should be asked.
struct Silent final : Backend {
  bool repeatable() const override { return true; }
  Completion complete(const Prompt&, std::int64_t, RandomStream) override { throw Error("asked"); }
};

const Strings kWords{"ant", "bee", "cow", "dog", "eel", "fox"};
const std::vector<std::int64_t> kCounts{40, 30, 15, 8, 5, 2};
const std::vector<float> kBackground{0.3F, 0.25F, 0.2F, 0.12F, 0.08F, 0.05F};

State counts(double mu) {
  State state;
  auto& model = state.child("model");
  model.set("words", kWords), model.set("counts", Ints{kCounts});
  model.set("documents", Ints{kCounts}), model.set("background", Floats{kBackground});
  model.set("mu", Floats{{static_cast<float>(mu)}});
  return state;
}

std::unique_ptr<Generator> sets(const Table& more, double mu = 10) {
  Table settings{{"type", "representative_word_sets"},
                 {"model", Reference{.text = "unigrams", .kind = "statistics"}},
                 {"length", 2},
                 {"short_words", 0},
                 {"sample", 0.0}};
  for (const auto& [key, value] : more) settings.insert_or_assign(key, value);
  auto made = testing::registry().make<Generator>(settings);
  made->load(counts(mu));
  return made;
}

Document document(const std::string& text) {
  Document out;
  out.id = "en:7", out.text = text, out.title = "Title", out.language = "en", out.source = "manual", out.group = "g";
  out.annotations.push_back({"paragraph", 0, 3, {}});
  return out;
}

std::vector<Document> made(Generator& generator, const std::string& text, std::uint64_t key) {
  Silent nobody;
  return generator.generate(document(text), nobody, RandomStream(key));
}

/// log p(w | d) of the document "Cow cow dog, zebra": cow 2, dog 1, three words that count.
double log_p(const std::string& word, double mu) {
  const auto at = static_cast<std::size_t>(std::find(kWords.begin(), kWords.end(), word) - kWords.begin());
  const double tf = word == "cow" ? 2 : word == "dog" ? 1 : 0;
  return std::log((tf + mu * kBackground.at(at)) / (3 + mu));
}

constexpr const char* kText = "Cow cow dog, zebra";

TEST_CASE("representative_word_sets: two members of one group, sets of one size, one of them better") {
  const auto generator = sets({{"pairs", 4}, {"length", Table{{"poisson", 2}}}});
  for (std::uint64_t key = 0; key < 200; ++key) {
    const auto documents = made(*generator, kText, key);
    REQUIRE(documents.size() == 8);
    std::set<std::string> ids, groups;
    for (std::size_t i = 0; i < documents.size(); i += 2) {
      double scores[2] = {};
      std::size_t sizes[2] = {};
      for (std::size_t m = 0; m < 2; ++m) {
        const auto& one = documents[i + m];
        const auto words = split(one.fields.at("text_b"), ' ');
        CHECK(std::set<std::string>(words.begin(), words.end()).size() == words.size());
        for (const auto& word : words) scores[m] += log_p(word, 10);
        sizes[m] = words.size();
        CHECK(one.text == kText);
        CHECK(one.title == "Title");
        CHECK(one.language == "en");
        CHECK(one.source == "manual");
        CHECK(one.fields.at("maskable") == "text");
        CHECK(ids.insert(one.id).second);
      }
      CHECK(sizes[0] == sizes[1]);
      CHECK(documents[i].group == documents[i + 1].group);
      CHECK(groups.insert(documents[i].group).second);
      CHECK((documents[i].fields.at("better") == "1") == (scores[0] > scores[1]));
      CHECK((documents[i + 1].fields.at("better") == "1") == (scores[1] > scores[0]));
    }
  }
}

TEST_CASE("representative_word_sets: words come as often as model and sub-sampling say") {
  const double mu = 10, sample = 0.05;
  const auto generator = sets({{"pairs", 1}, {"length", 1}, {"sample", sample}}, mu);
  std::map<std::string, int> seen;
  constexpr int kPairs = 20000;
  for (std::uint64_t key = 0; key < kPairs; ++key) ++seen[made(*generator, kText, key).at(0).fields.at("text_b")];
  // By hand: q = p sqrt(sample / share) where the share is larger; a pair of twice the same word is drawn again.
  std::map<std::string, double> q;
  double all = 0, kept = 0;
  for (std::size_t w = 0; w < kWords.size(); ++w) {
    const double share = static_cast<double>(kCounts[w]) / 100;
    all += q[kWords[w]] = std::exp(log_p(kWords[w], mu)) * (share > sample ? std::sqrt(sample / share) : 1);
  }
  for (auto& [word, share] : q) share /= all, kept += share * (1 - share);
  for (const auto& [word, share] : q) {
    const double expected = share * (1 - share) / kept;
    INFO(word);
    CHECK(std::abs(seen[word] / double(kPairs) - expected) < 3 * std::sqrt(expected * (1 - expected) / kPairs));
  }
}

TEST_CASE("representative_word_sets: sizes follow the distribution and are never nothing") {
  const auto generator = sets({{"pairs", 1}, {"length", Table{{"poisson", 1.0}}}});
  std::map<std::size_t, double> seen;
  constexpr int kPairs = 4000;
  for (std::uint64_t key = 0; key < kPairs; ++key)
    ++seen[split(made(*generator, kText, key).at(0).fields.at("text_b"), ' ').size()];
  CHECK(!seen.contains(0));
  const double one = 2 * std::exp(-1.0), two = std::exp(-1.0) / 2;  // of nothing one becomes
  CHECK(std::abs(seen[1] / kPairs - one) < 3 * std::sqrt(one * (1 - one) / kPairs));
  CHECK(std::abs(seen[2] / kPairs - two) < 3 * std::sqrt(two * (1 - two) / kPairs));
}

TEST_CASE("representative_word_sets: the control has the same pairs under labels without meaning") {
  const auto real = sets({{"pairs", 2}}), control = sets({{"pairs", 2}, {"labels", "random"}});
  int equal = 0, pairs = 0;
  for (std::uint64_t key = 0; key < 1000; ++key) {
    const auto a = made(*real, kText, key), b = made(*control, kText, key);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i].fields.at("text_b") == b[i].fields.at("text_b"));
    for (std::size_t i = 0; i < a.size(); i += 2) {
      CHECK(b[i].fields.at("better") != b[i + 1].fields.at("better"));
      ++pairs, equal += a[i].fields.at("better") == b[i].fields.at("better");
    }
  }
  CHECK(std::abs(equal - pairs / 2.0) < 3 * std::sqrt(pairs / 4.0));
}

TEST_CASE("representative_word_sets: only the most probable words, and without smoothing only the document's") {
  std::set<std::string> three, own;
  const auto few = sets({{"candidates", 3}, {"length", 1}}), plain = sets({{"length", 1}}, 0);
  for (std::uint64_t key = 0; key < 300; ++key) {
    for (const auto& one : made(*few, kText, key)) three.insert(one.fields.at("text_b"));
    for (const auto& one : made(*plain, kText, key)) own.insert(one.fields.at("text_b"));
  }
  CHECK(three == std::set<std::string>{"cow", "ant", "bee"});  // 4/13, 3/13, 2.5/13, then dog 2.2/13
  CHECK(own == std::set<std::string>{"cow", "dog"});
  CHECK(made(*plain, "zebra", 1).empty());
  CHECK(made(*plain, "cow", 1).empty());  // one word makes no two sets
}

TEST_CASE("representative_word_sets: short documents are used in the stated share") {
  const auto generator = sets({{"short_words", 4}, {"keep_short", 0.3}});
  int used = 0;
  constexpr int kTimes = 3000;
  for (std::uint64_t key = 0; key < kTimes; ++key) {
    used += made(*generator, kText, key).empty() ? 0 : 1;
    CHECK(!made(*generator, "cow cow dog ant", key).empty());
  }
  CHECK(std::abs(used / double(kTimes) - 0.3) < 3 * std::sqrt(0.3 * 0.7 / kTimes));
}

TEST_CASE("representative_word_sets: the same stream gives the same, another one others") {
  const auto generator = sets({});
  const auto texts = [&](std::uint64_t key) {
    std::string out;
    for (const auto& one : made(*generator, kText, key)) out += one.fields.at("text_b") + ";";
    return out;
  };
  CHECK(texts(1) == texts(1));
  CHECK(texts(1) != texts(2));
}

TEST_CASE("representative_word_sets refuse what are no counts of words") {
  const auto refused = [](const std::function<void(State&)>& spoil) {
    auto state = counts(10);
    spoil(state.child("model"));
    try {
      sets({})->load(state);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto no_counts = ContainsSubstring("`model` does not hold counts of words as `word_counts` makes them");
  CHECK(refused([](State&) {}) == "accepted");
  CHECK_THAT(refused([](State& s) { s.set("background", Floats{{0.5F}}); }), no_counts);
  CHECK_THAT(refused([](State& s) { s.set("mu", Floats{{-1.0F}}); }), no_counts);
  CHECK_THAT(refused([](State& s) { s.set("mu", Floats{{}}); }), no_counts);
  CHECK_THAT(refused([](State& s) { s.set("counts", Ints{{4, 3, 2, 1, 1, 0}}); }), no_counts);
  CHECK_THAT(refused([](State& s) { s.set("words", Strings{}); }), no_counts);
  CHECK_THAT(refused([](State& s) { s.set("background", Floats{{NAN, 1, 1, 1, 1, 1}}); }), no_counts);
  const auto unloaded = testing::registry().make<Generator>(
      {{"type", "representative_word_sets"}, {"model", Reference{.text = "u", .kind = "statistics"}}, {"length", 1}});
  CHECK_THROWS_WITH(made(*unloaded, kText, 1), ContainsSubstring("has not got its counts of words"));
}

}  // namespace representative_word_sets_test
