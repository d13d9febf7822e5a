#include "results/compare.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "base/error.h"
#include "support.h"

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;

namespace {

StageRecord everything() {
  const Scratch scratch;
  JournalRecorder to(scratch / "record.journal");
  record_everything(to);
  return read_record(scratch / "record.journal");
}

/// The only difference after a change.
RecordDifference only(const std::function<void(StageRecord&)>& change, double tolerance = 0) {
  auto changed = everything();
  change(changed);
  const auto found = differences(everything(), changed, tolerance);
  REQUIRE(found.size() == 1);
  return found.front();
}

}  // namespace

TEST_CASE("a record is like itself, and like one made at another pace on another machine", "[compare]") {
  auto other = everything();
  for (auto& [name, curve] : other.curves)
    for (auto& point : curve.points) point.at.seconds *= 3, point.at.memory += 1;
  other.counters.seconds = 1e6, other.counters.memory = 1;
  other.notes.emplace_back("resumed at step 2");
  CHECK(differences(everything(), everything()).empty());
  CHECK(differences(everything(), other).empty());
}

TEST_CASE("every number and every hash counts", "[compare]") {
  const auto batch = only([](StageRecord& r) { r.batches[1].hash ^= 1; });
  CHECK((batch.kind == "batch" && batch.step == 2));
  CHECK((batch.expected == "0000000000000002" && batch.found == "0000000000000003"));
  const auto weights = only([](StageRecord& r) { r.weights[3].hash ^= 1; });
  CHECK((weights.kind == "weights" && weights.step == 2 && weights.name == "layer/0 %"));
  const auto curve = only([](StageRecord& r) { r.curves["loss"].points[3].value = 0.5; });
  CHECK((curve.kind == "curve" && curve.name == "loss" && curve.step == 30 && curve.found == "0.5"));
  const auto final = only([](StageRecord& r) { r.finals["retrieval.top10"].value = 0.25; });
  CHECK((final.kind == "final" && final.name == "retrieval.top10" && final.expected == "0.125"));
  const auto unit = only([](StageRecord& r) { r.finals["retrieval.top10"].what.unit = "percent"; });
  CHECK((unit.kind == "final" && unit.found.find("percent") != std::string::npos));
  const auto items = only([](StageRecord& r) { r.items["pairs"].columns["correct"][7] = 0.5; });
  CHECK((items.kind == "items" && items.name == "pairs.correct[doc-7]"));
  CHECK(only([](StageRecord& r) { r.items["pairs"].ids[4] = "doc-x"; }).found == "id \"doc-x\"");
  const auto ledger = only([](StageRecord& r) { r.ledgers["mixing"].rows[0][1] = "mean"; });
  CHECK((ledger.kind == "ledger" && ledger.name == "mixing.way[0]" && ledger.found == "\"mean\""));
  const auto counter = only([](StageRecord& r) { ++r.counters.bytes; });
  CHECK((counter.kind == "counters" && counter.name == "bytes" && counter.step == -1));
  CHECK(only([](StageRecord& r) { r.curves["loss"].points[2].at.epochs = 9; }).name == "epochs");
}

TEST_CASE("what is missing or too many is a difference, fingerprints of older records are not", "[compare]") {
  CHECK(only([](StageRecord& r) { r.batches.pop_back(); }).found == "missing");
  CHECK(only([](StageRecord& r) { r.batches.erase(r.batches.begin()); }).step == 1);
  CHECK(only([](StageRecord& r) { r.weights.pop_back(); }).name == "layer/0 %");
  CHECK(only([](StageRecord& r) { r.weights.push_back({9, "new", 1}); }).step == 9);
  CHECK(only([](StageRecord& r) { r.curves["loss"].points.pop_back(); }).found == "no point");
  CHECK(only([](StageRecord& r) { r.curves.erase("loss"); }).found == "missing");
  CHECK(only([](StageRecord& r) { r.finals["new"] = {}; }).expected == "missing");
  CHECK(only([](StageRecord& r) { r.ledgers["mixing"].rows.pop_back(); }).found == "2 rows");
  auto old = everything();
  old.batches.clear(), old.weights.clear();
  CHECK(differences(old, everything()).empty());
}

