#pragma once
// Random numbers that depend on (seed, component path, epoch, item) and on nothing else.
#include <cmath>
#include <cstdint>
#include <string_view>

namespace xp {

/// A counter-based stream: a value, copied freely. A copy continues where the original stood.
class RandomStream {
 public:
  static constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ull;

  explicit RandomStream(std::uint64_t key) : key_(key) {}

  std::uint64_t key() const { return key_; }
  std::uint64_t next() { return mix(key_ + kStep * ++count_); }  ///< number n is mix(key + n * kStep), n from 1
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }  ///< in (0, 1), ends excluded
  /// In [0, n), without the bias of a remainder. n > 0.
  std::int64_t below(std::int64_t n) {
    const auto range = static_cast<std::uint64_t>(n);
    const std::uint64_t spare = (0 - range) % range;  // draws below this would favour small results
    for (std::uint64_t draw = next();; draw = next())
      if (draw >= spare) return static_cast<std::int64_t>(draw % range);
  }

  /// A stream of its own for part `n` of the work, n > 0; independent of how much was drawn here.
  RandomStream fork(std::uint64_t n) const { return RandomStream(mix(key_ ^ mix(n))); }

  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
  }

 private:
  std::uint64_t key_;
  std::uint64_t count_ = 0;
};

/// The streams of one component: a value. Order of calls and threads do not matter.
class RandomStreams {
 public:
  explicit RandomStreams(std::uint64_t seed, std::string_view path = "") : key_(add(seed, path)) {}

  RandomStreams child(std::string_view name) const { return RandomStreams(key_, name); }
  RandomStream stream(std::int64_t epoch = 0, std::uint64_t item = 0) const {
    return RandomStream(RandomStream::mix(RandomStream::mix(key_ + static_cast<std::uint64_t>(epoch)) + item));
  }

 private:
  static std::uint64_t add(std::uint64_t key, std::string_view text) {
    for (const char c : text) key = RandomStream::mix(key ^ static_cast<unsigned char>(c));
    return RandomStream::mix(key + text.size());
  }
  std::uint64_t key_;
};

}  // namespace xp
