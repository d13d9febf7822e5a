#include "kit/word_counts.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <unordered_map>

#include "api/dataset.h"
#include "base/error.h"
#include "kit/unicode.h"

namespace xp {
namespace {

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Counts = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

void add(Counts& counts, std::string_view word, std::int64_t n) {
  const auto found = counts.find(word);
  if (found != counts.end()) {
    found->second += n;
  } else {
    counts.emplace(word, n);
  }
}

}  // namespace

std::size_t thread_count(std::int64_t threads) {
  return threads > 0 ? static_cast<std::size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
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
  constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
  const std::size_t crew = thread_count(threads);
  std::vector<Counts> counts(crew);
  std::vector<std::vector<std::string>> batches(1);
  std::size_t bytes = 0;
  const auto count_batches = [&] {
    run_parallel(batches.size(), threads, [&](std::size_t i) {
      for (const auto& text : batches[i]) words_of(text, [&](std::string_view word) { add(counts[i], word, 1); });
    });
    batches.assign(1, {});
    bytes = 0;
  };
  corpus.for_each([&](const Document& document) {
    if (bytes >= kBatchBytes) {
      if (batches.size() == crew) {
        count_batches();
      } else {
        batches.emplace_back();
        bytes = 0;
      }
    }
    bytes += document.text.size();
    batches.back().push_back(document.text);
  });
  count_batches();

  for (std::size_t i = 1; i < crew; ++i) {
    for (const auto& [word, n] : counts[i]) add(counts[0], word, n);
    counts[i].clear();
  }
  std::vector<WordCount> out;
  out.reserve(counts[0].size());
  for (const auto& [word, n] : counts[0]) out.push_back({word, n});
  if (out.empty()) throw Error("the corpus has no words to fit a vocabulary on", Exit::data);
  std::sort(out.begin(), out.end(), [](const WordCount& a, const WordCount& b) { return a.word < b.word; });
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
