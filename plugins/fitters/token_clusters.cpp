// Groups of tokens that occur in like places.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "api/fitter.h"
#include "api/tokenizer.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

/// Rows of equal width.
struct Rows {
  std::size_t rows = 0, width = 0;
  std::vector<float> data = {};

  Rows(std::size_t n, std::size_t w) : rows(n), width(w), data(n * w) {}
  float* row(std::size_t i) { return data.data() + i * width; }
  const float* row(std::size_t i) const { return data.data() + i * width; }
};

// Eight sums side by side, which a compiler may keep in one register.
float dot(const float* a, const float* b, std::size_t n) {
  float part[8] = {};
  std::size_t d = 0;
  for (; d + 8 <= n; d += 8)
    for (std::size_t l = 0; l < 8; ++l) part[l] += a[d + l] * b[d + l];
  for (; d < n; ++d) part[0] += a[d] * b[d];
  return std::accumulate(part, part + 8, 0.0F);
}

/// False if the row is all zeros, which has no direction.
bool normalise(float* row, std::size_t n) {
  const float length = std::sqrt(dot(row, row, n));
  if (!(length > 0)) return false;
  for (std::size_t d = 0; d < n; ++d) row[d] /= length;
  return true;
}

struct Params {
  std::int64_t clusters = 100, dim = 64, epochs = 3, window = 5, negatives = 5, rounds = 50;
  double lr = 0.05, sample = 1e-3;
  std::string features = "skipgram";

  static void describe(xp::Fields<Params>& f) {
    f.add(&Params::clusters, "clusters", "Number of groups.").min(2).max(4096);
    f.add(&Params::features, "features", "What makes two tokens alike: `skipgram` is the tokens around them.")
        .choices({"skipgram"});
    f.add(&Params::dim, "dim", "Numbers of a token's vector.").min(1).max(4096);
    f.add(&Params::epochs, "epochs", "Passes over the text for the vectors.").min(1);
    f.add(&Params::window, "window", "Tokens to each side, drawn anew up to this for every token.").min(1);
    f.add(&Params::negatives, "negatives", "Tokens drawn against each true neighbour, by count^0.75.").min(1);
    f.add(&Params::lr, "lr", "Learning rate of the vectors at the start; it falls to 0 linearly.").above(0);
    f.add(&Params::sample, "sample",
          "Tokens more frequent than this share are dropped at random (1 - sqrt(sample / share)); 0 drops none.")
        .min(0);
    f.add(&Params::rounds, "rounds", "Most rounds of k-means; it ends before when no token moves.").min(1);
  }
};

/// Skip-gram with negative sampling (Mikolov et al. 2013, section 2.2) over the tokens of a vocabulary.
class TokenVectors {
 public:
  TokenVectors(const Params& p, const std::vector<std::vector<std::int32_t>>& lines,
               const std::vector<std::int64_t>& counts, const xp::RandomStreams& random)
      : input(counts.size(), static_cast<std::size_t>(p.dim)), p_(p), output_(counts.size(), input.width) {
    auto start = random.child("start").stream();
    for (float& x : input.data) x = static_cast<float>((start.uniform() - 0.5) / static_cast<double>(p.dim));
    double total = 0, mass = 0;
    for (const auto n : counts) total += static_cast<double>(n), noise_.push_back(mass += std::pow(n, 0.75));
    for (const auto n : counts)
      keep_.push_back(p.sample > 0 && n > 0 ? std::sqrt(p.sample * total / static_cast<double>(n)) : 1.0);
    double done = 0;
    for (std::int64_t epoch = 0; epoch < p.epochs; ++epoch)
      for (std::size_t i = 0; i < lines.size(); ++i) {
        auto stream = random.child("text").stream(epoch, i);
        pass(lines[i], p.lr * std::max(1e-4, 1 - done / (total * static_cast<double>(p.epochs))), stream);
        done += static_cast<double>(lines[i].size());
      }
    for (const float x : input.data)
      if (!std::isfinite(x)) throw xp::Error("the vectors grew beyond all bounds; lower lr");
  }

  Rows input;  ///< one row per token

