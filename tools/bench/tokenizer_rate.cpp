// usage: xp-tokenizer-rate TOKENIZER TEXTS IDS ids|offsets PASSES [THREADS]
// Encodes the texts: a JSON text a line of a file that ends in .jsonl, of another file the whole. Without THREADS on
// one thread; IDS is JSON, and stdout a JSON list of each pass's CPU seconds (encoding.py). With THREADS, IDS has of
// each text the number of its ids and the ids, 32 bits each, and stdout is {"cpu", "wall", "mib"}: seconds of each
// pass, and the largest memory of this process (tokenizer_bench.py). The ids are the first pass's; others must agree.
#include <atomic>
#include <barrier>
#include <chrono>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "kit/pipeline/directory.h"

namespace {

using Ids = std::vector<std::vector<xp::TokenId>>;

struct Call {
  std::string tokenizer, texts, target;
  bool offsets = false;
  int passes = 1, threads = 0;  ///< 0: none were given
};

struct Rates {
  std::vector<double> cpu, wall;
  double mib = 0;
};

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// getrusage() would count what the parent had when it forked.
double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  throw xp::Error("/proc/self/status has no VmHWM");
}

std::vector<std::string> read_texts(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> texts;
  if (path.ends_with(".jsonl")) {
    for (std::string line; std::getline(in, line);) texts.push_back(nlohmann::json::parse(line).get<std::string>());
  } else {
    std::ostringstream whole;
    whole << in.rdbuf();
    if (in) texts.push_back(std::move(whole).str());
  }
  if (texts.empty()) throw xp::Error(path + " has no texts", xp::Exit::data);
  return texts;
}

// Threads that live through all passes, as those of a long run do, and take texts in blocks.
class Workers {
 public:
  Workers(const xp::pipeline::Pipeline& pipeline, const std::vector<std::string>& texts, const Call& call)
      : pipeline_(pipeline), texts_(texts), offsets_(call.offsets), gate_(std::max(1, call.threads)) {
    for (int i = 1; i < call.threads; ++i)
      threads_.emplace_back([this] {
        for (gate_.arrive_and_wait(); !done_; gate_.arrive_and_wait()) work(), gate_.arrive_and_wait();
      });
  }
  ~Workers() {
    done_ = true;
    gate_.arrive_and_wait();
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  Ids pass() {
    ids_ = Ids(texts_.size());
    next_ = 0;
    gate_.arrive_and_wait();
    work();
    gate_.arrive_and_wait();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(ids_);
  }

 private:
  static constexpr std::size_t kBlock = 16;

  void work() {
    try {
      for (std::size_t at = next_.fetch_add(kBlock); at < texts_.size(); at = next_.fetch_add(kBlock))
        for (std::size_t i = at; i < std::min(at + kBlock, texts_.size()); ++i) encode(i);
    } catch (...) {
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
  }

  void encode(std::size_t i) {
    if (offsets_)
      ids_[i] = pipeline_.frame(texts_[i]).ids;
    else
      pipeline_.ids(texts_[i], ids_[i]);
  }

  const xp::pipeline::Pipeline& pipeline_;
  const std::vector<std::string>& texts_;
  bool offsets_, done_ = false;
  Ids ids_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::exception_ptr failure_;
  std::barrier<> gate_;
  std::vector<std::jthread> threads_;  // last: they are joined before what they use goes
};

void write_ids(const Call& call, const Ids& ids) {
  std::ofstream out(call.target, std::ios::binary);
  if (call.threads == 0) {
    out << nlohmann::json(ids);
  } else {
    for (const auto& row : ids) {
      const auto n = static_cast<std::uint32_t>(row.size());
      out.write(reinterpret_cast<const char*>(&n), sizeof n);
      out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size() * sizeof row[0]));
    }
  }
  if (!out.flush()) throw xp::Error("cannot write " + call.target);
}

Rates encode(const Call& call) {
  static_assert(sizeof(xp::TokenId) == 4);
  const std::vector<std::string> texts = read_texts(call.texts);
  const auto pipeline = xp::pipeline::read_pipeline_path(call.tokenizer);
  Workers workers(*pipeline, texts, call);
  Rates out;
  std::size_t first = 0;
  for (int pass = 0; pass < call.passes; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    const Ids ids = workers.pass();
    out.cpu.push_back(cpu_seconds() - cpu);
    out.wall.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    std::size_t hash = 0;
    for (const auto& row : ids)
      hash = hash * 31 + std::hash<std::string_view>{}(
                             {reinterpret_cast<const char*>(row.data()), row.size() * sizeof(xp::TokenId)});
    if (pass == 0)
      first = hash, write_ids(call, ids);
    else if (hash != first)
      throw xp::Error("pass " + std::to_string(pass) + " gave other ids than the first");
  }
  out.mib = peak_mib();
  return out;
}

int run(int n, char** words) {
  if (n != 6 && n != 7)
    throw xp::Error("usage: xp-tokenizer-rate TOKENIZER TEXTS IDS ids|offsets PASSES [THREADS]", xp::Exit::usage);
  const Call call{words[1],
                  words[2],
                  words[3],
                  std::string(words[4]) == "offsets",
                  std::stoi(words[5]),
                  n == 7 ? std::stoi(words[6]) : 0};
  const Rates rates = encode(call);
  if (call.threads == 0)
    std::cout << nlohmann::json(rates.cpu) << "\n";
  else
    std::cout << nlohmann::json{{"cpu", rates.cpu}, {"wall", rates.wall}, {"mib", rates.mib}} << "\n";
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
