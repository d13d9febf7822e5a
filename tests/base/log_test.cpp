#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "../scratch.h"

using namespace xp;

TEST_CASE("Log lines go to stderr from the level on that was set, without escapes in a file") {
  const Scratch scratch;
  const int kept = ::dup(2);
  const int file = ::open((scratch / "err").c_str(), O_WRONLY | O_CREAT, 0600);
  REQUIRE(::dup2(file, 2) == 2);
  log::debug("hidden");
  log::info("shown {} %s");
  log::set_level(log::Level::error);
  log::warn("hidden too");
  log::error("failed");
  log::set_level(log::Level::debug);
  log::debug("seen");
  log::set_level(log::Level::info);
  ::dup2(kept, 2);
  ::close(kept);
  ::close(file);
  const auto text = read_file(scratch / "err");
  CHECK(text.starts_with("info: shown {} %s\nerror: failed\n"));
  CHECK(text.ends_with(" debug: seen\n"));  // after the time
  CHECK(text.find("hidden") == std::string::npos);
}
