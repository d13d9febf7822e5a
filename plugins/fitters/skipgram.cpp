#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <thread>
#include <unordered_map>

#include "api/fitter.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace {

// Compiled a second time for processors with 8-wide multiply-add, picked when the library loads.
#if defined(__x86_64__)
#define XP_WIDE __attribute__((target_clones("arch=haswell", "default")))
#else
#define XP_WIDE
#endif
constexpr std::size_t kLanes = 8;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

/// Rows are padded to whole lanes with zeros, which stay zero under every update.
std::size_t padded(std::int64_t dim) { return (static_cast<std::size_t>(dim) + kLanes - 1) / kLanes * kLanes; }

XP_WIDE float dot(const float* a, const float* b, std::size_t n) {
  Lanes sums[2] = {};
  for (std::size_t d = 0; d < n; d += kLanes) {
    Lanes x, y;
    std::memcpy(&x, a + d, sizeof x), std::memcpy(&y, b + d, sizeof y);
    sums[d / kLanes % 2] += x * y;
  }
  const Lanes both = sums[0] + sums[1];
  float sum = 0;
  for (std::size_t l = 0; l < kLanes; ++l) sum += both[l];
  return sum;
}

/// to += scale * from.
XP_WIDE void add(float* to, const float* from, float scale, std::size_t n) {
  for (std::size_t d = 0; d < n; ++d) to[d] += scale * from[d];
}

/// gradient += step * row, and then row += step * hidden.
XP_WIDE void move_both(float* gradient, float* row, const float* hidden, float step, std::size_t n) {
  for (std::size_t d = 0; d < n; ++d) {
    gradient[d] += step * row[d];
    row[d] += step * hidden[d];
  }
}

void prefetch(const float* row, std::size_t n) {
  for (std::size_t d = 0; d < n; d += 16) __builtin_prefetch(row + d, 1);
}

