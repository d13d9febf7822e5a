#include <algorithm>
#include <boost/math/special_functions/digamma.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "base/error.h"
#include "kit/unicode.h"
#include "kit/unigram_seeds.h"

namespace xp {
namespace {

// Sums are taken over this many parts of the text in their order, whoever computes them.
constexpr std::size_t kParts = 8;
// A piece that is expected to be used less often is dropped after an M-step.
constexpr double kLeastUse = 0.5;

class Fitter {
 public:
  Fitter(const UnigramText& text, UnigramLattice lattice, const UnigramSettings& settings)
      : text_(text), lattice_(std::move(lattice)), settings_(settings) {
    // A mark that never stands alone has no place in the text, but it is a piece.
    double total = 0;
    for (auto& seed : lattice_.seeds) seed.weight = std::max(seed.weight, kLeastUse), total += seed.weight;
    for (const auto& seed : lattice_.seeds) scores_.push_back(std::log(seed.weight / total));
    single_.assign(scores_.size(), false);
    for (std::size_t i = 0; i < text.alphabet.size(); ++i) single_[i] = true;
    split_parts();
  }

  UnigramFit run() {
    UnigramFit out;
    const std::size_t want = std::max(settings_.pieces, text_.alphabet.size());
    const auto near_enough = static_cast<std::size_t>(static_cast<double>(want) * 1.1);
    const auto rounds_left = [&] {
      const double excess = static_cast<double>(scores_.size()) / static_cast<double>(near_enough);
      return std::max(0.0, std::log(excess) / -std::log(settings_.shrink));
    };
    for (const double rounds = rounds_left();;) {
      show_progress(rounds - rounds_left(), rounds, "fitting " + std::to_string(scores_.size()) + " pieces");
      for (int i = 0; i < settings_.em_iterations; ++i) out.steps.push_back(iterate());
      if (scores_.size() <= near_enough) break;
      prune(std::max(near_enough, static_cast<std::size_t>(static_cast<double>(scores_.size()) * settings_.shrink)));
    }
    out.pieces = best(want);
    out.dropped_chars = text_.dropped_chars;
    return out;
  }

 private:
  // Its characters by number, which are in the order of their code points. Single ones come first and always stay.
  std::span<const std::uint32_t> chars_of(std::size_t id) const {
    const auto& seed = lattice_.seeds[id];
    return {&text_.chars[seed.at], seed.length};
  }
  std::string text_of(std::size_t id) const {
    if (single_[id]) return char_text(text_.alphabet[id]);
    std::string out;
    for (const auto number : chars_of(id)) append_char(out, text_.alphabet[number]);
    return out;
  }

  // Parts of about equal work, by the stretches of the text.
  void split_parts() {
    const std::size_t stretches = text_.counts.size();
    parts_.assign(kParts + 1, stretches);
    parts_[0] = 0;
    for (std::size_t p = 1; p < kParts; ++p) {
      const auto at = static_cast<std::uint32_t>(text_.chars.size() * p / kParts);
      parts_[p] = static_cast<std::size_t>(std::lower_bound(text_.begins.begin(), text_.begins.end() - 1, at) -
                                           text_.begins.begin());
    }
  }

  template <class Work>
  void over_parts(Work work) {
    run_parallel(kParts, settings_.threads, [&](std::size_t p) {
      for (std::size_t s = parts_[p]; s < parts_[p + 1]; ++s) work(p, s);
    });
  }

  struct Scratch {
    std::vector<double> beta, node, edge;
  };

  // Expected uses of the pieces in one stretch, added to `uses`; gives log P(stretch) times its count. beta[i] is the
  // probability of what follows place i, node[i] the posterior that a piece begins there, times the count (equation 6
  // of the paper, summed over all cuts).
  double expect(std::size_t stretch, std::vector<double>& uses, Scratch& scratch) const {
    const std::uint32_t begin = text_.begins[stretch], size = text_.begins[stretch + 1] - begin;
    const std::uint64_t first = lattice_.first[begin];
    scratch.beta.assign(size + 1, 0);
    scratch.edge.resize(lattice_.first[begin + size] - first);
    const double log_p = size <= most_linear_ ? go_back(begin, size, scratch) : go_back_in_logs(begin, size, scratch);
    scratch.node.assign(size + 1, 0);
    scratch.node[0] = static_cast<double>(text_.counts[stretch]);
    for (std::uint32_t i = 0; i < size; ++i) {
      const double share = scratch.node[i] / scratch.beta[i];
      for (std::uint64_t e = lattice_.first[begin + i]; e < lattice_.first[begin + i + 1]; ++e) {
        const double p = share * scratch.edge[e - first];
        scratch.node[i + lattice_.edges[e].length] += p;
        uses[lattice_.edges[e].id] += p;
      }
    }
    return log_p * static_cast<double>(text_.counts[stretch]);
  }

