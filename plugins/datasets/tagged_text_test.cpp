#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace tagged_text_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

std::vector<Document> read(const std::filesystem::path& file, Table more = {}) {
  more["type"] = "tagged_text", more["files"] = List{Value(file.string())};
  std::vector<Document> all;
  testing::registry().make<DataSource>(more)->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

TEST_CASE("tagged_text: words joined by blanks, a tag over each") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", "Has/VBZ  the/DT 1/2/CD ?/.\n\nJan/NNP ./.\n");
  const auto all = read(scratch / "en.txt");
  REQUIRE(all.size() == 2);
  CHECK(all[0].text == "Has the 1/2 ?");
  CHECK(all[0].id == "en:1");
  CHECK(all[0].language == "en");
  REQUIRE(all[0].annotations.size() == 4);
  CHECK(all[0].annotations[2].kind == "tag");
  CHECK(all[0].annotations[2].value == "CD");
  CHECK(all[0].text.substr(all[0].annotations[2].begin, 3) == "1/2");
  CHECK(all[0].annotations[2].end == 11);
  CHECK(all[1].id == "en:3");
  CHECK(read(scratch / "en.txt", {{"kind", "pos"}})[0].annotations[0].kind == "pos");
}

TEST_CASE("tagged_text: another separator") {
  const testing::Scratch scratch;
  write_file(scratch / "en.txt", "a_b_DT c_NN\n");
  const auto all = read(scratch / "en.txt", {{"separator", "_"}});
  CHECK(all[0].text == "a_b c");
  CHECK(all[0].annotations[0].value == "DT");
}

TEST_CASE("tagged_text: a word without a tag is refused with its place") {
  const testing::Scratch scratch;
  for (const char* line : {"fine/NN bare", "/NN", "word/"}) {
    write_file(scratch / "en.txt", std::string("a/DT\n") + line + "\n");
    CHECK_THROWS_WITH(read(scratch / "en.txt"), ContainsSubstring(":2: ") && ContainsSubstring("no word with a tag"));
  }
}

}  // namespace tagged_text_test
