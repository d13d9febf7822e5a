#pragma once
// How often each word of a corpus occurs: what every vocabulary is fitted on.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

class DataSource;

struct WordCount {
  std::string word;
  std::int64_t count = 0;
  bool operator==(const WordCount&) const = default;
};

/// Gives the words of a text, one call each; called from several threads at once.
using WordsOf = std::function<void(std::string_view text, const std::function<void(std::string_view)>& word)>;

/// Words of all documents' texts, sorted by their bytes: the same for any number of threads (0: one per core). Throws
/// Error (Exit::data) if there is not one word. Tells show_progress how many documents were read.
XP_API std::vector<WordCount> count_words(const DataSource& corpus, const WordsOf& words_of,
                                          std::int64_t threads = 0);

struct CharCount {
  char32_t c = 0;
  std::int64_t count = 0;
};

/// Characters of the words, most frequent first, equal ones by code point.
XP_API std::vector<CharCount> count_chars(const std::vector<WordCount>& words);

/// `threads` as a number: 0 is one per core, at least 1.
XP_API std::size_t thread_count(std::int64_t threads);
/// Runs work(0) ... work(n - 1) on `threads` threads; the first exception (by number) is thrown again at the end.
XP_API void run_parallel(std::size_t n, std::int64_t threads, const std::function<void(std::size_t)>& work);

/// `done` of `total` (0: not known yet) and what is being done.
using ShowProgress = std::function<void(double done, double total, std::string_view what)>;

/// While it lives, long work of this thread tells `show` how far it is. Scopes may be nested: the inner one is told.
class XP_API ProgressScope {
 public:
  explicit ProgressScope(ShowProgress show);
  ~ProgressScope();
  ProgressScope(const ProgressScope&) = delete;
  ProgressScope& operator=(const ProgressScope&) = delete;

 private:
  ShowProgress show_;
  const ShowProgress* outer_;
};

/// Tells this thread's scope, if there is one; throws what it throws, so that a run can be stopped here.
XP_API void show_progress(double done, double total, std::string_view what);

}  // namespace xp
