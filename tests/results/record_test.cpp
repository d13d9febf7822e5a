#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "base/error.h"
#include "results/journal.h"
#include "support.h"

using namespace xp;
using namespace xp::test;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<double> values(const StageRecord& record, const std::string& curve) {
  std::vector<double> out;
  if (const auto found = record.curves.find(curve); found != record.curves.end())
    for (const auto& point : found->second.points) out.push_back(point.value);
  return out;
}

}  // namespace

TEST_CASE("a record holds every kind of entry", "[record]") {
  const Scratch scratch;
  const auto file = scratch / "record.journal";
  {
    JournalRecorder to(file);
    record_everything(to);
  }
  const auto record = read_record(file, true);
  REQUIRE(record.curves.size() == 2);
  const auto& loss = record.curves.at("loss");
  CHECK(loss.what == MetricSignature{"nats/token", "abcd", "text:train", "1"});
  REQUIRE(loss.points.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(same(loss.points[i].value, 1.0 / static_cast<double>(i + 3)));
    CHECK(same(loss.points[i].at, counters_at(static_cast<std::int64_t>(i) * 10)));
  }
  CHECK(record.curves.at("bits/byte.of %all").what == MetricSignature{"bits/byte", "", "text:dev", "2"});
  CHECK(record.finals.at("retrieval.top10").value == 0.125);
  CHECK(record.finals.at("retrieval.top10").what == MetricSignature{"share", "", "pairs:test", "1"});
  CHECK(std::isinf(record.finals.at("leak_bound[1x32]").value));
  const auto& pairs = record.items.at("pairs");
  REQUIRE(pairs.ids.size() == 30);
  CHECK(pairs.ids[29] == "doc-29");
  CHECK(pairs.columns.at("correct")[3] == 1);
  CHECK(pairs.columns.at("id")[3] == 3 * 0.1);
  CHECK(std::isnan(pairs.columns.at("id")[29]));
  const auto& mixing = record.ledgers.at("mixing");
  CHECK(mixing.columns == std::vector<std::string>{"token", "way", "id"});
  REQUIRE(mixing.rows.size() == 3);
  CHECK(mixing.rows[1] == std::vector<std::string>{std::string("a\0b\0", 4), "mean % of pieces", ""});
  CHECK(same(record.counters, counters_at(50)));
  CHECK(record.notes == std::vector<std::string>{"the first note", "zweite Zeile: \xC3\xA4"});
  REQUIRE((record.batches.size() == 3 && record.weights.size() == 6));
  CHECK(record.batches[2] == BatchFingerprint{4, 4});
  CHECK(record.batches[0] == BatchFingerprint{1, 0x8000000000000001ull});
  CHECK(record.weights[3] == WeightFingerprint{2, "layer/0 %", ~2ull});
}

TEST_CASE("a stop before the first step keeps what was measured there", "[record]") {
  const Scratch scratch;
  const auto file = scratch / "record.journal";
  {
    JournalRecorder to(file);
    to.rewind(-1);
    to.weight_fingerprint(0, "w", 7);
    to.point("dev", 3, counters_at(0), {});
    to.mark(0);
  }
  JournalRecorder to(file);
  to.rewind(0);
  to.batch_fingerprint(1, 5);
  const auto record = read_record(file);
  CHECK(values(record, "dev") == std::vector<double>{3});
  CHECK(record.weights == std::vector<WeightFingerprint>{{0, "w", 7}});
  CHECK(record.batches == std::vector<BatchFingerprint>{{1, 5}});
}

TEST_CASE("after a rewind to a mark everything recorded since is void", "[record]") {
  const Scratch scratch;
  const auto file = scratch / "record.journal", once = scratch / "once.journal";
  const auto train = [](JournalRecorder& to, std::int64_t from, std::int64_t until) {
    for (auto step = from; step < until; ++step) {
      to.point("loss", static_cast<double>(step), counters_at(step), {});
      to.ledger("steps", {"step"}, {std::to_string(step)});
      to.note("step " + std::to_string(step));
      to.batch_fingerprint(step, static_cast<std::uint64_t>(step) * 3);
      for (const char* tensor : {"b", "a"}) to.weight_fingerprint(step, tensor, static_cast<std::uint64_t>(step));
      to.item("seen", std::to_string(step), "value", static_cast<double>(step));
      if (step % 4 == 3) to.mark(step);
    }
  };
  {
    JournalRecorder to(file);
    train(to, 0, 11);
  }
  {
    JournalRecorder to(file);
    to.rewind(7);
    train(to, 8, 14);
  }
  {
    JournalRecorder to(file);
    to.rewind(3);
    train(to, 4, 20);
    to.counters(counters_at(20));
  }
  {
    JournalRecorder to(once);
    train(to, 0, 20);
    to.counters(counters_at(20));
  }
  CHECK(difference(read_record(file), read_record(once)) == "");
}

