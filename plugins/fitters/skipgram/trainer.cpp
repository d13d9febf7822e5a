#include "trainer.h"

#include <algorithm>
#include <cmath>
#include <thread>

namespace xp::skipgram {
namespace {

constexpr std::size_t kBlocks = 8;

/// Words of a block, of a text of `tokens` words. No threads count: the size decides what a word sees of the others,
/// so little text is cut finer.
std::size_t block_words(std::int64_t tokens) {
  return static_cast<std::size_t>(std::clamp<std::int64_t>(tokens / 1600, 16, 256));
}

XP_WIDE void add(float* to, const float* from, float scale, std::size_t n) { add_scaled(to, from, scale, n); }

void prefetch(const float* row, std::size_t n) {
  for (std::size_t d = 0; d < n; d += 16) __builtin_prefetch(row + d, 1);
}

}  // namespace

struct Trainer::Worker {
  Worker(const Trainer& of, std::size_t number, std::size_t workers)
      : number(number), workers(workers), planner(of.p_, of.corpus_), steps(of.p_, of.width_) {}
  std::size_t number, workers;
  Planner planner;
  Steps steps;
};

void Trainer::Load::add(float pairs) { all += pairs, most = std::max(most, pairs), movers += 1; }

Trainer::Trainer(const Settings& settings, const Corpus& corpus, const RandomStreams& random)
    : p_(settings),
      corpus_(corpus),
      random_(random),
      width_(padded(static_cast<std::size_t>(settings.dim))),
      blocks_(kBlocks),
      places_(corpus.words.size(), -1),
      output_loads_(corpus.words.size()),
      part_loads_(corpus.rows),
      barrier_(settings.threads) {
  cut(), start();
}

void Trainer::cut() {
  const auto most = block_words(corpus_.tokens);
  std::size_t before = 0, in_block = 0;
  std::vector<std::size_t> done;
  for (std::size_t t = 0; t < corpus_.texts.size(); ++t) {
    const auto size = corpus_.texts[t].words.size();
    for (std::size_t begin = 0; begin < size; begin += most) {
      const auto end = std::min(size, begin + most);
      if (ranges_.empty() || in_block + (end - begin) > most)
        ranges_.push_back({pieces_.size(), pieces_.size()}), done.push_back(before), in_block = 0;
      pieces_.push_back(
          {static_cast<std::int32_t>(t), static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)});
      ranges_.back().end = pieces_.size();
      before += end - begin, in_block += end - begin;
    }
  }
  for (const auto words : done) done_.push_back(static_cast<double>(words) / static_cast<double>(before));
}

void Trainer::start() {
  const auto dim = static_cast<std::size_t>(p_.dim);
  input_.assign(corpus_.rows * width_, 0), output_.assign(corpus_.words.size() * width_, 0);
  auto stream = random_.child("start").stream();
  for (std::size_t r = 0; r < corpus_.rows; ++r)
    for (std::size_t d = 0; d < dim; ++d)
      input_[r * width_ + d] = static_cast<float>((2 * stream.uniform() - 1) / static_cast<double>(p_.dim));
}

void Trainer::run() {
  const auto workers = static_cast<std::size_t>(p_.threads);
  {
    std::vector<std::jthread> pool;
    for (std::size_t w = 1; w < workers; ++w) pool.emplace_back([this, w, workers] { work(w, workers); });
    work(0, workers);
  }
  if (error_) std::rethrow_exception(error_);
}

void Trainer::work(std::size_t number, std::size_t workers) {
  std::unique_ptr<Worker> worker;
  bool well = together([&] { worker = std::make_unique<Worker>(*this, number, workers); });
  for (std::int64_t epoch = 0; well && epoch < p_.epochs; ++epoch)
    for (std::size_t first = 0; well && first < ranges_.size(); first += kBlocks) well = round(*worker, epoch, first);
  if (!well) barrier_.arrive_and_drop();  // others may still wait where this one has seen the failure early
}

