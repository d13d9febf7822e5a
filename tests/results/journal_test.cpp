#include "results/journal.h"

#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <thread>

#include "base/error.h"
#include "support.h"

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;

namespace {

using Records = std::vector<std::pair<int, std::string>>;

Records all(const fs::path& file, std::uint64_t* good = nullptr) {
  Records out;
  const auto bytes = read_journal(
      file, [&](std::uint8_t kind, std::string_view payload) { out.emplace_back(kind, std::string(payload)); });
  if (good) *good = bytes;
  return out;
}

}  // namespace

TEST_CASE("a journal gives back what was appended, across openings", "[journal]") {
  const Scratch scratch;
  const auto file = scratch / "a.journal";
  Records right;
  for (int opening = 0; opening < 3; ++opening) {
    JournalWriter out(file);
    for (int i = 0; i < 4; ++i) {
      right.emplace_back(i, std::string(static_cast<std::size_t>(i * i * 1000), static_cast<char>('a' + opening)));
      out.append(static_cast<std::uint8_t>(i), right.back().second);
    }
  }
  std::uint64_t good = 0;
  CHECK(all(file, &good) == right);
  CHECK(good == fs::file_size(file));
}

TEST_CASE("a journal cut at any byte of its last record keeps the others and goes on", "[journal]") {
  const Scratch scratch;
  const auto file = scratch / "a.journal", cut = scratch / "cut.journal";
  std::uint64_t before = 0;
  {
    JournalWriter out(file);
    out.append(1, "first");
    before = fs::file_size(file);
    out.append(2, "the last record");
  }
  const auto whole = read_file(file);
  for (std::uint64_t size = 0; size < whole.size(); ++size) {
    write_file(cut, whole.substr(0, size));
    const Records kept = size < before ? Records{} : Records{{1, "first"}};
    CHECK(all(cut) == kept);
    {
      JournalWriter out(cut);
      out.append(3, "next");
    }
    auto right = kept;
    right.emplace_back(3, "next");
    std::uint64_t good = 0;
    CHECK(all(cut, &good) == right);
    CHECK(good == fs::file_size(cut));
  }
}

TEST_CASE("no flipped bit of a record goes unseen", "[journal]") {
  const Scratch scratch;
  const auto file = scratch / "a.journal", bad = scratch / "bad.journal";
  std::uint64_t before = 0;
  {
    JournalWriter out(file);
    out.append(1, "first");
    before = fs::file_size(file);
    out.append(2, "second");
  }
  const auto whole = read_file(file);
  for (std::size_t byte = 0; byte < whole.size(); ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = whole;
      bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
      write_file(bad, bytes);
      if (byte < 16) {
        CHECK_THROWS_AS(all(bad), Error);
        continue;
      }
      CHECK(all(bad) == (byte < before ? Records{} : Records{{1, "first"}}));
    }
}

TEST_CASE("what is no journal is named as such", "[journal]") {
  const Scratch scratch;
  write_file(scratch / "text", "a text that is longer than any header");
  CHECK_THROWS_WITH(all(scratch / "text"), ContainsSubstring("is no journal") && ContainsSubstring("text"));
  CHECK_THROWS_WITH(JournalWriter(scratch / "text"), ContainsSubstring("is no journal"));
  CHECK(read_file(scratch / "text").starts_with("a text"));
  CHECK_THROWS_WITH(all(scratch / "none"), ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(JournalWriter(scratch / "none" / "a.journal"), ContainsSubstring("No such file"));
}

TEST_CASE("threads append whole records", "[journal]") {
  const Scratch scratch;
  const auto file = scratch / "a.journal";
  {
    JournalWriter out(file);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&out, t] {
        for (int i = 0; i < 200; ++i)
          out.append(static_cast<std::uint8_t>(t),
                     std::string(static_cast<std::size_t>(i), static_cast<char>('a' + t)));
      });
    for (auto& thread : threads) thread.join();
  }
  std::size_t next[4] = {};
  for (const auto& [kind, payload] : all(file))
    CHECK(payload == std::string(next[kind]++, static_cast<char>('a' + kind)));
  for (const auto n : next) CHECK(n == 200);
}

TEST_CASE("a full disk is an error with path and reason, and leaves whole records", "[journal]") {
  const Scratch scratch;
  const auto file = scratch / "a.journal";
  const auto child = start_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200, 200};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    JournalWriter out(file);
    out.append(1, std::string(100, 'a'));
    try {
      out.append(2, std::string(100, 'b'));
    } catch (const Error& error) {
      const std::string text = error.what();
      if (text.find(file.string()) == std::string::npos || text.find("File too large") == std::string::npos)
        throw Error("wrong text: " + text);
      out.append(3, "fits");
      return;
    }
    throw Error("no error");
  });
  CHECK(end_of(child) == 0);
  std::uint64_t good = 0;
  CHECK(all(file, &good) == Records{{1, std::string(100, 'a')}, {3, "fits"}});
  CHECK(good == fs::file_size(file));
}

TEST_CASE("a killed writer loses nothing that was synced", "[journal]") {
  const Scratch scratch;
  const auto file = scratch / "a.journal";
  for (int round = 0; round < 5; ++round) {
    Signal synced;
    const auto child = start_child([&] {
      JournalRecorder to(file);
      for (std::int64_t i = 0;; ++i) {
        to.point("loss", static_cast<double>(i) / 3, counters_at(i), {"nats/token", "", "", ""});
        if (i == 50 + round) to.sync(), synced.raise();
      }
    });
    synced.wait();
    REQUIRE(kill_child(child) == 1000 + SIGKILL);
    const auto record = read_record(file);
    const auto& points = record.curves.at("loss").points;
    REQUIRE(points.size() > static_cast<std::size_t>(50 + round));
    for (std::size_t i = 0; i < points.size(); ++i) {
      REQUIRE(same(points[i].value, static_cast<double>(i) / 3));
      REQUIRE(same(points[i].at, counters_at(static_cast<std::int64_t>(i))));
    }
  }
}
