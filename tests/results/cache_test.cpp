#include "results/cache.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "support.h"

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;
using namespace std::chrono_literals;

namespace {

const std::string kDigest = digest_of("stage");

fs::path lease_file(const Scratch& scratch) { return scratch / "cache" / ".leases" / (kDigest + ".lease"); }

void age(const fs::path& file, std::chrono::seconds by) {
  fs::last_write_time(file, fs::file_time_type::clock::now() - by);
}

std::size_t entries_of(const fs::path& folder) {
  if (!fs::exists(folder)) return 0;
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

struct Quiet {
  Quiet() { log::set_level(log::Level::off); }
  ~Quiet() { log::set_level(log::Level::info); }
};

}  // namespace

TEST_CASE("nothing is made before something is claimed", "[cache]") {
  const Scratch scratch;
  const Cache cache(scratch / "results");
  CHECK(!cache.find(kDigest));
  CHECK(cache.list().empty());
  CHECK(!fs::exists(scratch / "results"));
}

TEST_CASE("a committed artifact is found with all that was said of it", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  make_entry(cache, kDigest);
  for (const bool verify : {false, true}) {
    const auto entry = cache.find(kDigest, verify);
    REQUIRE(entry);
    CHECK(entry->folder == scratch / "cache" / kDigest);
    CHECK(entry->stage_type == "train");
    CHECK(entry->stage_name == "adapt");
    CHECK(entry->recipe == "trial");
    CHECK(entry->seconds == 1.5);
    CHECK(entry->made.size() == 20);
    CHECK(entry->bytes == 10000 + fs::file_size(entry->folder / kRecordFile));
    CHECK(read_file(entry->folder / "model" / "deep" / "weights") == std::string(10000, 'w'));
  }
  CHECK(entries_of(scratch / "cache" / ".work") == 0);
  CHECK(!fs::exists(lease_file(scratch)));
  CHECK(cache.list().size() == 1);
  JournalRecorder to(scratch / "right.journal");
  record_everything(to);
  CHECK(difference(cache.record(*cache.find(kDigest)), read_record(scratch / "right.journal")) == "");
}

TEST_CASE("digests that could lead elsewhere are refused", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  for (const std::string bad : {"../../etc", "", "short", "0123456789/..", ".leases0"})
    CHECK_THROWS_WITH(cache.find(bad), ContainsSubstring("is no digest"));
  CHECK_THROWS_AS(cache.claim("../../../up"), Error);
}

TEST_CASE("a digest is held by one process at a time, and named as such", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  std::string holder;
  const auto lease = cache.claim(kDigest);
  REQUIRE(lease);
  CHECK(lease->held());
  CHECK(cache.claim(kDigest, &holder) == nullptr);
  CHECK_THAT(holder, ContainsSubstring(" " + std::to_string(::getpid()) + ", since 20"));
  const auto child = start_child([&] {
    Cache other(scratch.path());
    if (other.claim(kDigest)) throw Error("claimed twice");
  });
  CHECK(end_of(child) == 0);
  CHECK(cache.claim(digest_of("another")) != nullptr);
}

TEST_CASE("of many processes that claim one digest one gets it", "[cache]") {
  const Scratch scratch;
  for (int round = 0; round < 5; ++round) {
    Signal got, go_on;
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i)
      children.push_back(start_child([&] {
        Cache cache(scratch.path());
        const auto lease = cache.claim(kDigest);
        got.raise(lease ? 'y' : 'n');
        go_on.wait();
      }));
    int winners = 0;
    for (int i = 0; i < 6; ++i) winners += got.wait() == 'y';
    for (int i = 0; i < 6; ++i) go_on.raise();
    for (const auto child : children) CHECK(end_of(child) == 0);
    CHECK(winners == 1);
  }
}

TEST_CASE("a lease that ends without a commit leaves the work to the next", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  { write_file(cache.claim(kDigest)->work() / "half", "done so far"); }
  const auto next = cache.claim(kDigest);
  REQUIRE(next);
  CHECK(read_file(next->work() / "half") == "done so far");
  CHECK(next->work() == cache.work_folder(kDigest));
}

TEST_CASE("what a stage goes on from stays until the artifact stands, and is no part of it", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  auto lease = cache.claim(kDigest);
  const auto left = fs::path(kScratchFolder) / "state" / "numbers";
  write_file(lease->work() / "weights", "w");
  fs::create_directories((lease->work() / left).parent_path());
  write_file(lease->work() / left, "1 2 3");
  const auto entry = lease->commit({});
  CHECK(entry.bytes == 1);
  CHECK(!fs::exists(entry.folder / kScratchFolder));
  // A kill right behind the commit leaves it in the entry.
  fs::create_directories((entry.folder / left).parent_path());
  write_file(entry.folder / left, "1 2 3");
  CHECK(cache.find(kDigest, true));
  CHECK(!fs::exists(entry.folder / kScratchFolder));
}