bool Trainer::together(const std::function<void()>& part) {
  try {
    part();
  } catch (...) {
    const std::scoped_lock held(lock_);
    error_ = std::current_exception(), failed_ = true;
  }
  barrier_.arrive_and_wait();
  return !failed_;
}

bool Trainer::round(Worker& worker, std::int64_t epoch, std::size_t first) {
  const auto used = std::min(kBlocks, ranges_.size() - first);
  const auto each = [&](std::size_t n, const auto& visit) {
    for (std::size_t i = worker.number; i < n; i += worker.workers) visit(i);
  };
  // Columns instead of rows: every sum keeps its order and no two threads meet in a number.
  const auto lanes = width_ / kLanes;
  const Range columns{lanes * worker.number / worker.workers * kLanes,
                      lanes * (worker.number + 1) / worker.workers * kLanes};
  return together([&] { each(used, [&](std::size_t b) { plan(worker, epoch, first + b, blocks_[b]); }); }) &&
         together([&] {
           if (worker.number == 0) join(used), weigh();
         }) &&
         together([&] { each(words_.size(), [&](std::size_t r) { gather(r); }); }) &&
         together([&] { each(used, [&](std::size_t b) { train(worker, blocks_[b]); }); }) &&
         together([&] { merge(columns); });
}

void Trainer::plan(Worker& worker, std::int64_t epoch, std::size_t number, Block& block) {
  block.clear();
  const double done = (static_cast<double>(epoch) + done_[number]) / static_cast<double>(p_.epochs);
  block.rate = static_cast<float>(p_.lr * std::max(1e-4, 1 - done));
  for (auto at = ranges_[number].begin; at < ranges_[number].end; ++at)
    worker.planner.add(block, pieces_[at], random_.child("text").stream(epoch, at));
  worker.planner.finish(block, random_.child("negatives").stream(epoch, number));
}

void Trainer::join(std::size_t used) {
  used_ = used;
  for (const auto word : words_) places_[static_cast<std::size_t>(word)] = -1;
  words_.clear();
  for (std::size_t b = 0; b < used_; ++b) {
    auto& block = blocks_[b];
    block.places.clear();
    for (const auto word : block.words) {
      auto& place = places_[static_cast<std::size_t>(word)];
      if (place < 0) place = static_cast<std::int32_t>(words_.size()), words_.push_back(word);
      block.places.push_back(place);
    }
  }
  hidden_.resize(words_.size() * width_), moved_.resize(words_.size() * width_);
}

void Trainer::weigh() {
  word_loads_.assign(words_.size(), {});
  for (std::size_t b = 0; b < used_; ++b)
    for (const auto word : blocks_[b].outputs) output_loads_[static_cast<std::size_t>(word)] = {};
  for (std::size_t b = 0; b < used_; ++b) {
    const auto& block = blocks_[b];
    for (std::size_t i = 0; i < block.words.size(); ++i)
      word_loads_[static_cast<std::size_t>(block.places[i])].add(block.word_pairs[i]);
    for (std::size_t i = 0; i < block.outputs.size(); ++i)
      output_loads_[static_cast<std::size_t>(block.outputs[i])].add(block.output_pairs[i]);
  }
  const auto parts = [&](std::size_t r) -> auto& { return corpus_.parts[static_cast<std::size_t>(words_[r])]; };
  for (std::size_t r = 0; r < words_.size(); ++r)
    for (const auto part : parts(r)) part_loads_[static_cast<std::size_t>(part)] = {};
  for (std::size_t r = 0; r < words_.size(); ++r)  // a part is one of several in a word, and moves it by its share
    for (const auto part : parts(r))
      part_loads_[static_cast<std::size_t>(part)].add(word_loads_[r].all / static_cast<float>(parts(r).size()));
}

