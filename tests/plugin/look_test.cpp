// Reading a library's tables: right on good files, and never more than a reason on any other bytes.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "base/file.h"
#include "base/random.h"
#include "plugin/loader.h"
#include "testing/testing.h"

namespace fs = std::filesystem;

TEST_CASE("a plugin is recognised without running it") {
  const auto look = xp::look_at(fs::path(XP_FIXTURES) / "good.so");
  CHECK(look.reason.empty());
  CHECK(look.plugin);
  CHECK(look.abi == 1);
  CHECK(look.name == "good");
  CHECK_FALSE(look.tensors);
}

TEST_CASE("a program is no plugin") {
  const auto look = xp::look_at(fs::read_symlink("/proc/self/exe"));
  CHECK_FALSE(look.plugin);
  CHECK_FALSE(look.reason.empty());
}

TEST_CASE("a library that is cut anywhere gives a reason") {
  const xp::testing::Scratch scratch;
  const auto whole = xp::read_file(fs::path(XP_FIXTURES) / "good.so");
  for (std::size_t n = 0; n < whole.size(); n = n < 200 ? n + 1 : n + whole.size() / 50) {
    xp::write_file(scratch / "good.so", std::string_view(whole).substr(0, n));
    INFO("cut after " << n << " of " << whole.size());
    CHECK_FALSE(xp::look_at(scratch / "good.so").reason.empty());
  }
}

TEST_CASE("damaged tables end in a verdict, whatever they claim") {
  const xp::testing::Scratch scratch;
  const auto whole = xp::read_file(fs::path(XP_FIXTURES) / "good.so");
  xp::RandomStream random(3);
  std::size_t refused = 0;
  constexpr int kTrials = 200;
  for (int trial = 0; trial < kTrials; ++trial) {
    auto bytes = whole;
    // Headers lie at the start, the table of sections at the end: that is where sizes and offsets stand.
    const auto from = trial % 2 == 0 ? std::size_t{4} : bytes.size() - 2048;
    const auto length = trial % 2 == 0 ? std::size_t{60} : std::size_t{2048};
    for (int i = 0; i < 8; ++i)
      bytes[from + static_cast<std::size_t>(random.below(static_cast<std::int64_t>(length)))] =
          static_cast<char>(random.below(2) == 0 ? 0xFF : random.below(256));
    xp::write_file(scratch / "good.so", bytes);
    if (!xp::look_at(scratch / "good.so").reason.empty()) ++refused;
  }
  CHECK(refused > kTrials / 4);  // otherwise the damage hits nothing that is read
}