TEST_CASE("the first difference comes first: earlier steps, and of one step what comes before", "[compare]") {
  auto changed = everything();
  for (auto& weight : changed.weights)
    if (weight.step > 1) weight.hash = 0;
  changed.batches[1].hash = 0, changed.batches[2].hash = 0;
  changed.curves["loss"].points[1].value = 0, changed.finals["retrieval.top10"].value = 0;
  const auto found = differences(everything(), changed);
  REQUIRE(found.size() == 4);
  CHECK((found[0].kind == "batch" && found[0].step == 2));
  CHECK((found[1].kind == "weights" && found[1].step == 2 && found[1].name == "embedding.token"));
  CHECK((found[2].kind == "curve" && found[2].step == 10));
  CHECK(found[3].kind == "final");
}

TEST_CASE("within a tolerance numbers may differ, and only hashes of data count", "[compare]") {
  auto near = everything();
  for (auto& point : near.curves["loss"].points) point.value *= 1 + 1e-6;
  for (auto& weight : near.weights) weight.hash += 1;
  near.finals["retrieval.top10"].value *= 1 - 1e-6;
  CHECK(differences(everything(), near, 1e-5).empty());
  CHECK(differences(everything(), near, 1e-7).size() == 2);
  CHECK(only([](StageRecord& r) { r.batches[0].hash = 0; }, 0.5).kind == "batch");
}

TEST_CASE("a stage comes behind those whose output its data are made of", "[compare]") {
  const auto made = digest_of("made"), data = digest_of("data"), used = digest_of("used");
  auto plan = plan_of({{"main", 0, {{"a_used", used}, {"b_made", made}}}});
  const auto reference = [](const std::string& name, const std::string& digest) {
    return Table{{"reference", name}, {"kind", "dataset"}, {"digest", digest}};
  };
  plan.as<Table>()->emplace("nodes", Table{{made, Table{{"settings", Table{}}}},
                                           {used, Table{{"settings", Table{{"data", reference("texts", data)}}}}}});
  plan.as<Table>()->emplace("datasets", Table{{data, Table{{"parts", List{reference("b_made", made)}}}}});
  const auto stages = compared_stages(plan);
  REQUIRE(stages.size() == 2);
  CHECK((stages[0].node == "b_made" && stages[1].node == "a_used"));
}

TEST_CASE("results are compared stage by stage, those that others read first", "[compare]") {
  const auto first = digest_of("first"), second = digest_of("second");
  const auto result_of = [&](const Scratch& folder, bool whole, std::int64_t points) {
    Cache cache(folder.path());
    make_entry(cache, first);
    if (whole) make_entry(cache, second, points);
    auto plan = plan_of({{"main", 0, {{"a_last", second}, {"z_first", first}}}, {"main", 1, {{"z_first", first}}}});
    const Table made{{"reference", "z_first"}, {"node", "z_first"}, {"digest", first}};
    plan.as<Table>()->emplace(
        "nodes", Table{{first, Table{{"settings", Table{}}}}, {second, Table{{"settings", Table{{"model", made}}}}}});
    RunLog log(folder.path(), "trial", "run-1", {}, plan);
    for (const auto& digest : {first, second}) log.stage(digest, "done");
    return read_result(log.close("done", cache));
  };
  const Scratch a, b, c, d;
  const auto expected = result_of(a, true, 5), same = result_of(b, true, 5), other = result_of(c, true, 6),
             part = result_of(d, false, 5);
  const auto stages = compared_stages(expected->plan());
  REQUIRE(stages.size() == 2);
  CHECK((stages[0].node == "z_first" && stages[1].node == "a_last" && stages[1].seed == 0));
  CHECK(compared_stages(expected->plan(), [](const auto& stage) { return stage.seed == 1; }).size() == 1);

  const auto alike = compare(*expected, *same, stages);
  CHECK_FALSE(alike.stage);
  CHECK((alike.same == 2 && alike.batches == 6 && alike.weights == 12));
  CHECK_THAT(to_text(alike), ContainsSubstring("identical: 2 stages (batches: 6, tensors: 12,"));

  const auto unlike = compare(*expected, *other, stages);
  REQUIRE(unlike.stage);
  CHECK((unlike.stage->node == "a_last" && unlike.same == 1));
  CHECK_THAT(to_text(unlike),
             ContainsSubstring("differs first in stage a_last of arm main, seed 0; 1 stage before it"));
  CHECK_THAT(to_text(unlike), ContainsSubstring("after step 50: expected no point, found a point"));
  CHECK(*find(to_table(unlike), "difference.stage") == Value("a_last"));

  CHECK_THAT(to_text(compare(*expected, *part, stages)), ContainsSubstring("it was not finished"));
  const auto of_part = compare(*part, *expected, stages);
  CHECK((!of_part.stage && of_part.unknown == 1 && of_part.same == 1));
}
