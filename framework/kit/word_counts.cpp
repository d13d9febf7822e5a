#include "kit/word_counts.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "api/dataset.h"
#include "base/error.h"
#include "kit/unicode.h"

namespace xp {
namespace {

/// Two numbers hold all bytes of words up to 16, so that hardly any two have one hash.
std::size_t hash_of(std::string_view word) {
  const auto load = [](const char* at, auto number) {
    std::memcpy(&number, at, sizeof number);
    return std::uint64_t{number};
  };
  const char* at = word.data();
  std::size_t left = word.size();
  std::uint64_t hash = left * 0x9E3779B97F4A7C15u;
  const auto mix = [&](std::uint64_t low, std::uint64_t high) {
    __extension__ using Wide = unsigned __int128;
    const auto product = static_cast<Wide>(low ^ hash ^ 0xA0761D6478BD642Fu) * (high ^ 0xE7037ED1A0B428DBu);
    hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  for (; left > 16; at += 16, left -= 16) mix(load(at, std::uint64_t{}), load(at + 8, std::uint64_t{}));
  if (left >= 8)
    mix(load(at, std::uint64_t{}), load(at + left - 8, std::uint64_t{}));
  else if (left >= 4)
    mix(load(at, std::uint32_t{}), load(at + left - 4, std::uint32_t{}));
  else if (left > 0)
    mix(load(at, std::uint8_t{}) << 8 | load(at + left / 2, std::uint8_t{}), load(at + left - 1, std::uint8_t{}));
  return hash;
}

/// Words and their counts in the order of their first occurrence. Open addressing: a slot keeps a part of the hash,
/// so that another word's bytes are hardly ever read.
class WordTable {
 public:
  void add(std::string_view word, std::int64_t n) {
    const std::size_t hash = hash_of(word);
    const auto tag = static_cast<std::uint32_t>(hash >> 32);
    if ((entries_.size() + 1) * 2 > slots_.size()) grow();
    for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.entry == kFree) {
        if (entries_.size() >= kFree) throw Error("the corpus has more than 2^32 distinct words", Exit::data);
        slot = {tag, static_cast<std::uint32_t>(entries_.size())};
        entries_.push_back({hash, bytes_.size(), static_cast<std::uint32_t>(word.size()), n});
        bytes_ += word;
        return;
      }
      if (slot.tag == tag && this->word(slot.entry) == word) {
        entries_[slot.entry].count += n;
        return;
      }
    }
  }

  std::size_t size() const { return entries_.size(); }
  std::string_view word(std::size_t i) const { return {bytes_.data() + entries_[i].begin, entries_[i].size}; }
  std::int64_t count(std::size_t i) const { return entries_[i].count; }

  void add(const WordTable& other) {
    for (std::size_t i = 0; i < other.size(); ++i) add(other.word(i), other.count(i));
  }

  /// The entries by the bytes of their words.
  std::vector<std::uint32_t> sorted() const {
    struct Place {
      std::uint64_t start;  // the first bytes of the word, which mostly decide
      std::uint32_t entry;
    };
    std::vector<Place> order(size());
    for (std::size_t i = 0; i < size(); ++i) {
      std::uint64_t start = 0;
      for (std::size_t k = 0; k < sizeof start; ++k)
        start = start << 8 | (k < word(i).size() ? static_cast<unsigned char>(word(i)[k]) : 0u);
      order[i] = {start, static_cast<std::uint32_t>(i)};
    }
    std::sort(order.begin(), order.end(), [&](const Place& a, const Place& b) {
      return a.start != b.start ? a.start < b.start : word(a.entry) < word(b.entry);
    });
    std::vector<std::uint32_t> out(size());
    for (std::size_t i = 0; i < size(); ++i) out[i] = order[i].entry;
    return out;
  }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;
  struct Slot {
    std::uint32_t tag = 0, entry = kFree;
  };
  struct Entry {
    std::size_t hash, begin;
    std::uint32_t size;
    std::int64_t count;
  };

  void grow() {
    slots_.assign(std::max<std::size_t>(1 << 12, slots_.size() * 2), {});
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
      std::size_t at = entries_[i].hash & (slots_.size() - 1);
      while (slots_[at].entry != kFree) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {static_cast<std::uint32_t>(entries_[i].hash >> 32), i};
    }
  }

  std::vector<Slot> slots_;
  std::vector<Entry> entries_;
  std::string bytes_;
};

/// Counts the words of texts on several threads: the one that reads the texts, and others that take batches from it.
class WordCounter {
 public:
  WordCounter(const WordsOf& words_of, std::size_t crew) : words_of_(words_of), tables_(crew) {
    for (std::size_t i = 1; i < crew; ++i) others_.emplace_back([this, i] { work(tables_[i]); });
  }

  ~WordCounter() { close(); }

  void add(const std::string& text) {
    batch_.texts.push_back(text);
    bytes_ += text.size();
    if (bytes_ >= kBatchBytes) hand_over();
  }

