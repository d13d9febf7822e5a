#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <map>
#include <set>

#include "api/dataset.h"
#include "base/file.h"
#include "base/text.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace subsample_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

/// Record i: its own text and label, a group of its own or that of `group_of`, a split in turn.
using Grouping = std::function<std::string(int)>;
std::string alone(int i) { return "g" + std::to_string(i); }
/// Groups of 1, 2, 3, 4, 1, 2, ... records that do not stand together.
std::string mixed(int i) { return "g" + std::to_string((i * 7) % 100 * 4 / 10); }

std::string records(int n, const Grouping& group_of = alone) {
  std::string out = "key\ttext\tsecond\tkind\tgroup\tpart\n";
  for (int i = 0; i < n; ++i) {
    const auto number = std::to_string(i);
    out += number + "\ttext " + number + "\tmore " + number + "\t" + (i % 3 ? "good" : "bad") + "\t" + group_of(i) +
           "\t" + (i % 4 ? "train" : "test") + "\n";
  }
  return out;
}

struct Scene {
  testing::Scratch scratch;
  explicit Scene(const std::string& table) { write_file(scratch / "r.tsv", table); }
  Table whole() const {
    return {{"type", "labelled_text"},
            {"files", List{(scratch / "r.tsv").string()}},
            {"id", "key"},
            {"text_b", "second"},
            {"label", "kind"},
            {"group", "group"},
            {"split_column", "part"},
            {"language", "en"}};
  }
  Table settings(std::int64_t most, const Table& more = {}) const {
    Table out{{"type", "subsample"}, {"of", whole()}, {"most", most}};
    for (const auto& [key, value] : more) out.insert_or_assign(key, value);
    return out;
  }
  std::vector<Document> all() const { return read(whole()); }
  std::vector<Document> some(std::int64_t most, const Table& more = {}) const { return read(settings(most, more)); }
  static std::vector<Document> read(const Table& settings) {
    std::vector<Document> out;
    testing::registry().make<DataSource>(settings)->for_each([&](const Document& d) { out.push_back(d); });
    return out;
  }
  std::string fingerprint(std::int64_t most, const Table& more = {}) const {
    return testing::registry().make<DataSource>(settings(most, more))->fingerprint();
  }
};

std::vector<std::string> ids(const std::vector<Document>& documents) {
  std::vector<std::string> out;
  for (const auto& one : documents) out.push_back(one.id);
  return out;
}
std::set<std::string> set_of(const std::vector<Document>& documents) {
  const auto all = ids(documents);
  return {all.begin(), all.end()};
}
bool within(const std::vector<Document>& few, const std::vector<Document>& many) {
  const auto a = set_of(few), b = set_of(many);
  return std::includes(b.begin(), b.end(), a.begin(), a.end());
}
bool same(const Document& a, const Document& b) {
  return a.id == b.id && a.text == b.text && a.language == b.language && a.script == b.script && a.group == b.group &&
         a.split == b.split && a.fields == b.fields;
}

TEST_CASE(
    "subsample keeps as many documents as it is asked for, as they are and in their order; rest is the others") {
  const Scene scene(records(60));
  const auto all = scene.all();
  for (const int most : {1, 17, 59, 60}) {
    const auto kept = scene.some(most);
    CHECK(std::ssize(kept) == most);
    std::size_t next = 0;
    for (const auto& one : kept) {
      while (next < all.size() && all[next].id != one.id) ++next;
      REQUIRE(next < all.size());  // not in the source's order, or not of the source
      CHECK(same(one, all[next]));
    }
    if (most == 60) continue;
    const auto rest = scene.some(most, {{"rest", true}});
    CHECK(std::ssize(rest) == 60 - most);
    std::vector<Document> joined;
    for (const auto& one : all)
      if (const auto at = std::find_if(rest.begin(), rest.end(), [&](const auto& d) { return d.id == one.id; });
          at != rest.end()) {
        CHECK(same(*at, one));
        CHECK_FALSE(set_of(kept).contains(one.id));
        joined.push_back(*at);
      }
    CHECK(ids(joined) == ids(rest));
  }
}

