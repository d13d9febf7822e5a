#include <catch2/catch_test_macros.hpp>

#include "kit/selection.h"

namespace selection_test {

using namespace xp;

std::string kept(const std::vector<double>& keys, const std::vector<std::int64_t>& bytes, double share, ShareOf of) {
  std::vector<Scored> documents;
  for (const auto n : bytes) documents.push_back({0, n});
  std::string out;
  for (const bool one : keep_highest(keys, documents, share, of)) out += one ? '1' : '0';
  return out;
}

TEST_CASE("keep_highest: the highest until the share is reached, of equal ones the first") {
  const std::vector<double> keys{1, 3, 2, 3, 0};
  const std::vector<std::int64_t> bytes{10, 20, 30, 40, 900};
  CHECK(kept(keys, bytes, 0.2, ShareOf::documents) == "01000");
  CHECK(kept(keys, bytes, 0.4, ShareOf::documents) == "01010");
  CHECK(kept(keys, bytes, 0.41, ShareOf::documents) == "01110");
  CHECK(kept(keys, bytes, 1, ShareOf::documents) == "11111");
  CHECK(kept(keys, bytes, 0.06, ShareOf::bytes) == "01010");
  CHECK(kept(keys, bytes, 0.0601, ShareOf::bytes) == "01110");
  CHECK(kept({}, {}, 0.5, ShareOf::bytes).empty());
}

TEST_CASE("keep_highest: a share that is no binary number gives the whole number that it means") {
  const std::vector<double> keys(100, 1);
  const std::vector<std::int64_t> bytes(100, 1);
  for (const auto of : {ShareOf::documents, ShareOf::bytes}) {
    const auto text = kept(keys, bytes, 0.07, of);
    CHECK(text.find('0') == 7);
    CHECK(text.rfind('1') == 6);
  }
}

}  // namespace selection_test
