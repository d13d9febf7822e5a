// Runs that work, that were killed, and files that are damaged.
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/error.h"
#include "base/log.h"
#include "results/hdf5.h"
#include "support.h"

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string kDone = digest_of("done"), kHalf = digest_of("half"), kLater = digest_of("later");

Value three_stages() { return plan_of({{"ofa", 1, {{"done", kDone}, {"half", kHalf}, {"later", kLater}}}}); }

/// A child that finished one stage and is in the midst of the next.
pid_t start_run(const fs::path& results, const std::string& id, Signal& ready) {
  return start_child([&] {
    Cache cache(results);
    RunLog run(results, "trial", id, {{"command", "xp run"}}, three_stages());
    run.stage(kDone, "started");
    if (!cache.find(kDone)) make_entry(cache, kDone);
    run.stage(kDone, "done");
    run.stage(kHalf, "started");
    const auto lease = cache.claim(kHalf);
    JournalRecorder to(lease->work() / kRecordFile);
    to.point("loss", 0.5, counters_at(1), {"nats/token", "", "", ""});
    ready.raise();
    for (;;) ::pause();
  });
}

void check_stages(const Result& result) {
  const auto* whole = result.member("ofa", 1);
  REQUIRE(whole);
  CHECK(whole->record("done")->notes.size() == 2);
  CHECK(whole->record("half") == nullptr);
  CHECK(whole->record("later") == nullptr);
  const auto* partial = result.member("ofa", 1, true);
  CHECK(partial->record("done")->notes.size() == 2);
  REQUIRE(partial->record("half"));
  REQUIRE(partial->curve("half", "loss"));
  CHECK(partial->curve("half", "loss")->points.at(0).value == 0.5);
  CHECK(partial->record("later") == nullptr);
  for (const auto& stage : result.stages()) {
    CHECK(stage.complete == (stage.digest == kDone));
    CHECK(stage.status == (stage.digest == kDone ? "done" : stage.digest == kHalf ? "started" : ""));
  }
}

struct QuietRepair {
  QuietRepair() { log::set_level(log::Level::off); }
  ~QuietRepair() { log::set_level(log::Level::info); }
};

}  // namespace

TEST_CASE("an open run is readable while it works and folded after it was killed", "[repair]") {
  const Scratch scratch;
  Signal ready;
  const auto child = start_run(scratch.path(), "20260101-000000-aaaa", ready);
  ready.wait();
  const auto journal = scratch / "trial" / "20260101-000000-aaaa.journal";
  {
    const auto open = read_result(journal);
    CHECK(open->open());
    CHECK(open->alive());
    CHECK(open->attributes().at("status") == "running");
    check_stages(*open);
  }
  CHECK(repair(scratch.path()).empty());
  kill_child(child);
  CHECK(!read_result(journal)->alive());
  const auto written = repair(scratch.path());
  REQUIRE(written == std::vector<fs::path>{scratch / "trial" / "20260101-000000-aaaa.h5"});
  CHECK(!fs::exists(journal));
  const auto closed = read_result(written[0]);
  CHECK(!closed->open());
  CHECK(closed->attributes().at("status") == "killed");
  CHECK(closed->attributes().at("command") == "xp run");
  CHECK(closed->attributes().at("ended").size() == 20);
  check_stages(*closed);
  CHECK(repair(scratch.path()).empty());
}

TEST_CASE("a run killed between its fold and the end of its journal counts once", "[repair]") {
  const Scratch scratch;
  Signal ready;
  const auto child = start_run(scratch.path(), "20260101-000000-aaaa", ready);
  ready.wait();
  kill_child(child);
  const auto journal = scratch / "trial" / "20260101-000000-aaaa.journal";
  fs::copy_file(journal, scratch / "kept");
  REQUIRE(repair(scratch.path()).size() == 1);
  fs::copy_file(scratch / "kept", journal);
  CHECK(find_results(scratch.path()).size() == 1);
  CHECK(repair(scratch.path()).empty());
  CHECK(!fs::exists(journal));
  CHECK(find_results(scratch.path()).size() == 1);
}

