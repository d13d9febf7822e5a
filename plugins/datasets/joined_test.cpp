#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace joined_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

struct Two {
  testing::Scratch scratch;
  Two() {
    write_file(scratch / "a.txt", "::id x\n::group g\nOne.\n\nTwo.\n");
    write_file(scratch / "b.txt", "the/DT cat/NN\n");
  }
  Table text() const { return {{"type", "text"}, {"files", List{Value((scratch / "a.txt").string())}}}; }
  Table tagged() const { return {{"type", "tagged_text"}, {"files", List{Value((scratch / "b.txt").string())}}}; }
};

std::vector<Document> read(List of) {
  std::vector<Document> all;
  testing::registry()
      .make<DataSource>({{"type", "joined"}, {"of", std::move(of)}})
      ->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

TEST_CASE("joined: documents of all sources in their order, with what is known about them") {
  const Two two;
  const auto all = read({two.text(), two.tagged(), two.text()});
  REQUIRE(all.size() == 5);
  CHECK(all[0].id == "1/a:x");
  CHECK(all[0].group == "g");
  CHECK(all[1].group == "a:2");  // what its own source would split by
  CHECK(all[2].id == "2/b:1");
  CHECK(all[2].text == "the cat");
  CHECK(all[2].annotations.size() == 2);
  CHECK(all[3].id == "3/a:x");
}

TEST_CASE("joined: nothing to join is refused") { CHECK_THROWS_WITH(read({}), ContainsSubstring("`of` is empty")); }

TEST_CASE("joined keeps the contract of a source") {
  const Two two;
  testing::check_data_source(testing::registry(), {{"type", "joined"}, {"of", List{two.text(), two.tagged()}}},
                             {{"type", "joined"}, {"of", List{two.tagged(), two.text()}}});
}

}  // namespace joined_test