 private:
  void pass(const std::vector<std::int32_t>& all, double rate, xp::RandomStream& stream) {
    std::vector<std::int32_t> line;
    for (const auto token : all)
      if (const double keep = keep_[static_cast<std::size_t>(token)]; keep >= 1 || stream.uniform() < keep)
        line.push_back(token);
    for (std::int64_t i = 0; i < std::ssize(line); ++i) {
      const auto reach = 1 + stream.below(p_.window);
      for (auto j = std::max<std::int64_t>(i - reach, 0); j < std::min(i + reach + 1, std::ssize(line)); ++j)
        if (j != i)
          predict(static_cast<std::size_t>(line[static_cast<std::size_t>(i)]),
                  static_cast<std::size_t>(line[static_cast<std::size_t>(j)]), static_cast<float>(rate), stream);
    }
  }

  // Logistic regression on the dot product: the true neighbour against drawn tokens.
  void predict(std::size_t centre, std::size_t truth, float rate, xp::RandomStream& stream) {
    float* from = input.row(centre);
    gradient_.assign(input.width, 0);
    for (std::int64_t n = -1; n < p_.negatives; ++n) {
      const auto token = n < 0 ? truth : drawn(stream);
      if (n >= 0 && token == truth) continue;
      float* to = output_.row(token);
      const float step = rate * ((n < 0 ? 1.0F : 0.0F) - 1 / (1 + std::exp(-dot(from, to, input.width))));
      for (std::size_t d = 0; d < input.width; ++d) gradient_[d] += step * to[d], to[d] += step * from[d];
    }
    for (std::size_t d = 0; d < input.width; ++d) from[d] += gradient_[d];
  }
  std::size_t drawn(xp::RandomStream& stream) const {
    const auto at = std::upper_bound(noise_.begin(), noise_.end(), stream.uniform() * noise_.back());
    return std::min(static_cast<std::size_t>(at - noise_.begin()), noise_.size() - 1);
  }

  const Params& p_;
  Rows output_;
  std::vector<double> noise_, keep_;
  std::vector<float> gradient_;
};

/// Spherical k-means (Dhillon and Modha 2001, section 3.1) over rows of unit length; the start is k-means++ (Arthur
/// and Vassilvitskii 2007, section 2.2). No cluster is empty.
class SphericalKMeans {
 public:
  SphericalKMeans(const Rows& rows, std::size_t k, std::int64_t rounds, xp::RandomStream random)
      : of(rows.rows, 0), x_(rows), centres_(k, rows.width), near_(rows.rows), size_(k) {
    start(random);
    for (std::int64_t round = 0; round < rounds; ++round) {
      const bool moved = assign();
      fill_empty();
      if (!moved && round > 0) break;
      move();
    }
  }

  std::vector<std::size_t> of;  ///< cluster of each row

 private:
  void start(xp::RandomStream& random) {
    std::vector<double> far(x_.rows, 1), rising(x_.rows);
    for (std::size_t c = 0; c < size_.size(); ++c) {
      double sum = 0;
      for (std::size_t i = 0; i < x_.rows; ++i) rising[i] = sum += far[i];
      // Rows that are all alike leave nothing to prefer.
      const auto at = sum > 0
                          ? std::upper_bound(rising.begin(), rising.end(), random.uniform() * sum) - rising.begin()
                          : random.below(std::ssize(rising));
      const auto chosen = std::min(static_cast<std::size_t>(at), x_.rows - 1);
      std::copy_n(x_.row(chosen), x_.width, centres_.row(c));
      for (std::size_t i = 0; i < x_.rows; ++i)
        far[i] =
            std::min(far[i], std::max(0.0, 1.0 - static_cast<double>(dot(x_.row(i), centres_.row(c), x_.width))));
      far[chosen] = 0;
    }
  }

  bool assign() {
    bool moved = false;
    std::fill(size_.begin(), size_.end(), 0);
    for (std::size_t i = 0; i < x_.rows; ++i) {
      std::size_t best = 0;
      float most = -2;
      for (std::size_t c = 0; c < size_.size(); ++c)
        if (const float cosine = dot(x_.row(i), centres_.row(c), x_.width); cosine > most) most = cosine, best = c;
      moved |= best != of[i];
      of[i] = best, near_[i] = most, ++size_[best];
    }
    return moved;
  }

