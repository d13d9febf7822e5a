#include "base/random.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

using namespace xp;

TEST_CASE("A stream depends on its name and numbers only") {
  const RandomStreams streams(7, "stage");
  auto first = streams.child("masking").stream(1, 42);
  auto again = RandomStreams(7, "stage").child("masking").stream(1, 42);
  for (int i = 0; i < 10; ++i) CHECK(first.next() == again.next());
  std::set<std::uint64_t> different{
      streams.child("masking").stream(1, 43).next(), streams.child("masking").stream(2, 42).next(),
      streams.child("order").stream(1, 42).next(),   RandomStreams(8, "stage").child("masking").stream(1, 42).next(),
      streams.child("masking").stream(1, 42).next(), streams.child("masking").stream(1, 42).fork(1).next()};
  CHECK(different.size() == 6);
}

TEST_CASE("A fork does not depend on how much was drawn") {
  RandomStream stream(3);
  const auto before = stream.fork(2).next();
  stream.next();
  CHECK(stream.fork(2).next() == before);
}

TEST_CASE("Draws stay within their bounds and reach all of them") {
  RandomStream stream(1);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto draw = stream.below(5);
    REQUIRE((draw >= 0 && draw < 5));
    seen.insert(draw);
    const double uniform = stream.uniform();
    REQUIRE((uniform > 0 && uniform < 1));
  }
  CHECK(seen.size() == 5);
  CHECK(stream.below(1) == 0);
}