TEST_CASE("a killed holder's digest is taken over with its work, by one process", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  for (const bool reaped : {false, true}) {
    Signal holds;
    const auto holder = start_child([&] {
      Cache cache(scratch.path());
      const auto lease = cache.claim(kDigest);
      write_file(lease->work() / "half", "from the killed one");
      holds.raise();
      for (;;) ::pause();
    });
    holds.wait();
    Cache cache(scratch.path());
    CHECK(cache.claim(kDigest) == nullptr);
    ::kill(holder, SIGKILL);
    if (reaped) {
      end_of(holder);
    } else {
      siginfo_t info;
      ::waitid(P_PID, static_cast<id_t>(holder), &info, WEXITED | WNOWAIT);  // dead, but still in the process table
    }
    Signal got, go_on;
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i)
      children.push_back(start_child([&] {
        Cache other(scratch.path());
        const auto lease = other.claim(kDigest);
        if (lease && read_file(lease->work() / "half") != "from the killed one") throw Error("the work is gone");
        got.raise(lease ? 'y' : 'n');
        go_on.wait();
      }));
    int winners = 0;
    for (int i = 0; i < 4; ++i) winners += got.wait() == 'y';
    for (int i = 0; i < 4; ++i) go_on.raise();
    for (const auto child : children) CHECK(end_of(child) == 0);
    CHECK(winners == 1);
    if (!reaped) end_of(holder);
  }
  CHECK(entries_of(scratch / "cache" / ".leases") == 1);  // the lock alone
}

TEST_CASE("a process of which any thread still works holds its lease", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  Cache cache(scratch.path());
  Signal begun;
  const auto child = start_child([&] {
    const auto lease = Cache(scratch.path()).claim(kDigest);
    begun.raise();
    ::syscall(SYS_exit, 0);  // of this thread; the one that renews the lease goes on
  });
  begun.wait();
  const auto state = [&] { return read_file("/proc/" + std::to_string(child) + "/stat", 1 << 16); };
  while (state().find(") Z ") == std::string::npos) ::usleep(1000);
  CHECK(!cache.claim(kDigest));
  kill_child(child);
  CHECK(cache.claim(kDigest));
}

TEST_CASE("another machine's lease counts until it was not renewed for a minute", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  Cache cache(scratch.path());
  fs::create_directories(scratch / "cache" / ".leases");
  write_file(lease_file(scratch), R"({"host":"elsewhere","machine":"other boot","pid":1,"start":1,"since":"then"})");
  std::string holder;
  CHECK(cache.claim(kDigest, &holder) == nullptr);
  CHECK(holder == "elsewhere 1, since then");
  age(lease_file(scratch), 50s);
  CHECK(cache.claim(kDigest) == nullptr);
  age(lease_file(scratch), 70s);
  const auto lease = cache.claim(kDigest);
  REQUIRE(lease);
  CHECK(lease->held());
}

TEST_CASE("a half-written lease ends by time", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  Cache cache(scratch.path());
  fs::create_directories(scratch / "cache" / ".leases");
  write_file(lease_file(scratch), R"({"host":"else)");
  std::string holder;
  CHECK(cache.claim(kDigest, &holder) == nullptr);
  CHECK_THAT(holder, ContainsSubstring("unknown process"));
  age(lease_file(scratch), 70s);
  CHECK(cache.claim(kDigest) != nullptr);
}

TEST_CASE("who lost a lease uses the winner's entry, or says that it lost", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  Cache cache(scratch.path());
  const auto slow = cache.claim(kDigest);
  write_file(slow->work() / "out", "slow");
  fs::remove(lease_file(scratch));
  CHECK(!slow->held());
  CHECK_THROWS_WITH(slow->commit({}), ContainsSubstring("taken over"));
  {
    const auto fast = cache.claim(kDigest);
    REQUIRE(fast);
    CacheEntry about;
    about.stage_name = "winner";
    fast->commit(about);
  }
  CHECK(slow->commit({}).stage_name == "winner");
}

TEST_CASE("losing the rename means using the winner", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  const auto lease = cache.claim(kDigest);
  write_file(lease->work() / "out", "mine");
  // The winner's entry, made in another results folder that is copied in.
  Cache elsewhere(scratch / "elsewhere");
  make_entry(elsewhere, kDigest);
  fs::copy(elsewhere.folder() / kDigest, cache.folder() / kDigest, fs::copy_options::recursive);
  const auto entry = lease->commit({});
  CHECK(entry.stage_name == "adapt");
  CHECK(!fs::exists(entry.folder / "out"));
  CHECK(entries_of(scratch / "cache" / ".work") == 0);
}