TEST_CASE("subsample of fewer documents lies in that of more, whole groups only") {
  for (const auto& grouping : {Grouping(alone), Grouping(mixed)}) {
    const Scene scene(records(100, grouping));
    std::map<std::string, std::int64_t> sizes;
    std::int64_t largest = 0;
    for (const auto& one : scene.all()) largest = std::max(largest, ++sizes[one.group]);
    std::vector<Document> before;
    for (std::int64_t most = largest; most <= 100; ++most) {
      const auto kept = scene.some(most, {{"salt", 3}});
      CHECK(within(before, kept));
      CHECK((std::ssize(kept) <= most && std::ssize(kept) > most - largest));
      std::map<std::string, std::int64_t> seen;
      for (const auto& one : kept) ++seen[one.group];
      for (const auto& [group, n] : seen) CHECK(n == sizes.at(group));
      before = kept;
    }
    CHECK(before.size() == 100);
    CHECK((largest == 1) == (grouping(1) == alone(1)));
  }
}

TEST_CASE("subsample chooses by names alone: neither order nor the other documents change who comes first") {
  const Scene scene(records(80)), fewer(records(50));
  auto lines = split(records(80), '\n');
  lines.pop_back();
  std::reverse(lines.begin() + 1, lines.end());
  const Scene turned(join(lines, "\n") + "\n");
  CHECK(set_of(scene.some(30)) == set_of(turned.some(30)));
  CHECK(ids(scene.some(30)) != ids(turned.some(30)));
  const auto small = set_of(fewer.some(30)), of_fewer = set_of(fewer.all());
  std::size_t shared = 0;
  for (const auto& one : scene.some(30))
    if (of_fewer.contains(one.id)) {
      CHECK(small.contains(one.id));  // others came between, none went before it
      ++shared;
    }
  CHECK((shared > 5 && shared < 30));
}

TEST_CASE(
    "subsample is a fair sample: each document as often as the others, whatever its place, independently by salt") {
  const Scene scene(records(30));
  std::map<std::string, int> seen;
  std::set<std::set<std::string>> different;
  std::set<std::string> last;
  double both = 0, splits = 0;
  constexpr int kSalts = 400;
  for (int salt = 0; salt < kSalts; ++salt) {
    const auto kept = scene.some(10, {{"salt", salt - 200}});
    for (const auto& one : kept) ++seen[one.id], both += last.contains(one.id), splits += one.split == "test";
    different.insert(last = set_of(kept));
  }
  REQUIRE(seen.size() == 30);
  CHECK(different.size() == kSalts);
  // Counts are hypergeometric: chi-square over 30 documents has 29 degrees of freedom once it is scaled by 30 / 20.
  double chi = 0;
  const double expected = kSalts / 3.0;
  for (const auto& [id, n] : seen) chi += (n - expected) * (n - expected) / (expected * 2 / 3) * 29 / 30;
  CHECK(std::abs(chi - 29) < 3 * std::sqrt(2 * 29.0));
  // Two salts share 10 / 3 documents on average, with variance 10 (1/3) (2/3) (20/29); so do a choice and 8 of 30.
  CHECK(std::abs(both / (kSalts - 1) - 10 / 3.0) < 3 * std::sqrt(10 / 3.0 * 2 / 3 * 20 / 29 / (kSalts - 1)));
  CHECK(std::abs(splits / kSalts - 10 * 8 / 30.0) < 3 * std::sqrt(10 * 8 / 30.0 * 22 / 30 * 20 / 29 / kSalts));
}

TEST_CASE("subsample chooses documents without a group by their ids") {
  testing::Scratch scratch;
  std::string text;
  for (int i = 0; i < 20; ++i) text += "Text " + std::to_string(i) + ".\n\n";
  write_file(scratch / "en.txt", text);
  const Table of{{"type", "text"}, {"files", List{(scratch / "en.txt").string()}}};
  const auto kept = Scene::read({{"type", "subsample"}, {"of", of}, {"most", 7}});
  CHECK(kept.size() == 7);
  for (const auto& one : kept) CHECK((one.group.empty() && !one.annotations.empty()));
  CHECK(within(kept, Scene::read({{"type", "subsample"}, {"of", of}, {"most", 8}})));
}