  // Of each place, beta and what its edges add to it.
  double go_back(std::uint32_t begin, std::uint32_t size, Scratch& scratch) const {
    const std::uint64_t first = lattice_.first[begin];
    scratch.beta[size] = 1;
    for (std::uint32_t i = size; i-- > 0;) {
      double sum = 0;
      for (std::uint64_t e = lattice_.first[begin + i]; e < lattice_.first[begin + i + 1]; ++e)
        sum += scratch.edge[e - first] = odds_[lattice_.edges[e].id] * scratch.beta[i + lattice_.edges[e].length];
      scratch.beta[i] = sum;
    }
    return std::log(scratch.beta[0]);
  }

  // The same where the numbers would become too small: the edges of a place by their share, so that its beta is 1.
  double go_back_in_logs(std::uint32_t begin, std::uint32_t size, Scratch& scratch) const {
    const std::uint64_t first = lattice_.first[begin];
    auto& beta = scratch.beta;
    for (std::uint32_t i = size; i-- > 0;) {
      const std::uint64_t from = lattice_.first[begin + i], to = lattice_.first[begin + i + 1];
      double top = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::uint64_t e = from; e < to; ++e) {
        const auto& edge = lattice_.edges[e];
        scratch.edge[e - first] = scores_[edge.id] + beta[i + edge.length];
        top = std::max(top, scratch.edge[e - first]);
      }
      for (std::uint64_t e = from; e < to; ++e)
        sum += scratch.edge[e - first] = std::exp(scratch.edge[e - first] - top);
      for (std::uint64_t e = from; e < to; ++e) scratch.edge[e - first] /= sum;
      beta[i] = top + std::log(sum);
    }
    const double out = beta[0];
    std::fill(beta.begin(), beta.end(), 1.0);
    return out;
  }

  // What one iteration computes with. A stretch is at least as probable as its single characters, so that up to
  // most_linear_ of them no probability is too small for a double.
  void set_odds() {
    constexpr double kLeastLog = -690;
    odds_.resize(scores_.size());
    double least = -1;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      odds_[i] = std::exp(scores_[i]);
      if (single_[i]) least = std::min(least, scores_[i]);
    }
    most_linear_ = static_cast<std::uint32_t>(kLeastLog / least);
  }

  static void add_up(std::vector<std::vector<double>>& parts) {
    for (std::size_t p = 1; p < parts.size(); ++p)
      for (std::size_t i = 0; i < parts[0].size(); ++i) parts[0][i] += parts[p][i];
  }