TEST_CASE("damaged entries are moved aside and can be made again", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  Cache cache(scratch.path());
  make_entry(cache, kDigest);
  const auto folder = cache.folder() / kDigest;
  bool verify = false;
  const auto flip = [](const fs::path& file, std::size_t at) {
    auto bytes = read_file(file);
    bytes.at(at) ^= 1;
    write_file(file, bytes);
  };
  SECTION("a file is short") { fs::resize_file(folder / "model" / "deep" / "weights", 9999); }
  SECTION("a file is missing") { fs::remove(folder / "model" / "deep" / "weights"); }
  SECTION("a file is a link") {
    fs::rename(folder / "model" / "deep" / "weights", scratch / "moved");
    fs::create_symlink(scratch / "moved", folder / "model" / "deep" / "weights");
  }
  SECTION("the manifest is missing") { fs::remove(folder / "manifest.json"); }
  SECTION("the manifest is cut") { fs::resize_file(folder / "manifest.json", 50); }
  SECTION("the manifest leads elsewhere") {
    auto text = read_file(folder / "manifest.json");
    text.replace(text.find("model/deep/weights"), 18, "../../../../etc/a/");
    write_file(folder / "manifest.json", text);
  }
  SECTION("the record has a wrong byte") { flip(folder / kRecordFile, 500); }
  SECTION("a file has a wrong byte, which hashes find") {
    flip(folder / "model" / "deep" / "weights", 5000);
    CHECK(cache.find(kDigest));
    verify = true;
  }
  CHECK(!cache.find(kDigest, verify));
  CHECK(!fs::exists(folder));
  CHECK(entries_of(cache.folder() / ".damaged") == 1);
  make_entry(cache, kDigest);
  CHECK(cache.find(kDigest, true));
}

TEST_CASE("an artifact holds files and folders only", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  const auto lease = cache.claim(kDigest);
  fs::create_symlink("/etc/passwd", lease->work() / "link");
  CHECK_THROWS_WITH(lease->commit({}), ContainsSubstring("link") && ContainsSubstring("files and folders only"));
  CHECK(!cache.find(kDigest));
}

TEST_CASE("killed at any moment, a stage ends whole or is made again", "[cache]") {
  const Quiet quiet;
  const Scratch scratch;
  Cache cache(scratch.path());
  for (int round = 0; round < 12; ++round) {
    const auto digest = digest_of("round " + std::to_string(round));
    Signal begun;
    const auto child = start_child([&] {
      Cache own(scratch.path());
      begun.raise();
      make_entry(own, digest, 200);
    });
    begun.wait();
    ::usleep(static_cast<useconds_t>(round * 1500));
    kill_child(child);
    const auto entry = cache.find(digest, true);
    if (!entry) make_entry(cache, digest, 200);
    CHECK(cache.record(*cache.find(digest, true)).notes.size() >= 2);
    CHECK(entries_of(cache.folder() / ".damaged") == 0);
  }
}

TEST_CASE("collecting keeps what results refer to and removes the oldest use first", "[cache]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  std::vector<std::string> digests;
  for (const auto* name : {"in a result", "in an open run", "old", "new"}) {
    digests.push_back(digest_of(name));
    make_entry(cache, digests.back());
  }
  {
    RunLog run(scratch.path(), "trial", new_run_id(), {}, plan_of({{"a", 0, {{"fit", digests[0]}}}}));
    run.stage(digests[0], "cached");
    run.close("done", cache);
  }
  const RunLog open(scratch.path(), "trial", new_run_id(), {}, plan_of({{"a", 0, {{"fit", digests[1]}}}}));
  const auto manifest = [&](std::size_t i) { return cache.folder() / digests[i] / "manifest.json"; };
  for (std::size_t i = 0; i < 4; ++i) age(manifest(i), std::chrono::hours(40 - static_cast<int>(i)));
  const auto bytes = cache.find(digests[0])->bytes;
  SECTION("the oldest alone, and listing removes nothing") {
    for (const bool dry : {true, false}) {
      const auto removed = cache.collect(3 * bytes, dry);
      REQUIRE(removed.size() == 1);
      CHECK(removed[0].digest == digests[2]);
      CHECK(fs::exists(cache.folder() / digests[2]) == dry);
    }
  }
  SECTION("use counts, not age") {
    CHECK(cache.find(digests[2]));
    REQUIRE(cache.collect(3 * bytes, false).size() == 1);
    CHECK(cache.find(digests[2]));
    CHECK(!cache.find(digests[3]));
  }
  SECTION("never what is referred to") {
    CHECK(cache.collect(0, false).size() == 2);
    CHECK(cache.find(digests[0]));
    CHECK(cache.find(digests[1]));
  }
  SECTION("nothing while a result cannot be read") {
    write_file(scratch / "trial" / "broken.h5", "not HDF5");
    CHECK_THROWS_WITH(cache.collect(0, false), ContainsSubstring("broken.h5"));
    CHECK(cache.list().size() == 4);
  }
}
