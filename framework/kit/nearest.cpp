#include "kit/nearest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "base/error.h"
#include "kit/nearest_numbers.h"
#include "kit/nearest_screen.h"
#include "kit/word_counts.h"

namespace xp {
namespace {

constexpr std::size_t kRowsAtOnce = 4096, kQueriesAtOnce = kScreenQueries * 128;
constexpr std::size_t kKeysAtOnce = kScreenKeys * 4;  // what a core's own cache holds, also as floats

constexpr std::size_t kFirstBest = 16;      // keys that are collected before a limit is asked for
constexpr std::size_t kMostWaiting = 4096;  // of one query
constexpr double kMargin = 1e-9;            // for roundings in what is asked
constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min(),
                       kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMostDimensions = 32768;  // (255 + 127) * 127 for each fits 32 bits, beside half of them

using Visit = std::function<void(std::size_t query, std::vector<Neighbour>&&)>;

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
  Search(const VectorRows& queries, const VectorRows& keys, const LeastCosine& least, std::size_t enough,
         std::int64_t threads)
      : queries_(queries),
        keys_(keys),
        least_(least),
        enough_(enough),
        threads_(threads),
        fours_((keys.dim + 3) / 4) {
    query_lengths_ = measured(queries, "query"), key_lengths_ = measured(keys, "key");
    find_mean();
    const auto of_keys = extent(keys, key_lengths_), of_queries = extent(queries, query_lengths_);
    find_scales(of_queries, of_keys);
    pack_keys();
  }

  /// Gives each query its neighbours, from several threads at once.
  void run(const Visit& visit) {
    run_parallel((queries_.rows + kQueriesAtOnce - 1) / kQueriesAtOnce, threads_, [&](std::size_t block) {
      Block(*this, block * kQueriesAtOnce, std::min(queries_.rows, (block + 1) * kQueriesAtOnce)).run(visit);
    });
  }

 private:
  /// Some queries against all keys. Keys that screening cannot tell from far ones wait until the rest is known: by
  /// then most are too far.
  class Block {
   public:
    Block(const Search& search, std::size_t begin, std::size_t end)
        : s_(search), begin_(begin), queries_(end - begin) {
      const auto groups = (end - begin + kScreenQueries - 1) / kScreenQueries;
      packed_.assign(groups * s_.fours_ * 4 * kScreenQueries, 0);
      floors_.assign(groups * kScreenQueries, kMost);  // queries that fill up the last group pass nothing
      for (std::size_t i = 0; i < end - begin; ++i) pack(i);
    }

    void run(const Visit& visit) {
      for (std::size_t key = 0; key < s_.keys_.rows; key += kKeysAtOnce)
        for (std::size_t query = 0; query < floors_.size(); query += kScreenQueries)
          for (auto tile = key; tile < std::min(s_.keys_.rows, key + kKeysAtOnce); tile += kScreenKeys)
            search(query, tile);
      for (std::size_t i = 0; i < queries_.size(); ++i) {
        compare_waiting(i);
        visit(begin_ + i, finished(i));
      }
    }

   private:
    struct Waiting {
      std::uint32_t key;
      std::int32_t sum;
    };
    struct Query {
      std::vector<Neighbour> best;    ///< by quick cosines
      std::size_t sorted = 0;         ///< of them, nearest first
      double least = -2;              ///< what is farther is not wanted
      std::size_t room = kFirstBest;  ///< how many are collected before `least` is asked again
      double shift = 0, error = 0;    ///< a cosine c is possible above scale() * c + shift, likely above + error
      std::int32_t likely = kLeast;   ///< a sum above is compared at once
      std::vector<Waiting> waiting = {};
    };

    void search(std::size_t query, std::size_t key) {
      std::uint32_t mask[kScreenQueries];
      std::int32_t sums[kScreenQueries * kScreenKeys];
      s_.screen_.run(s_.packed_.data() + key * s_.fours_ * 4, packed_.data() + query * s_.fours_ * 4, s_.fours_,
                     s_.starts_.data() + key, floors_.data() + query, mask, sums);
      for (std::size_t q = 0; q < kScreenQueries; ++q)
        for (auto bits = mask[q]; bits != 0; bits &= bits - 1) {
          const auto j = static_cast<std::size_t>(std::countr_zero(bits));
          const auto sum = sums[q * kScreenKeys + j];
          auto& one = queries_[query + q];
          if (sum > one.likely) {
            compare(query + q, key + j);
          } else {
            one.waiting.push_back({static_cast<std::uint32_t>(key + j), sum});
            if (one.waiting.size() == kMostWaiting) thin(query + q);
          }
        }
    }

