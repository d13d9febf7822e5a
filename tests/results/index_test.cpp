// The index of a recipe's runs: the same numbers as from the files, and never stale ones.
#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "base/text.h"
#include "results/result_index.h"
#include "results/tables.h"
#include "support.h"

namespace {

using namespace xp;
using namespace xp::test;

// A run of recipe `trial` with one member per arm, a setting each, and everything recorded.
fs::path write_run(const Scratch& scratch, const std::string& run, const std::vector<std::string>& arms,
                   std::int64_t points = 5) {
  Cache cache(scratch.path());
  std::vector<PlannedMember> members;
  Table nodes;
  List named;
  for (const auto& arm : arms) {
    const auto digest = digest_of(run + arm);
    make_entry(cache, digest, points);
    members.push_back({arm, 3, {{"score", digest}}});
    nodes[digest] = Table{{"name", "score"}, {"type", "evaluate"}, {"settings", Table{{"rank", points}}}};
    named.push_back(Table{{"name", arm}, {"label", arm}});
  }
  auto plan = plan_of(members);
  plan.as<Table>()->emplace("arms", named), plan.as<Table>()->emplace("nodes", nodes);
  RunLog log(scratch.path(), "trial", run, {}, plan);
  for (const auto& member : members) log.stage(member.stages.at("score"), "done");
  return log.close("done", cache);
}

// Every number that tables can have of a result, as text.
std::string table_of(const std::vector<const Result*>& results) {
  TableSpec spec;
  spec.id = "t", spec.rows = "seed";
  spec.columns = {"score.retrieval.top10",       "score.tokens",          "score.loss", "score.loss.final",
                  "score.loss.area(over=bytes)", "score.leak_bound[1x32]"};
  const auto study = study_of(results);
  return render(build_table(spec, study, {}, {.listing = true, .all_settings = true}), "json");
}

std::string through_index(const Scratch& scratch) {
  const Cache cache(scratch.path());
  const auto results = read_results(scratch.path() / "trial", find_results(scratch.path(), "trial"), cache);
  std::vector<const Result*> all;
  for (const auto& one : results) all.push_back(one.get());
  return table_of(all);
}

std::string through_files(const Scratch& scratch) {
  std::vector<std::unique_ptr<Result>> results;
  std::vector<const Result*> all;
  for (const auto& file : find_results(scratch.path(), "trial")) {
    results.push_back(read_result(file));
    all.push_back(results.back().get());
  }
  return table_of(all);
}

TEST_CASE("an index gives the numbers of the files, the first time and from itself") {
  const Scratch scratch;
  write_run(scratch, "20260101-000000-aaaa", {"ofa", "random"});
  write_run(scratch, "20260102-000000-bbbb", {"ofa"}, 9);
  const auto truth = through_files(scratch);
  CHECK(truth.find("0.125") != std::string::npos);
  CHECK(through_index(scratch) == truth);
  REQUIRE(fs::exists(scratch.path() / "trial" / kIndexFile));
  CHECK(through_index(scratch) == truth);

  // It is the index that answers: the files' places are held by rubbish of the same size and time.
  for (const auto& file : find_results(scratch.path(), "trial")) {
    struct stat about {};
    REQUIRE(::stat(file.c_str(), &about) == 0);
    write_file(file, std::string(static_cast<std::size_t>(about.st_size), 'x'));
    const timespec times[2] = {about.st_atim, about.st_mtim};
    REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
  }
  const Cache cache(scratch.path());
  const auto results = read_results(scratch.path() / "trial", find_results(scratch.path(), "trial"), cache);
  REQUIRE(results.size() == 2);
  CHECK(results[0]->path().stem() == "20260102-000000-bbbb");
  const auto* records = results[1]->member("random", 3);
  REQUIRE(records);
  CHECK(records->record("score")->finals.at("retrieval.top10").value == 0.125);
  CHECK(records->last("score", "loss")->value == 1.0 / 7);
  CHECK(results[1]->member("random", 4) == nullptr);
  CHECK_THROWS_AS(results[1]->plan(), Error);
}

TEST_CASE("new, replaced and removed files are seen, and a damaged index is made again") {
  const Scratch scratch;
  const auto index = scratch.path() / "trial" / kIndexFile;
  const auto first = write_run(scratch, "20260101-000000-aaaa", {"ofa"});
  CHECK(through_index(scratch) == through_files(scratch));
  const auto second = write_run(scratch, "20260102-000000-bbbb", {"random"});
  CHECK(through_index(scratch) == through_files(scratch));

  const Scratch other;
  fs::copy_file(write_run(other, "20260101-000000-aaaa", {"ofa", "random"}, 7), first,
                fs::copy_options::overwrite_existing);
  CHECK(through_index(scratch) == through_files(scratch));
  fs::remove(second);
  CHECK(through_index(scratch) == through_files(scratch));
  const auto truth = through_files(scratch);
  const auto whole = read_file(index);
  CHECK(whole.find("bbbb") == std::string::npos);  // what is gone is not kept
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 40) {
    auto damaged = whole;
    damaged[at] ^= 0x55;
    write_file(index, damaged);
    REQUIRE(through_index(scratch) == truth);
    REQUIRE(read_file(index) == whole);
  }
  write_file(index, whole.substr(0, whole.size() / 2));
  CHECK(through_index(scratch) == truth);
  write_file(index, "");
  CHECK(through_index(scratch) == truth);
}

TEST_CASE("a run that works is read from its journal, beside the index") {
  const Scratch scratch;
  write_run(scratch, "20260101-000000-aaaa", {"ofa"});
  Cache cache(scratch.path());
  const auto digest = digest_of("open");
  make_entry(cache, digest);
  auto plan = plan_of({{"ofa", 3, {{"score", digest}}}});
  plan.as<Table>()->emplace("arms", List{Table{{"name", "ofa"}, {"label", "OFA"}}});
  RunLog log(scratch.path(), "trial", "20260103-000000-cccc", {}, plan);
  log.stage(digest, "done");
  const auto results = read_results(scratch.path() / "trial", find_results(scratch.path(), "trial"), cache);
  REQUIRE(results.size() == 2);
  CHECK(results[0]->open());
  CHECK(results[0]->member("ofa", 3)->record("score"));
  CHECK_FALSE(results[1]->open());
}

}  // namespace
