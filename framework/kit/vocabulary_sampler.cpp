#include "kit/vocabulary_sampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <unordered_map>

#include "base/error.h"
#include "kit/marked_words.h"
#include "kit/unicode.h"

namespace xp {
namespace {

enum class Kind : std::uint8_t { letters, digits, other };

/// Standard normal, from two draws (Box and Muller 1958).
double normal(RandomStream& random) {
  const double radius = std::sqrt(-2 * std::log(random.uniform()));
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

/// How often each word was drawn, by its place in `words`.
std::vector<std::int64_t> drawn_words(const std::vector<WordCount>& words, std::size_t draws, RandomStream random) {
  std::vector<double> until;
  double mass = 0;
  for (const auto& one : words) until.push_back(mass += static_cast<double>(one.count));
  if (mass <= 0) throw Error("there is no word to draw a vocabulary from", Exit::data);
  std::vector<std::int64_t> out(words.size());
  for (std::size_t i = 0; i < draws; ++i) {
    const auto found = std::upper_bound(until.begin(), until.end(), random.uniform() * mass);
    ++out[static_cast<std::size_t>(std::min(found - until.begin(), std::ssize(until) - 1))];
  }
  return out;
}

struct Character {
  std::size_t begin = 0;
  Kind kind = Kind::other;
  bool mark = false;
};

std::vector<Character> characters_of(std::string_view word) {
  std::vector<Character> out;
  for (std::size_t at = 0; at < word.size();) {
    Character one{.begin = at};
    const char32_t c = next_char(word, at);
    one.mark = word.substr(one.begin, at - one.begin) == kWordMark;
    const bool joins = is_mark(c) && !out.empty() && !out.back().mark;
    one.kind = joins ? out.back().kind : is_letter(c) ? Kind::letters : is_number(c) ? Kind::digits : Kind::other;
    out.push_back(one);
  }
  return out;
}

using Masses = std::unordered_map<std::string_view, double>;

/// Adds count times characters for each substring of one kind; the mark goes with what follows it.
void add_substrings(std::string_view word, std::int64_t count, std::size_t max_chars, Masses& masses) {
  const auto chars = characters_of(word);
  for (std::size_t from = 0; from < chars.size(); ++from) {
    const auto first = chars[from].mark && from + 1 < chars.size() ? from + 1 : from;
    for (std::size_t to = from; to < std::min(from + max_chars, chars.size()); ++to) {
      if (to > from && (chars[to].mark || (to > first && chars[to].kind != chars[first].kind))) break;
      const auto end = to + 1 < chars.size() ? chars[to + 1].begin : word.size();
      masses[word.substr(chars[from].begin, end - chars[from].begin)] +=
          static_cast<double>(count) * static_cast<double>(to + 1 - from);
    }
  }
}

std::uint64_t key_of(std::string_view text) {
  std::uint64_t key = text.size();
  for (const char c : text) key = RandomStream::mix(key ^ static_cast<unsigned char>(c));
  return key;
}

}  // namespace

std::vector<UnigramPiece> sample_vocabulary(const std::vector<WordCount>& words, const VocabularySampling& sampling,
                                            const RandomStream& random) {
  const auto drawn = drawn_words(words, sampling.words, random.fork(1));
  Masses masses;
  for (std::size_t i = 0; i < words.size(); ++i)
    if (drawn[i] > 0) add_substrings(words[i].word, drawn[i], sampling.max_chars, masses);
  double all = 0;
  for (const auto& [text, mass] : masses) all += mass;
  auto spread = random.fork(2);
  const double sd = sampling.noise_median * std::exp(sampling.noise_log_sd * normal(spread));
  std::vector<UnigramPiece> pieces, single;
  for (const auto& [text, mass] : masses) {
    auto own = random.fork(3).fork(key_of(text));  // keyed by the text, so that no order of the table matters
    const double share = mass / all, noisy = share + sd * normal(own);
    const bool one_character = characters_of(text).size() == 1;
    if (!one_character && !(noisy > 0)) continue;
    (one_character ? single : pieces).push_back({std::string(text), std::log(noisy > 0 ? noisy : share)});
  }
  const auto better = [](const UnigramPiece& a, const UnigramPiece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  };
  const auto kept = std::min(sampling.pieces, pieces.size());
  std::nth_element(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(kept), pieces.end(), better);
  pieces.resize(kept);
  pieces.insert(pieces.end(), single.begin(), single.end());
  std::sort(pieces.begin(), pieces.end(), better);
  return pieces;
}

}  // namespace xp
