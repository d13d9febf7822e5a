#include "kit/unigram.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "base/random.h"
#include "kit/unicode.h"

using namespace xp;

namespace {

std::string random_word(RandomStream& random, std::int64_t most) {
  static const std::vector<std::string> alphabet{"a", "b", "c", "\u00E9", "\u4E2D"};
  std::string out;
  for (std::int64_t n = 1 + random.below(most); n > 0; --n)
    out += alphabet[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(alphabet.size())))];
  return out;
}

/// Visits every way to cut the characters into pieces; an unknown character is the piece "".
void all_cuts(const std::vector<std::string>& chars, std::size_t at, const std::map<std::string, double>& pieces,
              double unknown, double score, double& best, double& sum) {
  if (at == chars.size()) {
    best = std::max(best, score), sum += std::exp(score);
    return;
  }
  std::string piece;
  for (std::size_t end = at; end < chars.size(); ++end) {
    piece += chars[end];
    if (const auto found = pieces.find(piece); found != pieces.end())
      all_cuts(chars, end + 1, pieces, unknown, score + found->second, best, sum);
  }
  if (!pieces.contains(chars[at])) all_cuts(chars, at + 1, pieces, unknown, score + unknown, best, sum);
}

std::vector<std::string> chars_of(const std::string& word) {
  std::vector<std::string> out;
  for (const char32_t c : characters(word)) out.push_back(char_text(c));
  return out;
}

std::vector<WordCount> random_words(std::uint64_t seed, int n) {
  RandomStream random(seed);
  std::map<std::string, std::int64_t> counts;
  for (int i = 0; i < n; ++i) counts["\u2581" + random_word(random, 8)] += 1 + random.below(20);
  std::vector<WordCount> out;
  for (const auto& [word, count] : counts) out.push_back({word, count});
  return out;
}

double log_likelihood(const std::vector<WordCount>& words, const std::vector<UnigramPiece>& pieces) {
  std::map<std::string, double> scores;
  for (const auto& piece : pieces) scores[piece.text] = piece.score;
  double total = 0;
  for (const auto& [word, count] : words) {
    double best = -std::numeric_limits<double>::infinity(), sum = 0;
    all_cuts(chars_of(word), 0, scores, -30, 0, best, sum);
    total += static_cast<double>(count) * std::log(sum);
  }
  return total;
}

}  // namespace

TEST_CASE("a unigram model finds the best of all cuts") {
  RandomStream random(7);
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, double> pieces;
    for (int i = 0; i < 12; ++i) pieces[random_word(random, 3)] = -0.5 - 8 * random.uniform();
    const double unknown = -25;
    UnigramModel model(0, unknown);
    std::vector<double> scores{unknown};
    for (const auto& [piece, score] : pieces) {
      model.add(piece, static_cast<std::int32_t>(scores.size()), score);
      scores.push_back(score);
    }
    const std::string word = random_word(random, 9);
    double best = -std::numeric_limits<double>::infinity(), sum = 0, found = 0;
    all_cuts(chars_of(word), 0, pieces, unknown, 0, best, sum);
    std::vector<CutPiece> cut;
    model.cut(word, cut);
    for (const auto& piece : cut) found += scores[static_cast<std::size_t>(piece.id)];
    CHECK(std::abs(found - best) < 1e-9);
    CHECK(cut.back().end == word.size());
  }
}

TEST_CASE("maximum-likelihood EM never makes the words less likely, and computes their likelihood right") {
  const auto words = random_words(3, 150);
  UnigramSettings settings;
  settings.sparse = false;
  settings.coverage = 1;
  settings.pieces = 100000;  // nothing is pruned
  settings.em_iterations = 12;
  const auto fit = fit_unigram(words, settings);
  REQUIRE(fit.steps.size() == 12);
  for (std::size_t i = 1; i < fit.steps.size(); ++i)
    if (fit.steps[i].pieces == fit.steps[i - 1].pieces)
      CHECK(fit.steps[i].log_likelihood >= fit.steps[i - 1].log_likelihood - 1e-6);
  CHECK(fit.steps.back().log_likelihood > fit.steps.front().log_likelihood + 100);
  // Letters and the ideograph are of two scripts, so that no piece crosses: cutting the words there changes nothing.
  const double whole = log_likelihood(words, fit.pieces);
  CHECK(whole >= fit.steps.back().log_likelihood - 1e-2);
  settings.em_iterations = 13;
  CHECK(std::abs(fit_unigram(words, settings).steps.back().log_likelihood - whole) < 1e-3 * std::abs(whole));
}

TEST_CASE("a fitted model has as many pieces as asked for, all characters, and beats single characters") {
  const auto words = random_words(5, 400);
  UnigramSettings settings;
  settings.coverage = 1;
  settings.pieces = 40;
  const auto fit = fit_unigram(words, settings);
  CHECK(fit.pieces.size() == 40);
  CHECK(fit.dropped_chars == 0);
  std::map<std::string, double> scores;
  double mass = 0;
  for (const auto& piece : fit.pieces) scores[piece.text] = piece.score, mass += std::exp(piece.score);
  for (const char* c : {"a", "b", "c", "\u00E9", "\u4E2D", "\u2581"}) CHECK(scores.contains(c));
  CHECK(mass < 1.01);
  for (std::size_t i = 1; i < fit.pieces.size(); ++i) CHECK(fit.pieces[i - 1].score >= fit.pieces[i].score);
  settings.pieces = 6;
  CHECK(log_likelihood(words, fit.pieces) > log_likelihood(words, fit_unigram(words, settings).pieces));
  for (const auto& piece : fit.pieces) {
    CHECK(piece.text.find("\u2581", 1) == std::string::npos);
    const bool han = piece.text.find("\u4E2D") != std::string::npos;
    CHECK((!han || piece.text.find_first_of("abc") == std::string::npos));
  }
}

TEST_CASE("pieces cross kinds of characters where they may") {
  const std::vector<WordCount> words{{"\u2581v2.0", 300}, {"\u2581v", 20}, {"\u258120", 20}, {"\u2581.", 20}};
  UnigramSettings settings;
  settings.coverage = 1, settings.pieces = 12;
  const auto crossing = [&] {
    std::size_t n = 0;
    for (const auto& piece : fit_unigram(words, settings).pieces) n += piece.text.find("v2") != std::string::npos;
    return n;
  };
  CHECK(crossing() == 0);
  settings.split_kinds = false;
  CHECK(crossing() > 0);
}

TEST_CASE("a repeated word among noise becomes a piece, and rare characters are dropped by coverage") {
  std::vector<WordCount> words{{"\u2581tokenizer", 500}, {"\u2581token", 300}, {"\u2581q", 1}, {"\u2581zebra", 1}};
  UnigramSettings settings;
  settings.pieces = 24;
  settings.coverage = 0.999;
  const auto fit = fit_unigram(words, settings);
  std::map<std::string, double> scores;
  for (const auto& piece : fit.pieces) scores[piece.text] = piece.score;
  CHECK(scores.contains("\u2581tokenizer"));
  CHECK(scores.contains("\u2581token"));
  CHECK_FALSE(scores.contains("q"));
  CHECK(fit.dropped_chars > 0);
}