/// Skip-gram with subwords and negative sampling (Mikolov et al. 2013; Bojanowski et al. 2017). Documents that share
/// a group across languages also predict words at the same relative place, so that translations come to lie together
/// (Vulić and Moens 2015).
class Skipgram final : public xp::Fitter {
 public:
  struct Params {
    std::int64_t dim = 128, epochs = 3, window = 5, negatives = 5, min_count = 3, min_n = 3, max_n = 6,
                 buckets = 200000;
    std::int64_t threads = 1, parallel = 2, parallel_window = 2;
    double lr = 0.05, sample = 1e-4;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::dim, "dim", "Numbers of a vector.").min(1).max(4096);
      f.add(&Params::epochs, "epochs", "Passes over the text.").min(1);
      f.add(&Params::window, "window", "Words to each side, drawn anew up to this for every word.").min(1);
      f.add(&Params::negatives, "negatives", "Words drawn against each true neighbour, by count^0.75.").min(1);
      f.add(&Params::min_count, "min_count", "Rarer words get no vector.").min(1);
      f.add(&Params::min_n, "min_n", "Shortest character n-gram of a word between < and >; 0 uses words alone.")
          .min(0);
      f.add(&Params::max_n, "max_n", "Longest character n-gram.").min(0);
      f.add(&Params::buckets, "buckets", "Vectors that n-grams share by hash.").min(1).max(1e8);
      f.add(&Params::lr, "lr", "Learning rate at the start; it falls to 0 linearly.").above(0);
      f.add(&Params::sample, "sample",
            "Words more frequent than this share are dropped at random (1 - sqrt(sample / share)); 0 drops none.")
          .min(0);
      f.add(&Params::parallel, "parallel",
            "Words of a translation that each word also predicts; 0 ignores translations.")
          .min(0);
      f.add(&Params::parallel_window, "parallel_window", "How far from the same relative place such a word may lie.")
          .min(0);
      f.add(&Params::threads, "threads",
            "1 is repeatable; more share the tables without locks and are faster, but not repeatable.")
          .min(1);
    }
  };
  explicit Skipgram(Params params) : p_(params) {
    if (p_.min_n > p_.max_n)
      throw xp::Error("min_n = " + std::to_string(p_.min_n) + " is above max_n = " + std::to_string(p_.max_n));
  }

  xp::State fit(const xp::DataSource& corpus, const xp::Encoder*, xp::Handle*,
                const xp::RandomStreams& random) const override {
    Work work = read(corpus);
    start(work, random);
    const auto workers = static_cast<std::size_t>(p_.threads);
    std::vector<std::jthread> pool;
    for (std::size_t w = 1; w < workers; ++w) pool.emplace_back([&, w] { pass(work, random, w, workers); });
    pass(work, random, 0, workers);
    pool.clear();
    return state_of(work);
  }

 private:
  struct Text {
    std::vector<std::int32_t> words;
    std::int32_t group = -1;  ///< index into groups, if others share it
    std::string language;
  };
  /// One column of an alias table (Walker 1977): this word with chance `own`, else `other`.
  struct Draw {
    float own = 1;
    std::int32_t other = 0;
  };
  struct Work {
    std::vector<std::string> words;
    std::vector<std::int64_t> counts;
    std::vector<std::vector<std::int32_t>> parts;  ///< rows of `input` that make a word: its own, then its n-grams
    std::vector<Text> texts;
    std::vector<std::vector<std::int32_t>> groups;  ///< texts that are translations of each other
    std::vector<Draw> noise;                        ///< words by count^0.75
    std::vector<float> keep;                        ///< chance to stay under `sample`
    std::vector<float> input, output;
    std::size_t width = 0;  ///< numbers from one row to the next
    std::int64_t tokens = 0;
  };
  /// What one thread works with.
  struct Scratch {
    explicit Scratch(std::size_t width) : hidden(width), gradient(width) {}
    std::vector<float> hidden, gradient;
    std::vector<std::int32_t> line;   ///< words of the text that were kept
    std::vector<std::int32_t> drawn;  ///< the true word first, then the negatives
  };

  Work read(const xp::DataSource& corpus) const {
    Work work;
    std::unordered_map<std::string, std::int64_t> counts;
    std::vector<std::vector<std::string>> raw;
    std::map<std::string, std::vector<std::int32_t>> by_group;
    corpus.for_each([&](const xp::Document& document) {
      auto& words = raw.emplace_back();
      for (const auto& [begin, end] : xp::word_spans(document.text)) {
        words.push_back(document.text.substr(begin, end - begin));
        ++counts[words.back()];
      }
      Text text{.words = {}, .group = -1, .language = document.language};
      if (!document.group.empty()) by_group[document.group].push_back(static_cast<std::int32_t>(work.texts.size()));
      work.texts.push_back(std::move(text));
    });
    std::vector<std::pair<std::int64_t, std::string>> kept;
    for (const auto& [word, n] : counts)
      if (n >= p_.min_count) kept.emplace_back(-n, word);
    if (kept.empty())
      throw xp::Error(
          "no word occurs " + xp::count(static_cast<std::size_t>(p_.min_count), "time") + "; lower min_count",
          xp::Exit::data);
    std::sort(kept.begin(), kept.end());
    std::unordered_map<std::string, std::int32_t> ids;
    for (const auto& [n, word] : kept) {
      ids.emplace(word, static_cast<std::int32_t>(work.words.size()));
      work.words.push_back(word), work.counts.push_back(-n), work.tokens -= n;
    }
    for (std::size_t i = 0; i < raw.size(); ++i)
      for (const auto& word : raw[i])
        if (const auto id = ids.find(word); id != ids.end()) work.texts[i].words.push_back(id->second);
    find_translations(work, by_group);
    return work;
  }

  static void find_translations(Work& work, const std::map<std::string, std::vector<std::int32_t>>& by_group) {
    for (const auto& [name, texts] : by_group) {
      const auto differs = [&](std::int32_t t) {
        return work.texts[static_cast<std::size_t>(t)].language !=
               work.texts[static_cast<std::size_t>(texts.front())].language;
      };
      if (!std::any_of(texts.begin(), texts.end(), differs)) continue;
      for (const auto t : texts)
        work.texts[static_cast<std::size_t>(t)].group = static_cast<std::int32_t>(work.groups.size());
      work.groups.push_back(texts);
    }
  }

  void start(Work& work, const xp::RandomStreams& random) const {
    const auto n = work.words.size();
    const auto rows = n + static_cast<std::size_t>(p_.buckets), dim = static_cast<std::size_t>(p_.dim);
    work.width = padded(p_.dim);
    for (std::size_t w = 0; w < n; ++w)
      work.parts.push_back(parts_of(work.words[w], static_cast<std::int32_t>(w), n));
    work.input.assign(rows * work.width, 0), work.output.assign(n * work.width, 0);
    auto stream = random.child("start").stream();
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t d = 0; d < dim; ++d)
        work.input[r * work.width + d] = static_cast<float>((stream.uniform() - 0.5) / static_cast<double>(p_.dim));
    work.noise = alias_table(work.counts);
    for (const auto count : work.counts) {
      const double frequency = static_cast<double>(count) / static_cast<double>(work.tokens);
      work.keep.push_back(p_.sample > 0 ? static_cast<float>(std::min(1.0, std::sqrt(p_.sample / frequency))) : 1.0F);
    }
  }

  // Small enough for a core's own cache, which a list of words repeated by frequency is not.
  static std::vector<Draw> alias_table(const std::vector<std::int64_t>& counts) {
    std::vector<double> share;
    double mass = 0;
    for (const auto count : counts) mass += share.emplace_back(std::pow(static_cast<double>(count), 0.75));
    std::vector<std::int32_t> below, above;
    for (std::size_t w = 0; w < share.size(); ++w) {
      share[w] *= static_cast<double>(share.size()) / mass;
      (share[w] < 1 ? below : above).push_back(static_cast<std::int32_t>(w));
    }
    std::vector<Draw> table(share.size());
    while (!below.empty() && !above.empty()) {
      const auto low = static_cast<std::size_t>(below.back()), high = static_cast<std::size_t>(above.back());
      below.pop_back();
      table[low] = {.own = static_cast<float>(share[low]), .other = static_cast<std::int32_t>(high)};
      share[high] -= 1 - share[low];
      if (share[high] < 1) above.pop_back(), below.push_back(static_cast<std::int32_t>(high));
    }
    return table;
  }

  static std::int32_t drawn(const std::vector<Draw>& table, xp::RandomStream& stream) {
    const auto bits = stream.next();  // the upper half picks the column, the lower one decides in it
    const auto column = static_cast<std::size_t>(((bits >> 32) * table.size()) >> 32);
    const auto& draw = table[column];
    return static_cast<float>(bits & 0xFFFFFFu) * 0x1p-24F < draw.own ? static_cast<std::int32_t>(column)
                                                                      : draw.other;
  }

  std::vector<std::int32_t> parts_of(const std::string& word, std::int32_t id, std::size_t words) const {
    std::vector<std::int32_t> out{id};
    if (p_.min_n == 0 || !xp::is_utf8(word)) return out;
    const auto letters = xp::characters("<" + word + ">");
    for (std::size_t begin = 0; begin < letters.size(); ++begin) {
      std::string gram;
      for (std::size_t end = begin; end < letters.size() && end - begin < static_cast<std::size_t>(p_.max_n); ++end) {
        xp::append_char(gram, letters[end]);
        const auto length = end - begin + 1;
        if (length < static_cast<std::size_t>(p_.min_n) || length == letters.size()) continue;
        std::uint64_t hash = 1469598103934665603ull;  // FNV-1a, as good as any and the same everywhere
        for (const char c : gram) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
        out.push_back(static_cast<std::int32_t>(words + hash % static_cast<std::uint64_t>(p_.buckets)));
      }
    }
    return out;
  }

  void pass(Work& work, const xp::RandomStreams& random, std::size_t worker, std::size_t workers) const {
    Scratch scratch(work.width);
    auto& line = scratch.line;
    const double total = static_cast<double>(work.tokens * p_.epochs) / static_cast<double>(workers);
    double done = 0;
    for (std::int64_t epoch = 0; epoch < p_.epochs; ++epoch)
      for (std::size_t t = worker; t < work.texts.size(); t += workers) {
        auto stream = random.child("text").stream(epoch, t);
        const auto& text = work.texts[t];
        line.clear();
        for (const auto w : text.words)
          if (work.keep[static_cast<std::size_t>(w)] >= 1 ||
              stream.uniform() < work.keep[static_cast<std::size_t>(w)])
            line.push_back(w);
        const auto rate = static_cast<float>(p_.lr * std::max(1e-4, 1 - done / total));
        for (std::size_t i = 0; i < line.size(); ++i) {
          if (i + 1 < line.size())
            for (const auto part : work.parts[static_cast<std::size_t>(line[i + 1])])
              prefetch(row(work.input, part, work), work.width);
          centre(work, text, i, rate, stream, scratch);
        }
        done += static_cast<double>(text.words.size());
      }
  }

  static float* row(std::vector<float>& table, std::int32_t at, const Work& work) {
    return table.data() + static_cast<std::size_t>(at) * work.width;
  }

  void centre(Work& work, const Text& text, std::size_t i, float rate, xp::RandomStream& stream, Scratch& s) const {
    const auto& parts = work.parts[static_cast<std::size_t>(s.line[i])];
    const float share = 1.0F / static_cast<float>(parts.size());
    std::fill(s.hidden.begin(), s.hidden.end(), 0.0F), std::fill(s.gradient.begin(), s.gradient.end(), 0.0F);
    for (const auto part : parts) add(s.hidden.data(), row(work.input, part, work), share, work.width);
    const auto reach = static_cast<std::size_t>(1 + stream.below(p_.window));
    for (std::size_t j = i > reach ? i - reach : 0; j < std::min(s.line.size(), i + reach + 1); ++j)
      if (j != i) predict(work, s.line[j], rate, stream, s);
    if (text.group >= 0 && p_.parallel > 0)
      translations(work, text, static_cast<double>(i) / static_cast<double>(s.line.size()), rate, stream, s);
    for (const auto part : parts) add(row(work.input, part, work), s.gradient.data(), share, work.width);
  }

  void translations(Work& work, const Text& text, double place, float rate, xp::RandomStream& stream,
                    Scratch& s) const {
    const auto& others = work.groups[static_cast<std::size_t>(text.group)];
    for (std::int64_t n = 0; n < p_.parallel; ++n) {
      const auto& other =
          work.texts[static_cast<std::size_t>(others[static_cast<std::size_t>(stream.below(std::ssize(others)))])];
      if (other.language == text.language || other.words.empty()) continue;
      const auto middle = static_cast<std::int64_t>(place * static_cast<double>(other.words.size()));
      const auto at = std::clamp<std::int64_t>(middle + stream.below(2 * p_.parallel_window + 1) - p_.parallel_window,
                                               0, std::ssize(other.words) - 1);
      predict(work, other.words[static_cast<std::size_t>(at)], rate, stream, s);
    }
  }

  // One true word and `negatives` drawn ones: logistic regression on the dot product. All are drawn before the first
  // is used, so that their rows are on the way from memory.
  void predict(Work& work, std::int32_t truth, float rate, xp::RandomStream& stream, Scratch& s) const {
    s.drawn.assign(1, truth);
    for (std::int64_t n = 0; n < p_.negatives; ++n) {
      const auto word = drawn(work.noise, stream);
      if (word == truth) continue;
      prefetch(row(work.output, word, work), work.width);
      s.drawn.push_back(word);
    }
    for (std::size_t n = 0; n < s.drawn.size(); ++n) {
      float* to = row(work.output, s.drawn[n], work);
      const float score = dot(s.hidden.data(), to, work.width);
      const float step = rate * ((n == 0 ? 1.0F : 0.0F) - 1.0F / (1.0F + std::exp(-score)));
      move_both(s.gradient.data(), to, s.hidden.data(), step, work.width);
    }
  }

  xp::State state_of(const Work& work) const {
    const auto dim = static_cast<std::size_t>(p_.dim);
    xp::Floats vectors{{}, {std::ssize(work.words), p_.dim}};
    vectors.data.resize(work.words.size() * dim);
    for (std::size_t w = 0; w < work.words.size(); ++w) {
      float* to = vectors.data.data() + w * dim;
      for (const auto part : work.parts[w])
        for (std::size_t d = 0; d < dim; ++d)
          to[d] +=
              work.input[static_cast<std::size_t>(part) * work.width + d] / static_cast<float>(work.parts[w].size());
      for (std::size_t d = 0; d < dim; ++d)
        if (!std::isfinite(to[d])) throw xp::Error("the vectors grew beyond all bounds; lower lr");
    }
    xp::State state;
    state.set("words", work.words), state.set("counts", xp::Ints{work.counts}),
        state.set("vectors", std::move(vectors));
    return state;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(skipgram) {
  registry.add<Skipgram>("skipgram", "Word vectors by skip-gram with subwords and negative sampling.");
}
