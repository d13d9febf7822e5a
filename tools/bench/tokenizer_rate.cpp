// usage: xp-tokenizer-rate TOKENIZER TEXTS.jsonl IDS.json ids|offsets PASSES
// Encodes the texts (a JSON text a line) on one thread, writes the ids of the first pass, and prints the CPU seconds
// of each pass as a JSON list. Called by encoding.py.
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "kit/pipeline/directory.h"

namespace {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

using Ids = std::vector<std::vector<xp::TokenId>>;

Ids encode(const xp::pipeline::Pipeline& pipeline, const std::vector<std::string>& texts, bool offsets) {
  Ids out;
  out.reserve(texts.size());
  for (const auto& text : texts) {
    auto& ids = out.emplace_back();
    if (offsets) {
      ids = pipeline.frame(text).ids;
    } else {
      pipeline.ids(text, ids);
    }
  }
  return out;
}

int run(int n, char** words) {
  if (n != 6)
    throw xp::Error("usage: xp-tokenizer-rate TOKENIZER TEXTS.jsonl IDS.json ids|offsets PASSES", xp::Exit::usage);
  const auto pipeline = xp::pipeline::read_pipeline_path(words[1]);
  std::vector<std::string> texts;
  std::ifstream in(words[2]);
  for (std::string line; std::getline(in, line);) texts.push_back(nlohmann::json::parse(line).get<std::string>());
  if (texts.empty()) throw xp::Error(std::string(words[2]) + " has no texts", xp::Exit::data);
  const bool offsets = std::string(words[4]) == "offsets";
  nlohmann::json seconds;
  for (int pass = 0; pass < std::stoi(words[5]); ++pass) {
    const double begin = cpu_seconds();
    const Ids ids = encode(*pipeline, texts, offsets);
    seconds.push_back(cpu_seconds() - begin);
    if (pass > 0) continue;
    std::ofstream out(words[3]);
    out << nlohmann::json(ids);
    if (!out.flush()) throw xp::Error("cannot write " + std::string(words[3]));
  }
  std::cout << seconds << "\n";
  return 0;
}

}  // namespace

int main(int n, char** words) {
  try {
    return run(n, words);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
