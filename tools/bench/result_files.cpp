// Writes results of one recipe through the library, and the same numbers as CSV: what tables.py reads.
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>

#include "base/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "results/journal.h"
#include "results/run_log.h"

namespace {

using namespace xp;
namespace fs = std::filesystem;

const std::vector<std::string> kMetrics = {"retrieval.top1",     "retrieval.top10",         "similarity.spearman",
                                           "bits_per_byte.bits", "classification.accuracy", "leak_bound"};

// A stage `adapt` with a short curve and a stage `score` with final values.
std::string record(Cache& cache, const std::string& run, const std::string& stage,
                   const std::vector<double>& finals) {
  const auto digest = sha256(run + "/" + stage);
  const auto lease = cache.claim(digest);
  if (!lease) throw Error("run " + backquoted(run) + " is there already");
  {
    JournalRecorder to(lease->work() / "record.journal");
    Counters at;
    for (int i = 0; finals.empty() && i < 20; ++i) {
      at.steps = i, at.input_tokens = 4096 * i, at.bytes = 16000 * i, at.seconds = 0.5 * i;
      to.point("loss", 4.0 - 0.1 * i, at, {"nats/token", sha256("tokenizer"), "text:train", "1"});
    }
    for (std::size_t i = 0; i < finals.size(); ++i)
      to.metric(kMetrics[i], finals[i], {i == 3 ? "bits/byte" : "share", "", "multilingual:test", "1"});
    to.counters(at);
  }
  lease->commit({});
  return digest;
}

Table node(const std::string& name, double lr, std::int64_t rank) {
  Table settings{{"type", "made_up"}, {"stop", "2000 steps"}, {"optimizer", Table{{"type", "adamw"}, {"lr", lr}}}};
  settings["initializer"] = Table{{"type", "made_up"}, {"rank", rank}, {"temperature", 0.1}};
  settings["data"] = Table{{"reference", "both:train"}, {"kind", "dataset"}, {"digest", sha256("both")}};
  return {{"name", name}, {"type", "made_up"}, {"settings", std::move(settings)}};
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 4) throw Error("three arguments are wanted: the folder of results, how many, the CSV file");
  const fs::path results = arguments[1];
  const int runs = std::stoi(arguments[2]);
  std::mt19937_64 draw(1);
  std::uniform_real_distribution<double> share(0, 1);
  std::string csv = "run,arm,seed,lr,rank";
  for (const auto& metric : kMetrics) csv += "," + metric;
  csv += "\n";
  for (int i = 0; i < runs; ++i) {
    Cache cache(results);
    char run[32];
    std::snprintf(run, sizeof run, "20260101-%06d-aaaa", i);
    const double lr = (1 + i % 10) / 10000.0;
    const std::int64_t rank = std::int64_t{8} << (i / 10 % 10), seed = i / 100;
    std::vector<double> finals;
    for (std::size_t k = 0; k < kMetrics.size(); ++k) finals.push_back(share(draw));
    const auto adapt = record(cache, run, "adapt", {}), score = record(cache, run, "score", finals);
    const Table stages{{"adapt", adapt}, {"score", score}};
    const Table plan{{"name", "many"},
                     {"plan_id", sha256(run)},
                     {"summary", "a sweep"},
                     {"arms", List{Table{{"name", "ofa"}, {"label", "OFA"}}}},
                     {"members", List{Table{{"arm", "ofa"}, {"seed", seed}, {"stages", stages}}}},
                     {"nodes", Table{{adapt, node("adapt", lr, rank)}, {score, node("score", lr, rank)}}}};
    RunLog log(results, "many", run, {{"command", "xp run many.toml"}, {"recipe", "name = \"many\"\n"}}, Value(plan));
    log.stage(adapt, "done"), log.stage(score, "done");
    log.close("done", cache);
    fs::remove_all(results / "cache");
    csv += std::string(run) + ",ofa," + std::to_string(seed) + "," + number_text(lr) + "," + std::to_string(rank);
    for (const double one : finals) csv += "," + number_text(one);
    csv += "\n";
  }
  write_file(arguments[3], csv);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
