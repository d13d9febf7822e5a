#pragma once
// Ids alone, for files whose steps have a known shape: words are found in the given bytes by an automaton and looked
// up in a cache that each thread has for itself. The same ids as the steps one by one give.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kit/pipeline/id_cache.h"
#include "kit/pipeline/model.h"

namespace xp::pipeline {

/// Immutable, used from any thread.
class FastIds {
 public:
  virtual ~FastIds();
  /// Appends the ids of a stretch of valid UTF-8 without added tokens. `at_start`: it begins the input.
  virtual void append(std::string_view text, bool at_start, IdCache& cache, std::vector<TokenId>& out) const = 0;
};

/// The steps of a file that are read already; null JSON and null pointers where a file has none.
struct FastParts {
  const Json& normalizer;
  const Json& pre_tokenizer;
  const Model& model;
  const Normalizer* normalizer_step = nullptr;
  const PreTokenizer* pre_tokenizer_step = nullptr;
};

/// Null where a step is none of those known by heart. The parts must outlive it.
std::unique_ptr<const FastIds> make_fast_ids(const FastParts& parts);
std::unique_ptr<const FastIds> make_fast_byte_level(const FastParts& parts);
std::unique_ptr<const FastIds> make_fast_bert(const FastParts& parts);
std::unique_ptr<const FastIds> make_fast_joint(const FastParts& parts);
std::unique_ptr<const FastIds> make_fast_metaspace(const FastParts& parts);

/// Whether a step of the file has this type.
bool is_step(const Json& step, const char* type);
/// The text at a key of what may be an object; empty if there is none, or something else.
std::string text_in(const Json& step, const char* key);
/// Appends the ids of the model's pieces of one word.
void append_ids(const Model& model, std::string_view word, std::vector<TokenId>& ids);

/// Ids on their way into a vector, in steps that need no zeroing of what is not used.
class IdSink {
 public:
  explicit IdSink(std::vector<TokenId>& out) : out_(out) {}
  ~IdSink() { flush(); }
  IdSink(const IdSink&) = delete;
  IdSink& operator=(const IdSink&) = delete;

  /// Room for `n` ids, at most 512.
  TokenId* room(std::size_t n = IdCache::kInline) {
    if (to_ + n > buffer_ + kSize) flush();
    return to_;
  }
  void took(std::size_t n) { to_ += n; }
  void append(const TokenId* ids, std::size_t n) {
    if (n > kSize / 2) return flush(), void(out_.insert(out_.end(), ids, ids + n));
    std::copy_n(ids, n, room(n));
    took(n);
  }

 private:
  static constexpr std::size_t kSize = 1024;
  void flush() { out_.insert(out_.end(), buffer_, to_), to_ = buffer_; }

  std::vector<TokenId>& out_;
  TokenId buffer_[kSize];
  TokenId* to_ = buffer_;
};

/// Looks words up in the order given, some time after they were given, so that the cache's memory is at hand by then.
/// miss(word, ids) appends the ids of a word that is not there. The text must stay until finish().
template <class Miss>
class WordQueue {
 public:
  WordQueue(IdCache& cache, IdSink& sink, Miss miss) : cache_(cache), sink_(sink), miss_(std::move(miss)) {}

  /// The word is not empty. `readable`: bytes from its beginning to the end of the text.
  void put(std::string_view word, std::size_t readable) {
    auto& next = words_[n_++];
    next = {IdCache::key_of(word.data(), word.size(), readable), word};
    cache_.expect(next.key);
    if (n_ == kSize) finish();
  }
  /// A token that need not be looked up.
  void put(TokenId id) {
    words_[n_++] = {{.low = static_cast<std::uint64_t>(id)}, {}};
    if (n_ == kSize) finish();
  }
  void finish() {
    TokenId *begin = sink_.room(kSize * IdCache::kInline), *to = begin;
    for (std::size_t i = 0; i < n_; ++i) {
      const auto& [key, word] = words_[i];
      if (word.empty()) {
        *to++ = static_cast<TokenId>(key.low);
        continue;
      }
      const int n = cache_.find(key, word, to);
      if (static_cast<unsigned>(n) <= IdCache::kInline) {
        to += n;
        continue;
      }
      sink_.took(static_cast<std::size_t>(to - begin));
      n < 0 ? make(key, word) : sink_.append(cache_.more(), static_cast<std::size_t>(n));
      begin = to = sink_.room(kSize * IdCache::kInline);
    }
    sink_.took(static_cast<std::size_t>(to - begin));
    n_ = 0;
  }

 private:
  struct Word {
    IdCache::Key key;
    std::string_view word;
  };
  static constexpr std::size_t kSize = 32;

  void make(const IdCache::Key& key, std::string_view word) {
    ids_.clear();
    miss_(word, ids_);
    cache_.keep(key, word, ids_.data(), ids_.size());
    sink_.append(ids_.data(), ids_.size());
  }

  IdCache& cache_;
  IdSink& sink_;
  Miss miss_;
  Word words_[kSize];
  std::size_t n_ = 0;
  std::vector<TokenId> ids_;
};

}  // namespace xp::pipeline