TEST_CASE("subsample takes fields off and leaves all else") {
  const Scene scene(records(12));
  const auto plain = scene.some(8), bare = scene.some(8, {{"drop", List{"label"}}}),
             none = scene.some(8, {{"drop", List{"text_b", "label"}}, {"rest", true}});
  REQUIRE(bare.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(plain[i].fields.contains("label"));
    auto expected = plain[i];
    expected.fields.erase("label");
    CHECK(same(bare[i], expected));
  }
  REQUIRE(none.size() == 4);
  for (const auto& one : none) CHECK((one.fields.empty() && !one.text.empty()));
}

TEST_CASE("subsample keeps the promises of a data source, and its fingerprint knows all its settings") {
  const Scene scene(records(12)), other(records(13));
  testing::check_data_source(testing::registry(), scene.settings(8), scene.settings(8, {{"salt", 1}}));
  std::set<std::string> prints{other.fingerprint(8)};
  for (const auto& more :
       {Table{}, Table{{"most", 7}}, Table{{"salt", 1}}, Table{{"salt", -1}}, Table{{"rest", true}},
        Table{{"drop", List{"label"}}}, Table{{"drop", List{"text_b"}}}, Table{{"drop", List{"label", "text_b"}}}}) {
    CHECK(prints.insert(scene.fingerprint(8, more)).second);
    CHECK(prints.contains(scene.fingerprint(8, more)));
  }
  CHECK(scene.fingerprint(8, {{"drop", List{"label", "text_b"}}}) ==
        scene.fingerprint(8, {{"drop", List{"text_b", "label"}}}));
}

TEST_CASE("subsample leaves the names of splits open where a column of its source has them") {
  const auto& schema = testing::catalogue().find(DataSource::kInterface, "subsample")->schema;
  const auto splits = [&](const Table& of) {
    Strings out;
    for (const auto& one : schema.gives)
      if (one.what == "split" && holds(one.when, Table{{"type", "subsample"}, {"of", of}})) out.push_back(one.name);
    return out;
  };
  const Strings usual{"train", "dev", "test"};
  CHECK(splits({{"type", "labelled_text"}, {"split_column", "part"}}).empty());
  CHECK(splits({{"type", "labelled_text"}, {"split_column", ""}}) == usual);
  CHECK(splits({{"type", "text"}}) == usual);
  // What a source declares of fields and groups cannot be handed on, and a wrong "there is none" would refuse data.
  for (const auto& one : schema.gives) CHECK(one.what == "split");
}

TEST_CASE("subsample says what it lacks") {
  const Scene scene(records(12)), grouped(records(12, [](int i) { return i < 11 ? "big" : "small"; }));
  CHECK_THROWS_WITH(scene.some(13), ContainsSubstring("`most` is 13, and there are 12 documents"));
  CHECK_THROWS_WITH(Scene(records(1)).some(2), ContainsSubstring("`most` is 2, and there is 1 document"));
  CHECK_THROWS_WITH(scene.some(12, {{"rest", true}}),
                    ContainsSubstring("`most` keeps all 12 documents, so `rest` has none"));
  CHECK_THROWS_WITH(scene.some(3, {{"drop", List{"label", "labl"}}}),
                    ContainsSubstring("no document has the field `labl` of `drop`; there is `label` and `text_b`"));
  CHECK_THROWS_WITH(scene.some(3, {{"of", "none"}}), ContainsSubstring("`of` is none"));
  bool refused = false, kept = false;  // whichever of the two groups comes first
  for (int salt = 0; salt < 20; ++salt) {
    std::vector<std::string> found;
    try {
      found = ids(grouped.some(5, {{"salt", salt}}));
    } catch (const Error& error) {
      refused = true;
      CHECK_THAT(error.what(), ContainsSubstring("the first group, `big`, has 11 documents and is not cut; `most` is "
                                                 "5, raise it or change `salt`"));
      continue;
    }
    kept = true;
    CHECK(found == std::vector<std::string>{"r:11"});
  }
  CHECK((refused && kept));
}

}  // namespace subsample_test