TEST_CASE("a run killed at any moment leaves nothing unreadable", "[repair]") {
  const Scratch scratch;
  for (int round = 0; round < 12; ++round) {
    Signal begun;
    const auto child = start_child([&] {
      begun.raise();
      for (;;) {
        Cache cache(scratch.path());
        if (!cache.find(kDone)) make_entry(cache, kDone);
        RunLog run(scratch.path(), "trial", new_run_id(), {}, three_stages());
        run.stage(kDone, "cached");
        run.close("done", cache);
      }
    });
    begun.wait();
    ::usleep(static_cast<useconds_t>(5000 + round * 2300));
    kill_child(child);
    repair(scratch.path());
    for (const auto& file : find_results(scratch.path())) {
      REQUIRE(file.extension() == ".h5");
      const auto result = read_result(file);
      if (result->attributes().at("status") == "done") REQUIRE(result->member("ofa", 1)->record("done"));
    }
  }
}

TEST_CASE("results are listed newest first, by recipe or all", "[repair]") {
  const Scratch scratch;
  const Cache cache(scratch.path());
  const auto plan = plan_of({});
  RunLog(scratch.path(), "one", "20260101-000000-aaaa", {}, plan).close("done", cache);
  RunLog(scratch.path(), "two", "20260103-000000-aaaa", {}, plan).close("done", cache);
  const RunLog open(scratch.path(), "one", "20260102-000000-aaaa", {}, plan);
  const auto names = [](const std::vector<fs::path>& files) {
    std::vector<std::string> out;
    for (const auto& file : files) out.push_back(file.parent_path().filename() / file.filename());
    return out;
  };
  CHECK(names(find_results(scratch.path())) == std::vector<std::string>{"two/20260103-000000-aaaa.h5",
                                                                        "one/20260102-000000-aaaa.journal",
                                                                        "one/20260101-000000-aaaa.h5"});
  CHECK(names(find_results(scratch.path(), "one")) ==
        std::vector<std::string>{"one/20260102-000000-aaaa.journal", "one/20260101-000000-aaaa.h5"});
  CHECK(find_results(scratch.path(), "../one").empty());
  CHECK(find_results(scratch / "none").empty());
}

TEST_CASE("runs and recipes have names that stay in the folder, and no run is overwritten", "[repair]") {
  const Scratch scratch;
  const auto plan = plan_of({});
  CHECK_THROWS_WITH(RunLog(scratch.path(), "..", "a", {}, plan), ContainsSubstring("cannot name a folder"));
  CHECK_THROWS_WITH(RunLog(scratch.path(), "cache", "a", {}, plan), ContainsSubstring("where artifacts lie"));
  CHECK_THROWS_WITH(RunLog(scratch.path(), "trial", "../a", {}, plan), ContainsSubstring("cannot name a run"));
  RunLog run(scratch.path(), "trial", "a", {}, plan);
  CHECK_THROWS_WITH(RunLog(scratch.path(), "trial", "a", {}, plan), ContainsSubstring("there already"));
  run.close("done", Cache(scratch.path()));
  CHECK_THROWS_WITH(RunLog(scratch.path(), "trial", "a", {}, plan), ContainsSubstring("there already"));
  CHECK_THROWS_WITH(run.log_line("late"), ContainsSubstring("is closed"));
}

TEST_CASE("a results folder that cannot be written is named with the reason", "[repair]") {
  const Scratch scratch;
  fs::permissions(scratch.path(), fs::perms(0555));
  const auto child = start_child([&] {
    if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) throw Error("cannot become a common user");
    try {
      RunLog(scratch.path(), "trial", "a", {}, plan_of({}));
    } catch (const Error& error) {
      const std::string text = error.what();
      if (text.find(scratch.path().string()) == std::string::npos ||
          text.find("Permission denied") == std::string::npos)
        throw Error("wrong text: " + text);
      try {
        Cache(scratch.path()).claim(kDone);
      } catch (const Error& second) {
        if (std::string(second.what()).find("Permission denied") != std::string::npos) return;
        throw Error(std::string("wrong text: ") + second.what());
      }
    }
    throw Error("no error");
  });
  CHECK(end_of(child) == 0);
  fs::permissions(scratch.path(), fs::perms(0755));
}

