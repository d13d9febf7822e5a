#include "engine/tensor_memory.h"

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace xp {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

torch::Tensor bytes(std::int64_t count) { return torch::empty({count}, torch::kUInt8); }

// Of this process's memory, in MiB.
std::int64_t resident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t kib = 0;
    if (words >> name >> kib && name == "VmRSS:") return kib / 1024;
  }
  return 0;
}

struct Piece {
  torch::Tensor tensor;
  std::uint8_t mark;
};

bool is_marked(const Piece& piece) {
  const auto* data = piece.tensor.data_ptr<std::uint8_t>();
  return data[0] == piece.mark &&
         std::memcmp(data, data + 1, static_cast<std::size_t>(piece.tensor.numel() - 1)) == 0;
}

TEST_CASE("tensors of drawn sizes never share memory, and begin where vectors may") {
  keep_tensor_memory();
  std::mt19937 random(7);
  std::vector<Piece> held;
  for (int turn = 0; turn < 600; ++turn) {
    if (held.size() < 12 || random() % 2 == 0) {
      const auto mark = static_cast<std::uint8_t>(random());
      held.push_back({bytes(kMiB / 2 + static_cast<std::int64_t>(random() % (5 * kMiB))), mark});
      held.back().tensor.fill_(mark);
      REQUIRE(reinterpret_cast<std::uintptr_t>(held.back().tensor.data_ptr()) % 64 == 0);
    } else {
      const auto leaving = random() % held.size();
      REQUIRE(is_marked(held[leaving]));
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(leaving));
    }
    if (held.size() > 24) held.erase(held.begin());
  }
  for (const auto& piece : held) CHECK(is_marked(piece));
}

// As a step does: what it keeps for the way back, then gradients of other sizes while that goes.
void step() {
  std::vector<torch::Tensor> kept, gradients;
  for (int layer = 0; layer < 12; ++layer)
    kept.push_back(bytes(6 * kMiB).fill_(1)), kept.push_back(bytes(4 * kMiB).fill_(1));
  while (!kept.empty()) {
    kept.pop_back();
    gradients.push_back(bytes(5 * kMiB).fill_(1));
  }
}

TEST_CASE("memory of one step serves the next, and goes back when asked") {
  keep_tensor_memory();
  return_free_memory();
  const auto before = resident();
  step();
  const auto after_one = resident();
  for (int turn = 0; turn < 10; ++turn) step();
  CHECK(after_one - before > 100);
  CHECK(resident() - after_one < 8);
  return_free_memory();
  CHECK(resident() - before < 16);
}

}  // namespace
}  // namespace xp
