#include "kit/word_counts.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <iterator>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "api/dataset.h"
#include "base/error.h"
#include "kit/unicode.h"

namespace xp {
namespace {

/// A word of up to 15 bytes and its length; of a longer one its length, a part of its hash, and 0xFF, which no length
/// of a short word is.
struct WordKey {
  std::uint64_t low = 0, high = 0;
};

std::uint64_t mixed(std::uint64_t low, std::uint64_t high) {
  __extension__ using Wide = unsigned __int128;
  const auto product = static_cast<Wide>(low ^ 0xA0761D6478BD642Fu) * (high ^ 0xE7037ED1A0B428DBu);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Number>
std::uint64_t load(const char* at) {
  Number out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

WordKey short_key(std::string_view word) {
  static_assert(std::endian::native == std::endian::little);
  const char *at = word.data(), *end = at + word.size();
  const std::size_t size = word.size();
  WordKey out{0, std::uint64_t{size} << 56};
  if (size > 8)
    out.low = load<std::uint64_t>(at), out.high |= load<std::uint64_t>(end - 8) >> 8 * (16 - size);
  else if (size >= 4)
    out.low = load<std::uint32_t>(at) | load<std::uint32_t>(end - 4) << 8 * (size - 4);
  else if (size > 0)
    out.low = load<std::uint8_t>(at) | load<std::uint8_t>(at + size / 2) << 8 * (size / 2) |
              load<std::uint8_t>(end - 1) << 8 * (size - 1);
  return out;
}

/// Words and their counts. Open addressing; a word of up to 15 bytes is in its slot.
class WordTable {
 public:
  void add(std::string_view word, std::int64_t n) { slot_of(key_of(word), word).count += n; }

  std::size_t size() const { return size_; }

  void add(const WordTable& other) {
    for (const Slot& slot : other.slots_)
      if (slot.count != 0) add(other.word_in(slot), slot.count);
  }

  /// All words by their bytes; the table is given up for them, since both together would be the most memory of all.
  std::vector<WordCount> sorted() && {
    std::vector<Slot> used;
    used.reserve(size_);
    std::copy_if(slots_.begin(), slots_.end(), std::back_inserter(used),
                 [](const Slot& slot) { return slot.count != 0; });
    slots_ = {};
    const auto start = [&](const Slot& slot) {  // the first bytes of the word, which mostly decide
      return __builtin_bswap64(slot.key.high >> 56 <= kInSlot ? slot.key.low
                                                              : load<std::uint64_t>(&bytes_[slot.key.low]));
    };
    std::sort(used.begin(), used.end(), [&](const Slot& a, const Slot& b) {
      const auto first = start(a), second = start(b);
      return first != second ? first < second : word_in(a) < word_in(b);
    });
    std::vector<WordCount> out;
    out.reserve(used.size());
    for (const Slot& slot : used) out.push_back({std::string(word_in(slot)), slot.count});
    return out;
  }

 private:
  static constexpr std::size_t kInSlot = 15;
  struct Slot {
    WordKey key;  ///< of a longer word, `low` is where its bytes begin
    std::int64_t count = 0;
  };

  struct Hashed {
    WordKey key;
    std::size_t hash;
  };
  static Hashed key_of(std::string_view word) {
    if (word.size() <= kInSlot) {
      const WordKey key = short_key(word);
      return {key, mixed(key.low, key.high)};
    }
    std::uint64_t hash = word.size();
    const char* const end = word.data() + word.size();
    for (const char* at = word.data(); at < end - 16; at += 16)
      hash = mixed(load<std::uint64_t>(at) ^ hash, load<std::uint64_t>(at + 8));
    hash = mixed(load<std::uint64_t>(end - 16) ^ hash, load<std::uint64_t>(end - 8));
    return {{0, std::uint64_t{0xFF} << 56 | (hash >> 40) << 32 | word.size()}, hash};
  }

  // `long_word`: empty if the key has all of the word. A slot whose count is 0 is free.
  Slot& slot_of(const Hashed& one, std::string_view long_word) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    const bool in_slot = one.key.high >> 56 <= kInSlot;
    for (std::size_t at = one.hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.count == 0) {
        ++size_;
        slot.key = one.key;
        if (!in_slot) slot.key.low = bytes_.size(), bytes_ += long_word;
        return slot;
      }
      if (slot.key.high == one.key.high && (in_slot ? slot.key.low == one.key.low : word_in(slot) == long_word))
        return slot;
    }
  }

  std::string_view word_in(const Slot& slot) const {
    const auto size = slot.key.high >> 56;
    if (size <= kInSlot) return {reinterpret_cast<const char*>(&slot.key), size};
    return {bytes_.data() + slot.key.low, slot.key.high & UINT32_MAX};
  }

  void grow() {
    auto old = std::exchange(slots_, std::vector<Slot>(std::max<std::size_t>(1 << 12, slots_.size() * 2)));
    for (const Slot& slot : old) {
      if (slot.count == 0) continue;
      std::size_t at = key_of(word_in(slot)).hash & (slots_.size() - 1);
      while (slots_[at].count != 0) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  std::string bytes_;  ///< of the words that are too long for a slot
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
  WordTable& words = counter.finish();
  if (words.size() == 0)
    throw Error(read == 0 ? "the corpus has no documents to fit a vocabulary on"
                          : "none of the corpus' " + std::to_string(read) +
                                " documents has a word to fit a vocabulary on: all texts are empty or white space",
                Exit::data);
  return std::move(words).sorted();
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
