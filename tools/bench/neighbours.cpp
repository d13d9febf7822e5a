// usage: xp-neighbours QUERIES.f32 KEYS.f32 DIM K THREADS OUT.i64
// Rows of DIM floats one after the other; writes the numbers of each query's K nearest keys by cosine, nearest first,
// and prints the CPU and wall seconds of the search and its peak of memory beyond its inputs. Called by
// initializers.py.
#include <sys/resource.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "kit/nearest.h"

namespace {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double peak_mib() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

std::vector<float> read(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw xp::Error(std::string("cannot read ") + path, xp::Exit::data);
  std::vector<float> out(std::filesystem::file_size(path) / sizeof(float));
  in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size() * sizeof(float)));
  if (!in) throw xp::Error(std::string("cannot read all of ") + path, xp::Exit::data);
  return out;
}

void run(int n, char** words) {
  if (n != 7) throw xp::Error("usage: xp-neighbours QUERIES.f32 KEYS.f32 DIM K THREADS OUT.i64", xp::Exit::usage);
  const auto queries = read(words[1]), keys = read(words[2]);
  const auto dim = std::stoul(words[3]);
  const double before = peak_mib(), begin = cpu_seconds();
  const auto clock = std::chrono::steady_clock::now();
  const auto found =
      xp::nearest_rows({queries.data(), queries.size() / dim, dim}, {keys.data(), keys.size() / dim, dim},
                       std::stoul(words[4]), std::stol(words[5]));
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - clock;
  const nlohmann::json seen{{"cpu", cpu_seconds() - begin}, {"wall", wall.count()}, {"mib", peak_mib() - before}};
  std::ofstream out(words[6], std::ios::binary);
  for (const auto& one : found) out.write(reinterpret_cast<const char*>(&one.row), sizeof one.row);
  if (!out.flush()) throw xp::Error(std::string("cannot write ") + words[6]);
  std::cout << seen << "\n";
}

}  // namespace

int main(int n, char** words) {
  try {
    run(n, words);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