TEST_CASE("without a mark a rewind goes by steps", "[record]") {
  const Scratch scratch;
  const auto file = scratch / "record.journal";
  {
    JournalRecorder to(file);
    for (std::int64_t step : {0, 10, 20, 30}) {
      to.batch_fingerprint(step, 1);
      to.point("loss", static_cast<double>(step), counters_at(step), {});
    }
    to.metric("late", 1, {});
    to.note("late");
  }
  SECTION("to a step: later entries are void, the step measured again counts once") {
    JournalRecorder to(file);
    to.rewind(20);
    to.batch_fingerprint(20, 2);
    to.point("loss", 21, counters_at(20), {});
    to.point("loss", 31, counters_at(30), {});
    const auto record = read_record(file);
    CHECK(values(record, "loss") == std::vector<double>{0, 10, 21, 31});
    CHECK(record.batches == std::vector<BatchFingerprint>{{0, 1}, {10, 1}, {20, 2}});
    CHECK(record.finals.empty());
    CHECK(record.notes.empty());
  }
  SECTION("to the start: everything is void") {
    JournalRecorder to(file);
    to.rewind(-1);
    to.point("loss", 1, counters_at(0), {});
    CHECK(values(read_record(file), "loss") == std::vector<double>{1});
  }
}

TEST_CASE("a stage that runs again from its start counts once", "[record]") {
  const Scratch scratch;
  const auto file = scratch / "record.journal";
  const auto prepare = [](JournalRecorder& to) {
    to.note("prepared");
    to.ledger("plan", {"token"}, {"a"});
    to.metric("share", 0.5, {});
  };
  const auto train = [](JournalRecorder& to, std::int64_t from, std::int64_t until) {
    to.rewind(from > 0 ? from : -1);
    for (auto step = from + 1; step <= until; ++step) {
      to.point("loss", static_cast<double>(step), counters_at(step), {});
      to.note("step " + std::to_string(step));
      if (step % 5 == 0) to.mark(step);
    }
  };
  for (int session = 0; session < 3; ++session) {  // killed before training
    JournalRecorder to(file);
    prepare(to);
  }
  CHECK(read_record(file).notes == std::vector<std::string>{"prepared"});
  CHECK(read_record(file).ledgers.at("plan").rows.size() == 1);
  {
    JournalRecorder to(file);
    prepare(to);
    train(to, 0, 7);
  }
  {
    JournalRecorder to(file);  // killed before it came to the training
    prepare(to);
  }
  {
    JournalRecorder to(file);
    prepare(to);
    train(to, 5, 8);
    to.metric("share", 0.75, {});
  }
  const auto record = read_record(file);
  CHECK(values(record, "loss") == std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(record.notes.size() == 9);
  CHECK(record.ledgers.at("plan").rows.size() == 1);
  CHECK(record.finals.at("share").value == 0.75);
  {
    JournalRecorder to(file);  // the training state is gone
    prepare(to);
    train(to, 0, 2);
  }
  CHECK(values(read_record(file), "loss") == std::vector<double>{1, 2});
  CHECK(read_record(file).notes.size() == 3);
}

TEST_CASE("later finals and item values win, points are sorted by step", "[record]") {
  const Scratch scratch;
  JournalRecorder to(scratch / "record.journal");
  to.metric("accuracy", 0.1, {"share", "", "", ""});
  to.metric("accuracy", 0.2, {"share", "", "", "2"});
  to.item("t", "a", "x", 1);
  to.item("t", "b", "y", 2);
  to.item("t", "a", "x", 3);
  for (std::int64_t step : {5, 1, 3, 3}) to.point("c", static_cast<double>(step * 10), counters_at(step), {});
  const auto record = read_record(scratch / "record.journal");
  CHECK(record.finals.at("accuracy").value == 0.2);
  CHECK(record.finals.at("accuracy").what.version == "2");
  CHECK(record.items.at("t").ids == std::vector<std::string>{"a", "b"});
  CHECK(record.items.at("t").columns.at("x")[0] == 3);
  CHECK(std::isnan(record.items.at("t").columns.at("y")[0]));
  CHECK(values(record, "c") == std::vector<double>{10, 30, 30, 50});
}

TEST_CASE("a recorder refuses what no table could show", "[record]") {
  const Scratch scratch;
  JournalRecorder to(scratch / "record.journal");
  to.point("loss", 1, {}, {"nats/token", "a", "", ""});
  CHECK_THROWS_WITH(to.point("loss", 1, {}, {"bits/byte", "", "", ""}),
                    ContainsSubstring("curve `loss`") && ContainsSubstring("nats/token"));
  to.ledger("l", {"a", "b"}, {"1", "2"});
  CHECK_THROWS_WITH(to.ledger("l", {"a", "c"}, {"1", "2"}), ContainsSubstring("has the columns `a` and `b`"));
  CHECK_THROWS_WITH(to.ledger("l", {"a", "b"}, {"1"}), ContainsSubstring("1 cell for 2 columns"));
  CHECK_THROWS_WITH(to.ledger("m", {"a", "a"}, {"1", "2"}), ContainsSubstring("`a` twice"));
}

TEST_CASE("a damaged record is an error that names the file", "[record]") {
  const Scratch scratch;
  const auto file = scratch / "record.journal";
  {
    JournalRecorder to(file);
    record_everything(to);
  }
  auto bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 1;
  write_file(file, bytes);
  CHECK_THROWS_WITH(read_record(file, true), ContainsSubstring(file.string()) && ContainsSubstring("damaged"));
  CHECK_NOTHROW(read_record(file));
  {
    JournalWriter out(scratch / "other.journal");
    out.append(1, std::string("\1\0\0\0", 4));
    out.append(5, std::string(8, '\x7F'));
  }
  CHECK_THROWS_AS(read_record(scratch / "other.journal"), Error);
}