  /// All counts in one table. Throws what counting has thrown, for the earliest batch.
  WordTable& finish() {
    count(batch_, tables_[0]);
    close();
    if (failed_) std::rethrow_exception(failed_);
    for (std::size_t i = 1; i < tables_.size(); ++i) {
      tables_[0].add(tables_[i]);
      tables_[i] = {};
    }
    return tables_[0];
  }

 private:
  static constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
  struct Batch {
    std::size_t number = 0;
    std::vector<std::string> texts;
  };

  void hand_over() {
    const std::size_t number = batch_.number;
    bool mine = false;
    {
      const std::lock_guard lock(guard_);
      mine = waiting_.size() + 1 >= tables_.size();  // the others have work enough
      if (!mine) waiting_.push_back(std::move(batch_));
    }
    if (mine) {
      count(batch_, tables_[0]);
    } else {
      changed_.notify_one();
    }
    batch_ = {number + 1, {}};
    bytes_ = 0;
  }

  void work(WordTable& table) {
    for (;;) {
      std::unique_lock lock(guard_);
      changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const Batch batch = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      count(batch, table);
    }
  }

  void count(const Batch& batch, WordTable& table) {
    try {
      for (const auto& text : batch.texts) words_of_(text, [&](std::string_view word) { table.add(word, 1); });
    } catch (...) {
      const std::lock_guard lock(guard_);
      if (!failed_ || batch.number < failed_batch_) failed_ = std::current_exception(), failed_batch_ = batch.number;
    }
  }

  void close() {
    {
      const std::lock_guard lock(guard_);
      closed_ = true;
    }
    changed_.notify_all();
    others_.clear();
  }

  const WordsOf& words_of_;
  std::vector<WordTable> tables_;  // one for each thread, the first for the one that reads
  Batch batch_;
  std::size_t bytes_ = 0;
  std::mutex guard_;
  std::condition_variable changed_;
  std::deque<Batch> waiting_;
  bool closed_ = false;
  std::exception_ptr failed_;
  std::size_t failed_batch_ = 0;
  std::vector<std::jthread> others_;
};

thread_local const ShowProgress* progress_of_thread = nullptr;

}  // namespace

ProgressScope::ProgressScope(ShowProgress show) : show_(std::move(show)), outer_(progress_of_thread) {
  progress_of_thread = &show_;
}

ProgressScope::~ProgressScope() { progress_of_thread = outer_; }

void show_progress(double done, double total, std::string_view what) {
  if (progress_of_thread != nullptr && *progress_of_thread) (*progress_of_thread)(done, total, what);
}

std::size_t thread_count(std::int64_t threads) {
  if (threads > 0) return static_cast<std::size_t>(threads);
#ifdef __linux__
  // Not those of the machine: taskset, Slurm and containers give a process a part of them.
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof mine, &mine) == 0) return static_cast<std::size_t>(std::max(1, CPU_COUNT(&mine)));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

void run_parallel(std::size_t n, std::int64_t threads, const std::function<void(std::size_t)>& work) {
  const std::size_t crew = std::min(n, thread_count(threads));
  std::vector<std::exception_ptr> failed(n);
  std::atomic<std::size_t> next = 0;
  const auto run = [&] {
    for (std::size_t i = next++; i < n; i = next++) {
      try {
        work(i);
      } catch (...) {
        failed[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < crew; ++i) others.emplace_back(run);
    run();
  }
  for (const auto& one : failed)
    if (one) std::rethrow_exception(one);
}

std::vector<WordCount> count_words(const DataSource& corpus, const WordsOf& words_of, std::int64_t threads) {
  constexpr std::size_t kTellEvery = 256;
  WordCounter counter(words_of, thread_count(threads));
  std::size_t read = 0;
  corpus.for_each([&](const Document& document) {
    counter.add(document.text);
    if (++read % kTellEvery == 0) show_progress(0, 0, "counting words, " + std::to_string(read) + " documents read");
  });
  const WordTable& words = counter.finish();
  if (words.size() == 0)
    throw Error(read == 0 ? "the corpus has no documents to fit a vocabulary on"
                          : "none of the corpus' " + std::to_string(read) +
                                " documents has a word to fit a vocabulary on: all texts are empty or white space",
                Exit::data);
  std::vector<WordCount> out;
  out.reserve(words.size());
  for (const std::uint32_t i : words.sorted()) out.push_back({std::string(words.word(i)), words.count(i)});
  return out;
}

std::vector<CharCount> count_chars(const std::vector<WordCount>& words) {
  std::unordered_map<char32_t, std::int64_t> counts;
  for (const auto& [word, n] : words)
    for (std::size_t at = 0; at < word.size();) counts[next_char(word, at)] += n;
  std::vector<CharCount> out;
  for (const auto& [c, n] : counts) out.push_back({c, n});
  std::sort(out.begin(), out.end(), [](const CharCount& a, const CharCount& b) {
    return a.count != b.count ? a.count > b.count : a.c < b.c;
  });
  return out;
}

}  // namespace xp
