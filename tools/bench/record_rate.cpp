// Records points of several curves into a stage's journal and prints what one took: what records.py calls.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "results/journal.h"

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  if (argc != 3) return std::fprintf(stderr, "usage: xp-record-rate STEPS METRICS\n"), 2;
  const auto steps = std::atoll(argv[1]), metrics = std::atoll(argv[2]);
  std::vector<std::string> names;
  for (long long i = 0; i < metrics; ++i) names.push_back("train.m" + std::to_string(i));
  const auto folder = xp::make_scratch(std::filesystem::temp_directory_path(), "xp-record-rate-");
  double seconds = 0;
  {
    xp::JournalRecorder out(folder / "record.journal");
    xp::Counters at;
    const auto begin = Clock::now();
    for (long long step = 0; step < steps; ++step) {
      at.steps = step;
      for (const auto& name : names) out.point(name, static_cast<double>(step) * 0.5, at, {});
    }
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  const auto bytes = std::filesystem::file_size(folder / "record.journal");
  std::filesystem::remove_all(folder);
  std::printf("{\"us_per_metric\": %.4f, \"bytes_per_metric\": %.1f}\n",
              1e6 * seconds / static_cast<double>(steps * metrics),
              static_cast<double>(bytes) / static_cast<double>(steps * metrics));
  return 0;
}