  // An empty cluster takes the row that lies farthest from its own centre and leaves none empty behind.
  void fill_empty() {
    for (std::size_t c = 0; c < size_.size(); ++c) {
      if (size_[c]) continue;
      std::size_t worst = x_.rows;
      for (std::size_t i = 0; i < x_.rows; ++i)
        if (size_[of[i]] > 1 && (worst == x_.rows || near_[i] < near_[worst])) worst = i;
      --size_[of[worst]], of[worst] = c, size_[c] = 1, near_[worst] = 1;
    }
  }

  void move() {
    Rows sums(centres_.rows, centres_.width);
    for (std::size_t i = 0; i < x_.rows; ++i)
      for (std::size_t d = 0; d < x_.width; ++d) sums.row(of[i])[d] += x_.row(i)[d];
    for (std::size_t c = 0; c < size_.size(); ++c)
      if (normalise(sums.row(c), sums.width)) std::copy_n(sums.row(c), sums.width, centres_.row(c));
  }

  const Rows& x_;
  Rows centres_;
  std::vector<float> near_;  ///< cosine of each row and its centre
  std::vector<std::size_t> size_;
};

class TokenClusters final : public xp::Fitter {
 public:
  using Params = ::Params;
  explicit TokenClusters(Params p) : p_(std::move(p)) {}

  xp::State fit(const xp::DataSource& corpus, const xp::Encoder* encoder, xp::Handle*,
                const xp::RandomStreams& random) const override {
    if (!encoder) throw xp::Error("clusters of tokens need a vocabulary; write `tokenizer` in the stage that fits");
    std::vector<bool> reserved(static_cast<std::size_t>(encoder->size()));
    for (const auto& [purpose, id] : encoder->purposes()) reserved[static_cast<std::size_t>(id)] = true;
    std::vector<std::int64_t> counts(reserved.size());
    std::vector<std::vector<std::int32_t>> lines;
    corpus.for_each([&](const xp::Document& document) {
      auto& line = lines.emplace_back();
      for (const auto& token : encoder->encode(document.text))
        if (!reserved[static_cast<std::size_t>(token.id)])
          line.push_back(token.id), ++counts[static_cast<std::size_t>(token.id)];
    });
    xp::State state;
    state.set("cluster", xp::Ints{grouped(reserved, counts, lines, random)});
    return state;
  }

 private:
  /// Tokens that never occur have no vector: they share the last cluster, so that every text token has one.
  std::vector<std::int64_t> grouped(const std::vector<bool>& reserved, const std::vector<std::int64_t>& counts,
                                    const std::vector<std::vector<std::int32_t>>& lines,
                                    const xp::RandomStreams& random) const {
    std::vector<std::size_t> seen;
    bool unseen = false;
    for (std::size_t id = 0; id < counts.size(); ++id)
      if (counts[id] > 0)
        seen.push_back(id);
      else
        unseen |= !reserved[id];
    const auto k = static_cast<std::size_t>(p_.clusters) - (unseen ? 1 : 0);
    if (seen.size() < k)
      throw xp::Error(xp::count(seen.size(), "token") + " of the vocabulary occur in the text, too few for " +
                          std::to_string(p_.clusters) + " clusters; lower `clusters`",
                      xp::Exit::data);
    auto vectors = TokenVectors(p_, lines, counts, random.child("vectors")).input;
    Rows rows(seen.size(), vectors.width);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      std::copy_n(vectors.row(seen[i]), rows.width, rows.row(i));
      normalise(rows.row(i), rows.width);
    }
    const SphericalKMeans groups(rows, k, p_.rounds, random.child("clusters").stream());
    std::vector<std::int64_t> cluster(counts.size(), -1);
    for (std::size_t id = 0; id < counts.size(); ++id)
      if (!reserved[id]) cluster[id] = p_.clusters - 1;
    for (std::size_t i = 0; i < seen.size(); ++i) cluster[seen[i]] = static_cast<std::int64_t>(groups.of[i]);
    return cluster;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(token_clusters) {
  registry.add<TokenClusters>("token_clusters", "Groups of tokens that occur in like places.");
}