    void thin(std::size_t i) {
      auto& waiting = queries_[i].waiting;
      std::erase_if(waiting, [&](const Waiting& one) { return one.sum <= floors_[i]; });
      if (waiting.size() > kMostWaiting / 2) compare_waiting(i);
    }

    // Rows lie far apart in memory, so the next one is fetched while one is compared.
    void compare_waiting(std::size_t i) {
      auto& waiting = queries_[i].waiting;
      std::erase_if(waiting, [&](const Waiting& one) { return one.sum <= floors_[i]; });
      for (std::size_t at = 0; at < waiting.size(); ++at) {
        if (at + 1 < waiting.size()) s_.fetch(waiting[at + 1].key);
        if (waiting[at].sum > floors_[i]) compare(i, waiting[at].key);
      }
      waiting.clear();
    }

    void pack(std::size_t i) {
      const auto row = begin_ + i, dim = s_.keys_.dim;
      s_.rotate(s_.queries_, row, s_.query_lengths_[row], scratch_);
      round_to(rounded_, scratch_.data(), dim, s_.query_scale_);
      auto* to = packed_.data() + (i / kScreenQueries * s_.fours_ * kScreenQueries + i % kScreenQueries) * 4;
      for (std::size_t d = 0; d < dim; ++d) to[d / 4 * 4 * kScreenQueries + d % 4] = rounded_.numbers[d];
      auto& one = queries_[i];
      one.error = rounded_.length * s_.key_error_ + rounded_.error * s_.key_scale_ * s_.key_length_;
      one.shift = s_.screen_.zero * rounded_.sum - s_.common(s_.queries_, row, s_.query_lengths_[row]) * s_.scale() -
                  one.error - 0.6;  // 0.5, since `starts_` are rounded, and a little for roundings in double
      floors_[i] = kLeast;
    }

    void compare(std::size_t i, std::size_t key) {
      auto& one = queries_[i];
      const double cosine = s_.quick_ ? s_.cosine<quick_dot>(begin_ + i, key) : s_.cosine<dot>(begin_ + i, key);
      if (cosine < one.least) return;
      one.best.push_back({static_cast<std::int64_t>(key), cosine});
      if (one.best.size() < one.room) return;
      const auto fresh = one.best.begin() + static_cast<std::ptrdiff_t>(one.sorted);
      std::sort(fresh, one.best.end(), nearer);
      std::inplace_merge(one.best.begin(), fresh, one.best.end(), nearer);
      one.least = s_.least_(one.best) - 2 * s_.slack();  // what is asked, and what is compared with it, may be off
      while (one.best.back().cosine < one.least) one.best.pop_back();
      one.sorted = one.best.size();
      one.room = one.sorted + std::max(kFirstBest / 2, one.sorted / 4);
      const auto limit = [&](double sum) {
        return static_cast<std::int32_t>(std::clamp(std::floor(sum), 1.0 * kLeast, 1.0 * kMost));
      };
      floors_[i] = limit(one.least * s_.scale() + one.shift);
      // Enough good ones make a good limit; the rest may wait, as most will be too far in the end.
      const double good = one.sorted < s_.enough_ ? one.least : std::max(one.least, one.best[s_.enough_ - 1].cosine);
      one.likely = limit(good * s_.scale() + one.shift + one.error);
    }

    std::vector<Neighbour> finished(std::size_t i) {
      auto best = std::move(queries_[i].best);
      for (auto& one : best) one.cosine = s_.cosine<dot>(begin_ + i, static_cast<std::size_t>(one.row));
      std::sort(best.begin(), best.end(), nearer);
      const double least = best.empty() ? 0 : s_.least_(best) - kMargin;
      while (!best.empty() && best.back().cosine < least) best.pop_back();
      return best;
    }

    const Search& s_;
    std::size_t begin_;
    std::vector<Query> queries_;
    std::vector<std::int8_t> packed_;
    std::vector<std::int32_t> floors_;
    std::vector<double> scratch_;
    Rounded rounded_;
  };

  static constexpr auto nearer = [](const Neighbour& a, const Neighbour& b) {  // no function, which sort would call
    return a.cosine != b.cosine ? a.cosine > b.cosine : a.row < b.row;
  };

  template <auto product>
  double cosine(std::size_t query, std::size_t key) const {
    return static_cast<double>(product(queries_.row(query), keys_.row(key), keys_.dim)) /
           (query_lengths_[query] * key_lengths_[key]);
  }

