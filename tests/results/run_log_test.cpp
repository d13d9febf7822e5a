#include "results/run_log.h"

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

const std::string kFit = digest_of("fit"), kOne = digest_of("one"), kTwo = digest_of("two");

Value two_arms() {
  return plan_of({{"ofa", 0, {{"fit", kFit}, {"tuned[duplicates]", kOne}}},
                  {"separate[0]", -3, {{"fit", kFit}, {"tuned[duplicates]", kTwo}}}});
}

Attributes some_attributes() {
  return {{"command", "xp run trial.toml"},
          {"recipe", "name = \"trial\"\n"},
          {"recipe_files", "[{\"path\": \"trial.toml\"}]"},
          {"libraries", std::string(200000, 'l')}};
}

// A run of two arms that share a stage, folded.
fs::path closed_run(const fs::path& results, const std::string& id = new_run_id()) {
  Cache cache(results);
  for (const auto& digest : {kFit, kOne, kTwo})
    if (!cache.find(digest)) make_entry(cache, digest, digest == kFit ? 3000 : 4);
  RunLog run(results, "trial", id, some_attributes(), two_arms());
  run.stage(kFit, "started");
  run.stage(kFit, "done");
  run.stage(kOne, "cached");
  run.stage(kTwo, "done");
  run.log_line("all is well");
  return run.close("done", cache);
}

StageRecord whole_record(const Cache& cache, const std::string& digest) { return cache.record(*cache.find(digest)); }

// Records of a file come without what tables and claims do not look at.
StageRecord without_ledgers(const Cache& cache, const std::string& digest) {
  auto record = whole_record(cache, digest);
  record.ledgers.clear(), record.batches.clear(), record.weights.clear();
  return record;
}

/// A record with the points of all its curves, each asked for by its name.
StageRecord with_points(const RecordSource& member, const std::string& node) {
  auto out = *member.record(node);
  for (auto& [name, curve] : out.curves) curve = *member.curve(node, name);
  return out;
}

}  // namespace

TEST_CASE("run ids sort by time and differ", "[run]") {
  const auto one = new_run_id(), two = new_run_id();
  CHECK(one.size() == std::string("20261125-215903-a1b2").size());
  CHECK(one[8] == '-');
  CHECK(one[15] == '-');
  CHECK(one.substr(0, 15) <= two.substr(0, 15));
  CHECK(one != two);
}

TEST_CASE("a closed run reads back as it was written", "[run]") {
  const Scratch scratch;
  const auto file = closed_run(scratch.path(), "20261125-215903-a1b2");
  CHECK(file == scratch / "trial" / "20261125-215903-a1b2.h5");
  CHECK(!fs::exists(scratch / "trial" / "20261125-215903-a1b2.journal"));
  const auto result = read_result(file);
  CHECK(!result->open());
  CHECK(!result->alive());
  CHECK(to_json(result->plan()) == to_json(two_arms()));
  for (const auto& [key, value] : some_attributes()) CHECK(result->attributes().at(key) == value);
  CHECK(result->attributes().at("status") == "done");
  CHECK(result->attributes().at("run") == "20261125-215903-a1b2");
  CHECK(result->attributes().contains("ended"));
  REQUIRE(result->log().size() == 1);
  CHECK_THAT(result->log()[0], ContainsSubstring("all is well"));
  const Cache cache(scratch.path());
  for (const auto& [arm, seed, digest] : {std::tuple("ofa", 0, kOne), std::tuple("separate[0]", -3, kTwo)}) {
    const auto* member = result->member(arm, seed);
    REQUIRE(member);
    CHECK(member->nodes() == std::vector<std::string>{"fit", "tuned[duplicates]"});
    CHECK(difference(with_points(*member, "fit"), without_ledgers(cache, kFit)) == "");
    CHECK(difference(with_points(*member, "tuned[duplicates]"), without_ledgers(cache, digest)) == "");
    CHECK(difference(result->whole(arm, seed, "fit").value(), whole_record(cache, kFit)) == "");
    CHECK(difference(result->whole(arm, seed, "tuned[duplicates]").value(), whole_record(cache, digest)) == "");
    CHECK_FALSE(result->whole(arm, seed, "other"));
    CHECK_FALSE(result->whole(arm, 7, "fit"));
    CHECK(member->record("other") == nullptr);
    CHECK(member->curve("other", "loss") == nullptr);
    CHECK(member->curve("fit", "other") == nullptr);
  }
  CHECK(result->member("ofa", 1) == nullptr);
  CHECK(result->member("other", 0) == nullptr);
  for (const auto& stage : result->stages()) CHECK(stage.complete);
}

TEST_CASE("records stand once in a file and under every member that used them", "[run]") {
  const Scratch scratch;
  const Hdf5Reader file(closed_run(scratch.path()));
  const auto address = file.address("/records/" + kFit);
  CHECK(file.address("/ofa/0/fit") == address);
  CHECK(file.address("/separate[0]/-3/fit") == address);
  CHECK(file.address("/ofa/0/tuned[duplicates]") != address);
  CHECK(file.reals("/ofa/0/fit/curves/loss/value").size() == 3000);
  CHECK(file.integers("/ofa/0/fit/curves/loss/input_tokens")[2] == counters_at(20).input_tokens);
  CHECK(file.text_attributes("/ofa/0/fit/curves/loss").at("unit") == "nats/token");
}

TEST_CASE("ledgers stand in the file column by column", "[run]") {
  const Scratch scratch;
  const Hdf5Reader file(closed_run(scratch.path()));
  const auto record = Cache(scratch.path()).record(*Cache(scratch.path()).find(kFit));
  const auto& ledger = record.ledgers.at("mixing");
  REQUIRE(!ledger.rows.empty());
  for (std::size_t c = 0; c < ledger.columns.size(); ++c) {
    const auto column = "/records/" + kFit + "/ledger/mixing/" + hdf5_name(ledger.columns[c]);
    const auto cells = file.texts(column);
    REQUIRE(cells.size() == ledger.rows.size());
    for (std::size_t r = 0; r < cells.size(); ++r) CHECK(cells[r] == ledger.rows[r][c]);
    CHECK(file.integer_attribute(column, "position") == static_cast<std::int64_t>(c));
  }
}

TEST_CASE("result files deleted, cache kept: the same records come back", "[run]") {
  const Scratch scratch;
  const auto first = closed_run(scratch.path());
  const auto before = read_result(first);
  fs::copy_file(first, scratch / "kept.h5");
  fs::remove_all(scratch / "trial");
  const auto after = read_result(closed_run(scratch.path()));
  const auto kept = read_result(scratch / "kept.h5");
  for (const auto& [arm, seed] : {std::pair("ofa", 0), std::pair("separate[0]", -3)})
    for (const auto& node : {"fit", "tuned[duplicates]"})
      CHECK(difference(*kept->member(arm, seed)->record(node), *after->member(arm, seed)->record(node)) == "");
}