void Trainer::gather(std::size_t place) {
  const auto& parts = corpus_.parts[static_cast<std::size_t>(words_[place])];
  const auto row = [&](std::size_t p) { return input_.data() + static_cast<std::size_t>(parts[p]) * width_; };
  float* to = hidden_.data() + place * width_;
  std::fill(to, to + width_, 0.0F), std::fill_n(moved_.data() + place * width_, width_, 0.0F);
  const float share = 1.0F / static_cast<float>(parts.size());
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (p + 2 < parts.size()) prefetch(row(p + 2), width_);
    add(to, row(p), share, width_);
  }
}

void Trainer::train(Worker& worker, Block& block) {
  block.hidden.resize(block.words.size() * width_), block.output.resize(block.outputs.size() * width_);
  const auto hidden = [&](std::size_t i) {
    return hidden_.data() + static_cast<std::size_t>(block.places[i]) * width_;
  };
  const auto output = [&](std::size_t i) {
    return output_.data() + static_cast<std::size_t>(block.outputs[i]) * width_;
  };
  for (std::size_t i = 0; i < block.words.size(); ++i)
    std::copy_n(hidden(i), width_, block.hidden.data() + i * width_);
  for (std::size_t i = 0; i < block.outputs.size(); ++i)
    std::copy_n(output(i), width_, block.output.data() + i * width_);
  worker.steps.run(block);
  for (std::size_t i = 0; i < block.words.size(); ++i) add(block.hidden.data() + i * width_, hidden(i), -1, width_);
  for (std::size_t i = 0; i < block.outputs.size(); ++i) add(block.output.data() + i * width_, output(i), -1, width_);
}

/// Never less than the mean of what the movers want.
float Trainer::share(const Load& load) const {
  return std::max(1.0F / load.movers, damped(load.all - load.most, blocks_.front().rate));
}

void Trainer::merge(Range columns) {
  const auto size = columns.end - columns.begin;
  const auto add_columns = [&](std::vector<float>& to, std::int32_t at, const float* from, float scale) {
    add(to.data() + static_cast<std::size_t>(at) * width_ + columns.begin, from + columns.begin, scale, size);
  };
  for (std::size_t b = 0; b < used_; ++b) {
    const auto& block = blocks_[b];
    for (std::size_t i = 0; i < block.outputs.size(); ++i)
      add_columns(output_, block.outputs[i], block.output.data() + i * width_,
                  share(output_loads_[static_cast<std::size_t>(block.outputs[i])]));
    for (std::size_t i = 0; i < block.words.size(); ++i)
      add_columns(moved_, block.places[i], block.hidden.data() + i * width_,
                  share(word_loads_[static_cast<std::size_t>(block.places[i])]));
  }
  for (std::size_t r = 0; r < words_.size(); ++r) {
    const auto& parts = corpus_.parts[static_cast<std::size_t>(words_[r])];
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (p + 2 < parts.size())
        prefetch(input_.data() + static_cast<std::size_t>(parts[p + 2]) * width_ + columns.begin, size);
      add_columns(input_, parts[p], moved_.data() + r * width_,
                  share(part_loads_[static_cast<std::size_t>(parts[p])]));
    }
  }
}

std::vector<float> Trainer::vectors() const {
  const auto dim = static_cast<std::size_t>(p_.dim);
  std::vector<float> all, row(width_);
  all.reserve(corpus_.words.size() * dim);
  for (const auto& parts : corpus_.parts) {
    std::fill(row.begin(), row.end(), 0.0F);
    for (const auto part : parts)
      add(row.data(), input_.data() + static_cast<std::size_t>(part) * width_,
          1.0F / static_cast<float>(parts.size()), width_);
    for (std::size_t d = 0; d < dim; ++d)
      if (!std::isfinite(row[d])) throw Error("the vectors grew beyond all bounds; lower lr");
    all.insert(all.end(), row.begin(), row.begin() + static_cast<std::ptrdiff_t>(dim));
  }
  return all;
}

}  // namespace xp::skipgram