  void fetch(std::size_t key) const {
    const float* row = keys_.row(key);
    for (std::size_t d = 0; d < keys_.dim; d += 16) __builtin_prefetch(row + d);
  }

  /// By how much a cosine may be off while keys are collected.
  double slack() const { return (quick_ ? static_cast<double>(keys_.dim) * 0x1p-23 : 0) + kMargin; }

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

  // Numbers must fit a byte as `screen_` takes it, and what `starts_` hold, at most s t |k - m|, half of 32 bits.
  void find_scales(const Extent& queries, const Extent& keys) {
    key_scale_ = (screen_.zero - 1.6) / std::max(keys.number, 1e-6);
    query_scale_ = std::min(126.4 / std::max(queries.number, 1e-6), 1e9 / (key_scale_ * std::max(keys.length, 1e-6)));
    key_length_ = keys.length;
  }

  void pack_keys() {
    const auto tiles = (keys_.rows + kScreenKeys - 1) / kScreenKeys;
    packed_.assign(tiles * fours_ * 4 * kScreenKeys, 0);
    starts_.assign(tiles * kScreenKeys, kLeast);  // keys that fill up the last tile pass nowhere
    std::vector<double> errors(tiles);
    const double of_mean = std::inner_product(mean_.begin(), mean_.end(), mean_.begin(), 0.0);
    run_parallel(tiles, threads_, [&](std::size_t tile) {
      std::vector<double> y;
      Rounded rounded;
      for (auto r = tile * kScreenKeys; r < std::min(keys_.rows, (tile + 1) * kScreenKeys); ++r) {
        rotate(keys_, r, key_lengths_[r], y);
        round_to(rounded, y.data(), y.size(), key_scale_);
        auto* to = packed_.data() + (tile * fours_ * kScreenKeys + r % kScreenKeys) * 4;
        for (std::size_t d = 0; d < y.size(); ++d)
          to[d / 4 * 4 * kScreenKeys + d % 4] = static_cast<std::uint8_t>(rounded.numbers[d] + screen_.zero);
        const double shared = (common(keys_, r, key_lengths_[r]) - of_mean) * scale();
        starts_[r] = static_cast<std::int32_t>(std::lround(shared));
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
  const LeastCosine& least_;
  std::size_t enough_;  ///< keys that say nearly as well as all what is asked of the others
  std::int64_t threads_;
  std::size_t fours_;
  Screen screen_ = screens().front();
  std::vector<double> query_lengths_, key_lengths_;  ///< 1 of a row of zeros
  std::vector<double> mean_;                         ///< of the keys' unit vectors
  bool quick_ = true;                                ///< no product of two rows leaves the range of a float
  double query_scale_ = 1, key_scale_ = 1, key_length_ = 0, key_error_ = 0;
  std::vector<std::uint8_t> packed_;
  std::vector<std::int32_t> starts_;
};

void check(const VectorRows& queries, const VectorRows& keys) {
  if (queries.dim != keys.dim || keys.dim == 0 || keys.dim > kMostDimensions)
    throw Error("neighbours are sought among vectors of one dimension of at most 32768, not " +
                    std::to_string(queries.dim) + " and " + std::to_string(keys.dim),
                Exit::data);
}

}  // namespace

std::vector<Neighbour> nearest_rows(const VectorRows& queries, const VectorRows& keys, std::size_t k,
                                    std::int64_t threads) {
  k = std::min(k, keys.rows);
  if (queries.rows == 0 || k == 0) return {};
  check(queries, keys);
  const auto least = [k](const std::vector<Neighbour>& best) { return best.size() < k ? -2 : best[k - 1].cosine; };
  std::vector<Neighbour> out(queries.rows * k);
  Search(queries, keys, least, k, threads).run([&](std::size_t query, std::vector<Neighbour>&& best) {
    std::copy_n(best.begin(), k, out.begin() + static_cast<std::ptrdiff_t>(query * k));
  });
  return out;
}

std::vector<std::vector<Neighbour>> support_rows(const VectorRows& queries, const VectorRows& keys,
                                                 const LeastCosine& least, std::int64_t threads) {
  std::vector<std::vector<Neighbour>> out(queries.rows);
  if (queries.rows == 0 || keys.rows == 0) return out;
  check(queries, keys);
  Search(queries, keys, least, kFirstBest, threads).run([&](std::size_t query, std::vector<Neighbour>&& best) {
    out[query] = std::move(best);
  });
  return out;
}

}  // namespace xp
