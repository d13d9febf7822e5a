#include "engine/draws.h"

#include <catch2/catch_test_macros.hpp>

using namespace xp;

TEST_CASE("streams drawn with tensor operations give the numbers that each gives by itself") {
  std::vector<RandomStream> streams;
  for (std::uint64_t key : {0ull, 1ull, 0x8000000000000000ull, ~0ull, 0x123456789ABCDEFull})
    streams.emplace_back(RandomStream::mix(key));
  const auto rows = uniform_rows(streams, 1000, at::kCPU);
  CHECK(rows.equal(uniform_rows_by_tensor(streams, 1000, at::kCPU)));
  for (std::size_t i = 0; i < streams.size(); ++i) {
    auto one = streams[i];
    for (std::int64_t k = 0; k < 5; ++k)
      CHECK(rows[static_cast<std::int64_t>(i)][k].item<float>() == static_cast<float>(one.uniform()));
  }
  CHECK(rows.lt(1).all().item<bool>());
  CHECK(rows.mean().item<double>() > 0.48);
  CHECK(rows.mean().item<double>() < 0.52);
}
