// How long a training state holds up training, beside torch::save with fsync of the same tensors, and how long it
// takes to have them again. Interleaved rounds, medians, one line of JSON.
#include <torch/serialize.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "engine/tensor_memory.h"
#include "engine/training_state.h"

namespace {

namespace fs = std::filesystem;

double milliseconds(const std::function<void()>& act) {
  const auto begin = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Weights and two moments of each, in tensors of 16 MiB, as of a model of some hundred million numbers.
std::vector<at::Tensor> tensors_of(long long mebibytes) {
  std::vector<at::Tensor> out;
  for (long long i = 0; i < std::max(1LL, mebibytes / 16); ++i) out.push_back(at::randn({4 << 20}));
  return out;
}

xp::State state_of(const std::vector<at::Tensor>& tensors) {
  xp::State out;
  xp::TrainingState().save(out);
  for (std::size_t i = 0; i < tensors.size(); ++i) out.child("weights").set(std::to_string(i), tensors[i]);
  return out;
}

int measure(long long mebibytes, int rounds, const fs::path& folder) {
  xp::keep_tensor_memory();  // as every run does
  const auto tensors = tensors_of(mebibytes);
  std::vector<double> ours, peers, map, load, ratios;
  xp::StateWriter writer(folder / "work", [] {});
  writer.write(0, state_of(tensors));  // as in training, memory of an earlier copy is at hand from then on
  writer.finish();
  for (int round = 1; round <= rounds; ++round) {
    ours.push_back(milliseconds([&] { writer.write(round, state_of(tensors)); }));
    writer.finish();
    peers.push_back(milliseconds([&] {
      torch::save(tensors, (folder / "peer.pt").string());
      xp::sync_path(folder / "peer.pt");
    }));
    ratios.push_back(ours.back() / peers.back());
    map.push_back(milliseconds([&] {
      if (!xp::read_training_state(folder / "work")) throw xp::Error("the training state is not there");
    }));
    load.push_back(milliseconds([&] {
      std::vector<at::Tensor> back;
      torch::load(back, (folder / "peer.pt").string());
    }));
  }
  std::printf(
      "{\"mib\": %lld, \"rounds\": %d, \"stall_ms\": %.2f, \"torch_save_ms\": %.2f, \"stall_ratio\": %.4f, "
      "\"map_ms\": %.3f, \"torch_load_ms\": %.2f}\n",
      mebibytes, rounds, median(ours), median(peers), median(ratios), median(map), median(load));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: xp-checkpoint-stall MIB ROUNDS FOLDER\n"), 2;
  const auto folder = xp::make_scratch(argv[3], "xp-checkpoint-stall-");
  const int code = measure(std::atoll(argv[1]), std::atoi(argv[2]), folder);
  fs::remove_all(folder);
  return code;
}
