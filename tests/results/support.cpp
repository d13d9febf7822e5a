#include "support.h"

#include <cmath>
#include <limits>

#include "base/digest.h"

namespace xp::test {
namespace {

template <class Map>
std::string keys_differ(const char* what, const Map& a, const Map& b) {
  for (const auto& [key, value] : a)
    if (!b.contains(key)) return std::string(what) + " " + key + " is missing";
  for (const auto& [key, value] : b)
    if (!a.contains(key)) return std::string(what) + " " + key + " is too many";
  return {};
}

}  // namespace

std::string difference(const StageRecord& a, const StageRecord& b) {
  for (const auto& text : {keys_differ("curve", a.curves, b.curves), keys_differ("final", a.finals, b.finals),
                           keys_differ("items", a.items, b.items), keys_differ("ledger", a.ledgers, b.ledgers)})
    if (!text.empty()) return text;
  for (const auto& [name, curve] : a.curves) {
    const auto& other = b.curves.at(name);
    if (!(curve.what == other.what)) return "signature of curve " + name;
    if (curve.points.size() != other.points.size()) return "length of curve " + name;
    for (std::size_t i = 0; i < curve.points.size(); ++i)
      if (!same(curve.points[i].value, other.points[i].value) || !same(curve.points[i].at, other.points[i].at))
        return "point " + std::to_string(i) + " of curve " + name;
  }
  for (const auto& [name, final] : a.finals)
    if (!same(final.value, b.finals.at(name).value) || !(final.what == b.finals.at(name).what))
      return "final " + name;
  for (const auto& [name, items] : a.items) {
    const auto& other = b.items.at(name);
    if (items.ids != other.ids) return "ids of items " + name;
    if (const auto text = keys_differ("column", items.columns, other.columns); !text.empty()) return text;
    for (const auto& [column, values] : items.columns) {
      const auto& others = other.columns.at(column);
      if (values.size() != others.size()) return "length of column " + column;
      for (std::size_t i = 0; i < values.size(); ++i)
        if (!same(values[i], others[i]) && !(std::isnan(values[i]) && std::isnan(others[i])))
          return "column " + column;
    }
  }
  for (const auto& [name, ledger] : a.ledgers)
    if (ledger.columns != b.ledgers.at(name).columns || ledger.rows != b.ledgers.at(name).rows)
      return "ledger " + name;
  if (!same(a.counters, b.counters)) return "counters";
  if (a.batches != b.batches) return "fingerprints of batches";
  if (a.weights != b.weights) return "fingerprints of weights";
  if (a.notes != b.notes) return "notes";
  return {};
}

void record_everything(JournalRecorder& to, std::int64_t points) {
  const MetricSignature loss{"nats/token", "abcd", "text:train", "1"};
  for (std::int64_t i = 0; i < points; ++i) {
    to.point("loss", 1.0 / static_cast<double>(i + 3), counters_at(i * 10), loss);
    to.point("bits/byte.of %all", -0.0, counters_at(i * 10), {"bits/byte", "", "text:dev", "2"});
  }
  to.metric("retrieval.top10", 0.125, {"share", "", "pairs:test", "1"});
  to.metric("leak_bound[1x32]", std::numeric_limits<double>::infinity(), {});
  to.metric("..", std::numeric_limits<double>::quiet_NaN(), {"share", "", "", ""});
  for (int i = 0; i < 30; ++i) {
    const auto id = "doc-" + std::to_string(i);
    to.item("pairs", id, "correct", i % 2);
    if (i % 3 == 0) to.item("pairs", id, "id", i * 0.1);
  }
  const std::vector<std::string> columns = {"token", "way", "id"};
  to.ledger("mixing", columns,
            {"\xE2\x96\x81"
             "Haus",
             "copied", "17"});
  to.ledger("mixing", columns, {std::string("a\0b\0", 4), "mean % of pieces", ""});
  to.ledger("mixing", columns, {"\xFF\xFE", std::string(9000, 'x'), "/"});
  to.counters(counters_at(points * 10));
  for (std::int64_t step : {1, 2, 4}) {
    to.batch_fingerprint(step, 0x8000000000000001ull * static_cast<std::uint64_t>(step));
    for (const char* tensor : {"embedding.token", "layer/0 %"})
      to.weight_fingerprint(step, tensor, ~static_cast<std::uint64_t>(step));
  }
  to.note("the first note");
  to.note("zweite Zeile: \xC3\xA4");
}

Value plan_of(const std::vector<PlannedMember>& members) {
  List list;
  for (const auto& member : members) {
    Table stages;
    for (const auto& [node, digest] : member.stages) stages[node] = digest;
    list.push_back(Table{{"arm", member.arm}, {"seed", member.seed}, {"stages", stages}});
  }
  return Table{{"name", "trial"}, {"plan_id", "p1"}, {"summary", "a trial"}, {"members", list}};
}

std::string digest_of(const std::string& text) { return sha256(text); }

void make_entry(Cache& cache, const std::string& digest, std::int64_t points) {
  const auto lease = cache.claim(digest);
  if (!lease) throw std::runtime_error("the digest is held");
  {
    JournalRecorder to(lease->work() / kRecordFile);
    record_everything(to, points);
  }
  fs::create_directories(lease->work() / "model" / "deep");
  write_file(lease->work() / "model" / "deep" / "weights", std::string(10000, 'w'));
  CacheEntry about;
  about.stage_type = "train", about.stage_name = "adapt", about.recipe = "trial", about.seconds = 1.5;
  lease->commit(about);
}

}  // namespace xp::test
