#include "kit/nearest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <string>

#include "base/error.h"
#include "kit/nearest_screen.h"
#include "kit/word_counts.h"

namespace xp {
namespace {

#if defined(__x86_64__)
#define XP_NEAREST_WIDE __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define XP_NEAREST_WIDE
#endif

constexpr std::size_t kRowsAtOnce = 4096, kQueriesAtOnce = kScreenQueries * 128;
constexpr std::size_t kKeysAtOnce = kScreenKeys * 4;  // what a core's own cache holds, also as floats

using Lanes = float __attribute__((vector_size(32)));
constexpr std::size_t kLanes = sizeof(Lanes) / sizeof(float);

/// A product of two floats is exact in double, so that every processor gives the same sum.
XP_NEAREST_WIDE double dot(const float* a, const float* b, std::size_t n) {
  using Floats = float __attribute__((vector_size(16)));
  using Doubles = double __attribute__((vector_size(32)));
  Doubles low = {}, high = {};  // a vector of all eight would be kept in memory
  std::size_t d = 0;
  for (; d + 8 <= n; d += 8) {
    Floats x[2], y[2];
    std::memcpy(x, a + d, sizeof x), std::memcpy(y, b + d, sizeof y);
    low += __builtin_convertvector(x[0], Doubles) * __builtin_convertvector(y[0], Doubles);
    high += __builtin_convertvector(x[1], Doubles) * __builtin_convertvector(y[1], Doubles);
  }
  double sum = ((low[0] + low[1]) + (low[2] + low[3])) + ((high[0] + high[1]) + (high[2] + high[3]));
  for (; d < n; ++d) sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
  return sum;
}

/// Off by no more than n roundings of |a| |b|.
XP_NEAREST_WIDE float quick_dot(const float* a, const float* b, std::size_t n) {
  Lanes sums[4] = {};
  std::size_t d = 0;
  for (; d + 4 * kLanes <= n; d += 4 * kLanes)
    for (std::size_t part = 0; part < 4; ++part) {
      Lanes x, y;
      std::memcpy(&x, a + d + part * kLanes, sizeof x), std::memcpy(&y, b + d + part * kLanes, sizeof y);
      sums[part] += x * y;
    }
  for (; d + kLanes <= n; d += kLanes) {
    Lanes x, y;
    std::memcpy(&x, a + d, sizeof x), std::memcpy(&y, b + d, sizeof y);
    sums[0] += x * y;
  }
  const Lanes all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = ((all[0] + all[1]) + (all[2] + all[3])) + ((all[4] + all[5]) + (all[6] + all[7]));
  for (; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

/// Rotates x by the transform of Walsh and Hadamard over numbers that lie a multiple of 8 apart; n a power of two.
XP_NEAREST_WIDE void spread(double* x, std::size_t n) {
  for (std::size_t half = kLanes; half < n; half *= 2)
    for (std::size_t i = 0; i < n; i += 2 * half)
      for (std::size_t j = i; j < i + half; ++j) {
        const double a = x[j], b = x[j + half];
        x[j] = (a + b) * std::numbers::sqrt2 / 2, x[j + half] = (a - b) * std::numbers::sqrt2 / 2;
      }
}

/// A row of small integers that stands for `scale` times a vector.
struct Rounded {
  std::vector<std::int8_t> numbers;
  int sum = 0;
  double length = 0, error = 0;  ///< of the integers, and of what rounding took away
};

XP_NEAREST_WIDE void round_to(Rounded& out, const double* x, std::size_t n, double scale) {
  out.numbers.resize(n);
  std::int8_t* to = out.numbers.data();
  int sum = 0, squares = 0;
  double error = 0;
  for (std::size_t d = 0; d < n; ++d) {
    const double exact = x[d] * scale;
    const int whole = static_cast<int>(exact + 128.5) - 128;  // what is not negative is cut off downwards
    to[d] = static_cast<std::int8_t>(whole), sum += whole, squares += whole * whole;
    error += (exact - whole) * (exact - whole);
  }
  out.sum = sum, out.length = std::sqrt(squares), out.error = std::sqrt(error);
}

/// The largest of what rows may be, for one scale that suits all.
struct Extent {
  double length = 0, number = 0;
  void take(const std::vector<double>& x) {
    double squares = 0;
    for (const double one : x) squares += one * one, number = std::max(number, std::abs(one));
    length = std::max(length, std::sqrt(squares));
  }
  void take(const Extent& other) { length = std::max(length, other.length), number = std::max(number, other.number); }
};

/// Screening: cos(q, k) = (q - m)(k - m) + m(k - m) + q m for unit vectors and m the mean of the keys, which takes
/// out what all have in common. A rotation spreads single large numbers over all dimensions. q - m and k - m are
/// rounded to integers u = s (q - m) - e and v = t (k - m) - f; then s t (q - m)(k - m) differs from u v by u f + e t
/// (k - m), which is at most |u| |f| + |e| t |k - m|. Keys above this limit are compared exactly.
class Search {
 public:
  Search(const VectorRows& queries, const VectorRows& keys, std::size_t k, std::int64_t threads)
      : queries_(queries), keys_(keys), k_(k), threads_(threads), pairs_((keys.dim + 1) / 2) {
    query_lengths_ = measured(queries, "query"), key_lengths_ = measured(keys, "key");
    find_mean();
    const auto of_keys = extent(keys, key_lengths_), of_queries = extent(queries, query_lengths_);
    find_scales(of_queries, of_keys);
    pack_keys();
  }

  std::vector<Neighbour> run() {
    std::vector<Neighbour> out(queries_.rows * k_);
    run_parallel((queries_.rows + kQueriesAtOnce - 1) / kQueriesAtOnce, threads_, [&](std::size_t block) {
      Block(*this, block * kQueriesAtOnce, std::min(queries_.rows, (block + 1) * kQueriesAtOnce)).run(out);
    });
    return out;
  }

 private:
  /// Some queries against all keys.
  class Block {
   public:
    Block(const Search& search, std::size_t begin, std::size_t end)
        : s_(search), begin_(begin), end_(end), best_(end - begin), shifts_(end - begin) {
      const auto groups = (end - begin + kScreenQueries - 1) / kScreenQueries;
      packed_.assign(groups * s_.pairs_ * 4 * kScreenQueries, kQueryZero);
      floors_.assign(groups * kScreenQueries, 32767);  // queries that fill up the last group pass nothing
      for (std::size_t i = 0; i < end - begin; ++i) pack(i);
    }

    void run(std::vector<Neighbour>& out) {
      for (std::size_t key = 0; key < s_.keys_.rows; key += kKeysAtOnce)
        for (std::size_t query = 0; query < floors_.size(); query += kScreenQueries)
          for (auto tile = key; tile < std::min(s_.keys_.rows, key + kKeysAtOnce); tile += kScreenKeys)
            search(query, tile);
      for (std::size_t i = 0; i < best_.size(); ++i) {
        std::sort_heap(best_[i].begin(), best_[i].end(), nearer);
        std::copy(best_[i].begin(), best_[i].end(), out.begin() + static_cast<std::ptrdiff_t>((begin_ + i) * s_.k_));
      }
    }

   private:
    void search(std::size_t query, std::size_t key) {
      std::uint32_t mask[kScreenQueries];
      screen(s_.packed_.data() + key * s_.pairs_ * 2, packed_.data() + query * s_.pairs_ * 4, s_.pairs_,
             s_.starts_.data() + key, floors_.data() + query, mask);
      for (std::size_t q = 0; q < kScreenQueries; ++q)
        for (auto bits = mask[q]; bits != 0; bits &= bits - 1)
          compare(query + q, key + static_cast<std::size_t>(std::countr_zero(bits)));
    }

    static bool nearer(const Neighbour& a, const Neighbour& b) {
      return a.cosine != b.cosine ? a.cosine > b.cosine : a.row < b.row;
    }

    void pack(std::size_t i) {
      const auto row = begin_ + i, dim = s_.keys_.dim;
      s_.rotate(s_.queries_, row, s_.query_lengths_[row], scratch_);
      round_to(rounded_, scratch_.data(), dim, s_.query_scale_);
      auto* to = packed_.data() + (i / kScreenQueries * s_.pairs_ * kScreenQueries + i % kScreenQueries) * 4;
      for (std::size_t d = 0; d < dim; ++d) {
        auto* pair = to + d / 2 * 4 * kScreenQueries;
        pair[d % 2] = pair[d % 2 + 2] = static_cast<std::uint8_t>(rounded_.numbers[d] + kQueryZero);
      }
      const double off = rounded_.length * s_.key_error_ + rounded_.error * s_.key_scale_ * s_.key_length_;
      shifts_[i] = -s_.common(s_.queries_, row, s_.query_lengths_[row]) * s_.scale() - off -
                   0.6;  // 0.5, since `starts_` are rounded, and a little for roundings in double
      floors_[i] = -32768;
    }

    void compare(std::size_t i, std::size_t key) {
      const auto dim = s_.keys_.dim;
      const float *query = s_.queries_.row(begin_ + i), *row = s_.keys_.row(key);
      const double lengths = s_.query_lengths_[begin_ + i] * s_.key_lengths_[key];
      auto& best = best_[i];
      if (best.size() == s_.k_ && s_.quick_ &&
          quick_dot(query, row, dim) / lengths < best.front().cosine - static_cast<double>(dim) * 0x1p-23)
        return;
      const Neighbour found{static_cast<std::int64_t>(key), dot(query, row, dim) / lengths};
      if (best.size() == s_.k_) {
        if (!nearer(found, best.front())) return;
        std::pop_heap(best.begin(), best.end(), nearer);
        best.back() = found;
      } else {
        best.push_back(found);
      }
      std::push_heap(best.begin(), best.end(), nearer);
      if (best.size() == s_.k_)
        floors_[i] = static_cast<std::int16_t>(
            std::clamp(std::floor(best.front().cosine * s_.scale() + shifts_[i]), -32768.0, 32767.0));
    }

    const Search& s_;
    std::size_t begin_, end_;
    std::vector<std::vector<Neighbour>> best_;  ///< heaps, the farthest at the front
    std::vector<double> shifts_;                ///< a cosine c is possible above scale() * c + shift
    std::vector<std::uint8_t> packed_;
    std::vector<std::int16_t> floors_;
    std::vector<double> scratch_;
    Rounded rounded_;
  };

  double scale() const { return query_scale_ * key_scale_; }

  std::vector<double> measured(const VectorRows& rows, const char* what) {
    std::vector<double> out(rows.rows);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      const float* row = rows.row(r);
      const double length = std::sqrt(dot(row, row, rows.dim));
      if (!std::isfinite(length))
        throw Error(std::string(what) + " " + std::to_string(r) +
                        " of a search for neighbours holds a number that is not finite",
                    Exit::data);
      out[r] = length > 0 ? length : 1;
      quick_ = quick_ && out[r] > 1e-15 && out[r] < 1e15;
    }
    return out;
  }

  void find_mean() {
    mean_.assign(keys_.dim, 0);
    for (std::size_t r = 0; r < keys_.rows; ++r)
      for (std::size_t d = 0; d < keys_.dim; ++d) mean_[d] += keys_.row(r)[d] / key_lengths_[r];
    for (double& one : mean_) one /= static_cast<double>(keys_.rows);
  }

  /// Writes row r's unit vector without the mean.
  void rotate(const VectorRows& rows, std::size_t r, double length, std::vector<double>& x) const {
    x.resize(rows.dim);
    const double inverse = 1 / length;
    for (std::size_t d = 0; d < rows.dim; ++d) x[d] = static_cast<double>(rows.row(r)[d]) * inverse - mean_[d];
    const auto most = std::bit_floor(rows.dim);  // once from the front and once to the end: every number is met
    spread(x.data(), most);
    if (most < rows.dim) spread(x.data() + (rows.dim - most), most);
  }

  Extent extent(const VectorRows& rows, const std::vector<double>& lengths) const {
    std::vector<Extent> parts((rows.rows + kRowsAtOnce - 1) / kRowsAtOnce);
    run_parallel(parts.size(), threads_, [&](std::size_t part) {
      std::vector<double> x;
      for (auto r = part * kRowsAtOnce; r < std::min(rows.rows, (part + 1) * kRowsAtOnce); ++r)
        rotate(rows, r, lengths[r], x), parts[part].take(x);
    });
    Extent out;
    for (const auto& part : parts) out.take(part);
    return out;
  }

  // With R = s X = t Y for the largest lengths X and Y, and h = sqrt(dim) / 2 the largest error of a rounded row, a
  // sum is at most s t Y + (R + h) h + h R, which must fit 16 bits; numbers must fit a byte.
  void find_scales(const Extent& queries, const Extent& keys) {
    const double x = std::max(queries.length, 1e-6), y = std::max(keys.length, 1e-6);
    const double h = std::sqrt(static_cast<double>(keys_.dim)) / 2;
    const double reach = x * (-h + std::sqrt(h * h + (32760 - h * h) / x));
    query_scale_ = std::min(reach / x, 62.4 / std::max(queries.number, 1e-6));
    key_scale_ = std::min(reach / y, 126.4 / std::max(keys.number, 1e-6));
    key_length_ = keys.length;
  }

  void pack_keys() {
    const auto tiles = (keys_.rows + kScreenKeys - 1) / kScreenKeys;
    packed_.assign(tiles * pairs_ * 2 * kScreenKeys, 0);
    starts_.assign(tiles * kScreenKeys, -32768);  // keys that fill up the last tile pass nowhere
    std::vector<double> errors(tiles);
    const double of_mean = std::inner_product(mean_.begin(), mean_.end(), mean_.begin(), 0.0);
    run_parallel(tiles, threads_, [&](std::size_t tile) {
      std::vector<double> y;
      Rounded rounded;
      for (auto r = tile * kScreenKeys; r < std::min(keys_.rows, (tile + 1) * kScreenKeys); ++r) {
        rotate(keys_, r, key_lengths_[r], y);
        round_to(rounded, y.data(), y.size(), key_scale_);
        auto* to = packed_.data() + (tile * pairs_ * kScreenKeys + r % kScreenKeys) * 2;
        for (std::size_t d = 0; d < y.size(); ++d) to[d / 2 * 2 * kScreenKeys + d % 2] = rounded.numbers[d];
        const double shared = (common(keys_, r, key_lengths_[r]) - of_mean) * scale();
        // Wraps around as the sums do.
        starts_[r] = static_cast<std::int16_t>(std::lround(shared) - kQueryZero * rounded.sum);
        errors[tile] = std::max(errors[tile], rounded.error);
      }
    });
    key_error_ = *std::max_element(errors.begin(), errors.end());
  }

  /// A row's unit vector times the mean.
  double common(const VectorRows& rows, std::size_t r, double length) const {
    double sum = 0;
    for (std::size_t d = 0; d < rows.dim; ++d) sum += static_cast<double>(rows.row(r)[d]) * mean_[d];
    return sum / length;
  }

  VectorRows queries_, keys_;
  std::size_t k_;
  std::int64_t threads_;
  std::size_t pairs_;
  std::vector<double> query_lengths_, key_lengths_;  ///< 1 of a row of zeros
  std::vector<double> mean_;                         ///< of the keys' unit vectors
  bool quick_ = true;                                ///< no product of two rows leaves the range of a float
  double query_scale_ = 1, key_scale_ = 1, key_length_ = 0, key_error_ = 0;
  std::vector<std::int8_t> packed_;
  std::vector<std::int16_t> starts_;
};

}  // namespace

std::vector<Neighbour> nearest_rows(const VectorRows& queries, const VectorRows& keys, std::size_t k,
                                    std::int64_t threads) {
  k = std::min(k, keys.rows);
  if (queries.rows == 0 || k == 0) return {};
  if (queries.dim != keys.dim || keys.dim == 0 || keys.dim > 65536)
    throw Error("neighbours are sought among vectors of one dimension of at most 65536, not " +
                    std::to_string(queries.dim) + " and " + std::to_string(keys.dim),
                Exit::data);
  return Search(queries, keys, k, threads).run();
}

}  // namespace xp