TEST_CASE("a disk that is full when a run closes leaves the journal for repair", "[repair]") {
  const QuietRepair quiet;
  const Scratch scratch;
  const auto child = start_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    Cache cache(scratch.path());
    make_entry(cache, kDone, 3000);
    RunLog run(scratch.path(), "trial", "a", {}, three_stages());
    run.stage(kDone, "done");
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      run.close("done", cache);
    } catch (const Error& error) {
      if (std::string(error.what()).find("File too large") != std::string::npos) return;
      throw;
    }
    throw Error("no error");
  });
  CHECK(end_of(child) == 0);
  CHECK(!fs::exists(scratch / "trial" / "a.h5"));
  REQUIRE(repair(scratch.path()).size() == 1);
  const auto result = read_result(scratch / "trial" / "a.h5");
  REQUIRE(result->member("ofa", 1)->curve("done", "loss"));
  CHECK(result->member("ofa", 1)->curve("done", "loss")->points.size() == 3000);
}

TEST_CASE("damaged result files are errors of data that name the file", "[repair]") {
  const Scratch scratch;
  Cache cache(scratch.path());
  make_entry(cache, kDone);
  fs::path file;
  {
    RunLog run(scratch.path(), "trial", "a", {}, three_stages());
    run.stage(kDone, "done");
    file = run.close("done", cache);
  }
  const auto bytes = read_file(file);
  const auto fails = [&](const std::string& content) {
    write_file(scratch / "bad.h5", content);
    try {
      const auto result = read_result(scratch / "bad.h5");
      for (const auto& node : result->member("ofa", 1)->nodes()) result->member("ofa", 1)->record(node);
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
      CHECK_THAT(error.what(), ContainsSubstring("bad.h5"));
      return true;
    }
    return false;
  };
  CHECK(fails("not HDF5 at all"));
  CHECK(fails(""));
  for (const double part : {0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999})
    CHECK(fails(bytes.substr(0, static_cast<std::size_t>(part * static_cast<double>(bytes.size())))));
  CHECK_FALSE(fails(bytes));
  CHECK_THROWS_WITH(read_result(scratch / "none.h5"), ContainsSubstring("none.h5"));
  CHECK_THROWS_WITH(read_result(scratch / "none.journal"), ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(read_result(scratch / "a.txt"), ContainsSubstring("`.h5` or `.journal`"));
}

TEST_CASE("other HDF5 files are told apart from results", "[repair]") {
  const Scratch scratch;
  const auto text_of = [&](const std::function<void(Hdf5Writer&)>& fill) -> std::string {
    Hdf5Writer to;
    fill(to);
    to.save(scratch / "x.h5");
    try {
      read_result(scratch / "x.h5");
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
      return error.what();
    }
    return {};
  };
  CHECK_THAT(text_of([](Hdf5Writer& to) { to.group("/weights"); }), ContainsSubstring("no result of this program"));
  const auto base = [](Hdf5Writer& to, std::int64_t format, const std::string& plan) {
    to.group("/records");
    to.text("/plan", plan);
    to.texts("/log", {});
    to.integer_attribute("/", "format", format);
  };
  CHECK_THAT(text_of([&](Hdf5Writer& to) { base(to, 2, "{}"); }), ContainsSubstring("result of format 2"));
  CHECK_THAT(text_of([&](Hdf5Writer& to) { base(to, 1, "{"); }), ContainsSubstring("/plan"));
  CHECK_THAT(text_of([&](Hdf5Writer& to) { base(to, 1, "{}"); }), ContainsSubstring("`members` is missing"));
  CHECK_THAT(
      text_of([&](Hdf5Writer& to) { base(to, 1, R"({"members":[{"arm":"a","seed":0,"stages":{"s":"../../x"}}]})"); }),
      ContainsSubstring("is no digest"));
  CHECK(text_of([&](Hdf5Writer& to) { base(to, 1, R"({"members":[]})"); }) == "");
}
