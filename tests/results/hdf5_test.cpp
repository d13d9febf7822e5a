#include "results/hdf5.h"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/error.h"
#include "support.h"

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("any name is one link of a path, and comes back", "[hdf5]") {
  constexpr std::array<std::string_view, 1> taken = {"plan"};
  for (const std::string name :
       {"loss", "", ".", "..", "a/b", "%", "%2F", "plan", "x\ny", "tuned[duplicates]", "\xC3\xA4"}) {
    const auto link = hdf5_name(name, taken);
    CHECK(!link.empty());
    CHECK(link.find('/') == std::string::npos);
    CHECK(link != "plan");
    CHECK(link != ".");
    CHECK(link != "..");
    CHECK(hdf5_name_back(link) == name);
  }
  CHECK(hdf5_name("tuned[duplicates]") == "tuned[duplicates]");
}

TEST_CASE("numbers and texts of all lengths come back", "[hdf5]") {
  const Scratch scratch;
  std::vector<std::vector<double>> reals;
  std::vector<std::vector<std::string>> texts;
  for (const std::size_t n : {0u, 1u, 5u, 513u, 20000u}) {
    auto& numbers = reals.emplace_back(n);
    auto& words = texts.emplace_back(n);
    for (std::size_t i = 0; i < n; ++i)
      numbers[i] = 1.0 / static_cast<double>(i + 1), words[i] = std::string(i % 17, 'w');
  }
  texts.push_back({"", std::string("\0", 1), std::string("a\0b", 3), "%", "end\n"});
  texts.push_back({"short", std::string(100000, 'l'), ""});  // one long text does not make all cells long
  {
    Hdf5Writer to;
    for (std::size_t i = 0; i < reals.size(); ++i) to.reals("/r/" + std::to_string(i), reals[i]);
    for (std::size_t i = 0; i < texts.size(); ++i) to.texts("/t/" + std::to_string(i), texts[i]);
    to.integers("/i", std::array<std::int64_t, 2>{INT64_MIN, INT64_MAX});
    to.text("/long", std::string(3000000, 'x'));
    to.save(scratch / "a.h5");
  }
  const Hdf5Reader from(scratch / "a.h5");
  for (std::size_t i = 0; i < reals.size(); ++i) CHECK(from.reals("/r/" + std::to_string(i)) == reals[i]);
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(from.texts("/t/" + std::to_string(i)) == texts[i]);
  CHECK(from.integers("/i") == std::vector<std::int64_t>{INT64_MIN, INT64_MAX});
  CHECK(from.text("/long").size() == 3000000);
  CHECK(from.children("/t").size() == texts.size());
  CHECK(fs::file_size(scratch / "a.h5") < 4000000);
}

TEST_CASE("what is asked for and is not there is named", "[hdf5]") {
  const Scratch scratch;
  Hdf5Writer to;
  to.real("/a/b", 1);
  CHECK_THROWS_WITH(to.real("/a/b", 2), ContainsSubstring("/a/b"));
  CHECK_THROWS_WITH(to.text("/z", std::string("\0", 1)), ContainsSubstring("zero byte"));
  to.save(scratch / "a.h5");
  const Hdf5Reader from(scratch / "a.h5");
  CHECK(from.real("/a/b") == 1);
  CHECK_THROWS_WITH(from.real("/a/c"),
                    ContainsSubstring("a.h5") && ContainsSubstring("/a/c") && ContainsSubstring("missing"));
  CHECK_THROWS_WITH(from.reals("/a/b"), ContainsSubstring("not a list of reals"));
  CHECK_THROWS_WITH(from.integer("/a/b"), ContainsSubstring("not an integer"));
  CHECK_THROWS_WITH(from.text("/a"), ContainsSubstring("/a"));
  CHECK_THROWS_WITH(from.children("/a/b"), ContainsSubstring("/a/b"));
  CHECK_THROWS_WITH(from.integer_attribute("/a", "rows"), ContainsSubstring("no integer `rows`"));
}