  UnigramFit::Step iterate() {
    std::vector<std::vector<double>> uses(kParts, std::vector<double>(scores_.size()));
    std::vector<double> likelihood(kParts);
    std::vector<Scratch> scratch(kParts);
    set_odds();
    over_parts([&](std::size_t p, std::size_t s) { likelihood[p] += expect(s, uses[p], scratch[p]); });
    add_up(uses);
    const UnigramFit::Step step{scores_.size(), std::accumulate(likelihood.begin(), likelihood.end(), 0.0)};

    std::vector<char> keep(scores_.size());
    double total = 0;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      auto& n = uses[0][i];
      keep[i] = single_[i] || n >= kLeastUse;
      // Characters stay even when longer pieces do their work.
      if (single_[i]) n = std::max(n, settings_.sparse ? kLeastUse : 1e-6);
      if (keep[i]) total += n;
    }
    const auto log_of = [&](double n) { return settings_.sparse ? boost::math::digamma(n) : std::log(n); };
    for (std::size_t i = 0; i < scores_.size(); ++i)
      if (keep[i]) scores_[i] = log_of(uses[0][i]) - log_of(total);
    drop(keep);
    return step;
  }

  // How often the best cuts of the text use each piece.
  std::vector<double> best_uses() {
    std::vector<std::vector<double>> uses(kParts, std::vector<double>(scores_.size()));
    std::vector<std::vector<double>> beta(kParts);
    std::vector<std::vector<std::uint64_t>> chosen(kParts);
    over_parts([&](std::size_t p, std::size_t s) {
      const std::uint32_t begin = text_.begins[s], size = text_.begins[s + 1] - begin;
      best_cut(begin, size, size + 1, beta[p], chosen[p]);
      for (std::uint32_t i = 0; i < size; i += lattice_.edges[chosen[p][i]].length)
        uses[p][lattice_.edges[chosen[p][i]].id] += static_cast<double>(text_.counts[s]);
    });
    add_up(uses);
    return uses[0];
  }

  // Best cut of `size` characters from `begin` on without pieces of `too_long` characters; its score.
  double best_cut(std::uint32_t begin, std::uint32_t size, std::uint32_t too_long, std::vector<double>& beta,
                  std::vector<std::uint64_t>& chosen) const {
    beta.assign(size + 1, -std::numeric_limits<double>::infinity());
    chosen.assign(size + 1, 0);
    beta[size] = 0;
    for (std::uint32_t i = size; i-- > 0;)
      for (std::uint64_t e = lattice_.first[begin + i]; e < lattice_.first[begin + i + 1]; ++e) {
        const auto& edge = lattice_.edges[e];
        if (edge.length >= too_long || i + edge.length > size) break;  // shortest first
        if (scores_[edge.id] + beta[i + edge.length] > beta[i])
          beta[i] = scores_[edge.id] + beta[i + edge.length], chosen[i] = e;
      }
    return beta[0];
  }

  // Keeps the pieces whose removal would cost the text most likelihood, as sentencepiece's trainer estimates it: a
  // removed piece's uses go to the pieces of its second-best cut. A piece that is worse than that cut is not used.
  void prune(std::size_t want) {
    const auto uses = best_uses();
    const double total = std::accumulate(uses.begin(), uses.end(), 0.0);
    std::vector<double> loss(scores_.size(), -std::numeric_limits<double>::infinity());
    run_parallel(kParts, settings_.threads, [&](std::size_t p) {
      std::vector<double> beta;
      std::vector<std::uint64_t> chosen;
      for (std::size_t i = p; i < scores_.size(); i += kParts) {
        const auto& seed = lattice_.seeds[i];
        if (single_[i]) {
          loss[i] = std::numeric_limits<double>::infinity();
          continue;
        }
        if (uses[i] <= 0 || best_cut(seed.at, seed.length, seed.length, beta, chosen) > scores_[i]) continue;
        double parts = 0, log_parts = 0;
        for (std::uint32_t k = 0; k < seed.length; k += lattice_.edges[chosen[k]].length) ++parts;
        const double log_total = std::log(total + uses[i] * (parts - 1));
        for (std::uint32_t k = 0; k < seed.length; k += lattice_.edges[chosen[k]].length)
          log_parts += std::log(uses[lattice_.edges[chosen[k]].id] + uses[i]) - log_total;
        loss[i] = uses[i] / total * (std::log(uses[i]) - std::log(total) - log_parts);
      }
    });
    std::vector<std::uint32_t> order(scores_.size());
    std::iota(order.begin(), order.end(), 0u);
    want = std::min(want, order.size());
    std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(want), order.end(),
                     [&](auto a, auto b) {
                       if (loss[a] != loss[b] || single_[a] || single_[b])
                         return loss[a] != loss[b] ? loss[a] > loss[b] : a < b;
                       return std::ranges::lexicographical_compare(chars_of(a), chars_of(b));
                     });
    std::vector<char> keep(scores_.size());
    for (std::size_t k = 0; k < want; ++k) keep[order[k]] = loss[order[k]] > -std::numeric_limits<double>::infinity();
    drop(keep);
  }

  // Forgets pieces; those that stay are numbered anew in their order.
  void drop(const std::vector<char>& keep) {
    if (std::find(keep.begin(), keep.end(), 0) == keep.end()) return;
    constexpr std::uint32_t kGone = UINT32_MAX;
    std::vector<std::uint32_t> now(keep.size(), kGone);
    std::uint32_t n = 0;
    for (std::size_t i = 0; i < keep.size(); ++i) {
      if (!keep[i]) continue;
      now[i] = n;
      scores_[n] = scores_[i], single_[n] = single_[i], lattice_.seeds[n] = lattice_.seeds[i];
      ++n;
    }
    scores_.resize(n), single_.resize(n), lattice_.seeds.resize(n);
    std::uint64_t out = 0, from = 0;
    for (std::size_t i = 0; i + 1 < lattice_.first.size(); ++i) {
      const std::uint64_t to = lattice_.first[i + 1];
      for (std::uint64_t e = from; e < to; ++e)
        if (now[lattice_.edges[e].id] != kGone)
          lattice_.edges[out++] = {now[lattice_.edges[e].id], lattice_.edges[e].length};
      lattice_.first[i + 1] = out;
      from = to;
    }
    lattice_.edges.resize(out);
  }

  std::vector<UnigramPiece> best(std::size_t want) const {
    std::vector<UnigramPiece> singles, others;
    for (std::size_t i = 0; i < scores_.size(); ++i)
      (single_[i] ? singles : others).push_back({text_of(i), std::round(scores_[i] * 1e6) / 1e6});
    const auto better = [](const UnigramPiece& a, const UnigramPiece& b) {
      return a.score != b.score ? a.score > b.score : a.text < b.text;
    };
    std::sort(others.begin(), others.end(), better);
    others.resize(std::min(others.size(), want - singles.size()));
    others.insert(others.end(), singles.begin(), singles.end());
    std::sort(others.begin(), others.end(), better);
    return others;
  }

  const UnigramText& text_;
  UnigramLattice lattice_;
  const UnigramSettings& settings_;
  std::vector<double> scores_;
  std::vector<char> single_;
  std::vector<double> odds_;  // exp of the scores
  std::uint32_t most_linear_ = 0;
  std::vector<std::size_t> parts_;
};

}  // namespace

UnigramFit fit_unigram(const std::vector<WordCount>& words, const UnigramSettings& settings) {
  const UnigramText text = stretches_of(words, settings);
  if (text.chars.empty()) throw Error("the corpus has no characters to fit pieces on", Exit::data);
  show_progress(0, 0, "finding pieces in " + std::to_string(text.chars.size()) + " characters");
  return Fitter(text, seeds_of(text, settings), settings).run();
}

}  // namespace xp
