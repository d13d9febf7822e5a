#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/matching.h"
#include "kit/subword_vectors.h"
#include "kit/token_vectors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "kit/weighting.h"
#include "kit/word_files.h"
#include "plugin/plugin.h"

namespace {

using Files = std::vector<xp::Value>;
/// Of each new token how often it was translated by which old tokens.
using Translations = std::unordered_map<xp::TokenId, std::unordered_map<xp::TokenId, double>>;

std::unordered_map<std::string, xp::TokenId> ids_of(const xp::Encoder& encoder) {
  std::unordered_map<std::string, xp::TokenId> out;
  for (xp::TokenId id = 0; id < encoder.size(); ++id) out.emplace(encoder.text(id), id);
  return out;
}

std::vector<xp::TokenId> written(const xp::Encoder& encoder, const std::string& word) {
  std::vector<xp::TokenId> out;
  for (const auto& token : encoder.encode(" " + word)) out.push_back(token.id);
  return out;
}

/// Tokens of words that translate each other: in their order where both words have as many, else every old one for
/// every new one, each with its share of the count.
Translations of_words(const xp::VocabSetting& setting, double least) {
  Translations out;
  for (const auto& [from, to, count] : xp::pair_counts(*setting.translations)) {
    if (count == 0 || count < least) continue;
    const auto source = written(setting.source, from), target = written(setting.target, to);
    for (std::size_t t = 0; t < target.size(); ++t)
      if (source.size() == target.size())
        out[target[t]][source[t]] += count;
      else
        for (const auto id : source) out[target[t]][id] += count / static_cast<double>(source.size());
  }
  return out;
}

/// From the file, whose pairs of tokens that one of the vocabularies lacks do not count, or from the setting's words.
Translations translations(const xp::VocabSetting& setting, const Files& file, double least) {
  if (file.empty()) {
    if (!setting.translations)
      throw xp::Error("this initializer counts translations: give it `counts`, or the stage `translations`",
                      xp::Exit::usage);
    return of_words(setting, least);
  }
  const auto old_ids = ids_of(setting.source), new_ids = ids_of(setting.target);
  Translations out;
  for (const auto& pair : xp::pair_counts(file)) {
    const auto source = old_ids.find(pair.source), target = new_ids.find(pair.target);
    if (pair.count == 0 || pair.count < least || source == old_ids.end() || target == new_ids.end()) continue;
    out[target->second][source->second] += pair.count;
  }
  return out;
}

/// Rows as means of the old tokens that translate them, by count; others are returned.
std::vector<xp::TokenId> set_translated(const Translations& translations, xp::MixPlan& plan) {
  std::vector<xp::TokenId> bare;
  for (const auto row : plan.open_rows()) {
    const auto found = translations.find(row);
    if (found == translations.end()) {
      bare.push_back(row);
      continue;
    }
    double sum = 0;
    std::vector<xp::MixPart> parts;
    for (const auto& [source, count] : found->second) parts.push_back({source, count}), sum += count;
    std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.source < b.source; });
    for (auto& part : parts) part.weight /= sum;
    plan.set_row(row, std::move(parts), "translation");
  }
  return bare;
}

constexpr const char* kCountsDoc =
    "Lines \"old token TAB new token TAB count\": how often words aligned them; none: the stage's `translations`.";

/// RAMEN (Tran 2020, arXiv 2002.07306): rows and biases by the probability of old tokens given the new one, from
/// alignments of parallel text, or by sparsemax over vectors of words that were aligned before.
class Ramen final : public xp::VocabInitializer {
 public:
  struct Params {
    Files counts, source_vectors, target_vectors;
    std::int64_t words = 100000;
    xp::Weighting weighting = xp::Weighting::sparsemax;
    double temperature = 1;
    xp::Fallback fallback = xp::Fallback::random;
    xp::TokenMatch match = xp::TokenMatch::specials;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::counts, "counts", kCountsDoc).files();
      f.add(&Params::source_vectors, "source_vectors",
            "Without counts and `translations`: word vectors of the old language, frequent words first, in one space "
            "with the new ones; "
            "none: those of the stage.")
          .files();
      f.add(&Params::target_vectors, "target_vectors", "The same of the new language.").files();
      f.add(&Params::words, "words", "Words of each file that are read.").min(1);
      f.add(&Params::weighting, "weighting", "How cosines become weights.", xp::weighting_names());
      f.add(&Params::temperature, "temperature", "Divides cosines before they become weights.").above(0);
      f.add(&Params::fallback, "fallback",
            "Tokens that nothing translates; random rows have mean 0 and standard deviation width^-1/2 as published.",
            xp::fallback_names());
      f.add(&Params::match, "match", "Tokens that are copied; as published special ones alone.",
            xp::token_match_names());
    }
  };
  explicit Ramen(Params params) : p_(std::move(params)) {
    if (p_.source_vectors.empty() != p_.target_vectors.empty() || (!p_.counts.empty() && !p_.source_vectors.empty()))
      throw xp::Error(
          "ramen wants `counts`, or `source_vectors` and `target_vectors`, or the stage's `vectors` alone",
          xp::Exit::usage);
  }

  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const bool counted = !p_.counts.empty() || (setting.translations && p_.source_vectors.empty());
    const auto bare = counted ? set_translated(translations(setting, p_.counts, 0), plan) : by_vectors(setting, plan);
    auto tables = setting.weights ? xp::vocab_statistics(*setting.weights) : std::vector<xp::TableStatistics>{};
    for (auto& table : tables) {
      const auto width = table.mean.size();
      if (width > 1) table.mean.assign(width, 0), table.sd.assign(width, 1 / std::sqrt(static_cast<double>(width)));
    }
    xp::fall_back(setting, plan, bare, p_.fallback, "nothing translates the token", std::move(tables));
  }

 private:
  /// A token's vector is the mean over words that have it, written after a space, by 1 / rank.
  xp::SubwordVectors tokens(const xp::Encoder& encoder, xp::NamedVectors table) const {
    const auto n = std::min(table.words.size(), static_cast<std::size_t>(p_.words));
    table.words.resize(n), table.vectors.shape[0] = static_cast<std::int64_t>(n);
    xp::WordUse use{.plain = false, .capitalised = false};
    for (std::size_t rank = 1; rank <= n; ++rank) use.counts.push_back(1 / static_cast<double>(rank));
    const auto order = xp::vector_order(n, false, xp::RandomStream(0));
    return xp::subword_vectors(encoder, table.words, table.vectors, order, use);
  }

  std::vector<xp::TokenId> by_vectors(const xp::VocabSetting& setting, xp::MixPlan& plan) const {
    if (p_.source_vectors.empty() && !setting.vectors)
      throw xp::Error("this initializer compares words: give it `vectors`, `translations` or `counts`",
                      xp::Exit::usage);
    const auto source = tokens(setting.source, xp::source_vectors(setting, p_.source_vectors)),
               target = tokens(setting.target, xp::target_vectors(setting, p_.target_vectors));
    if (source.vectors.size(1) != target.vectors.size(1))
      throw xp::Error("`source_vectors` have " + std::to_string(source.vectors.size(1)) +
                          " numbers, `target_vectors` " + std::to_string(target.vectors.size(1)),
                      xp::Exit::data);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (target.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    auto parts = xp::weighted_neighbours(target, covered, source, 0, p_.weighting, p_.temperature);
    for (std::size_t i = 0; i < covered.size(); ++i)
      if (parts[i].empty())
        bare.push_back(covered[i]);
      else
        plan.set_row(covered[i], std::move(parts[i]), "similarity");
    return bare;
  }

  Params p_;
};

/// Trans-tokenization (Remy et al. 2024): rows are means of the old tokens that translate the new one, by count; a
/// token that both vocabularies have counts as one translation of itself.
class TransTokenization final : public xp::VocabInitializer {
 public:
  struct Params {
    Files counts;
    double min_count = 10, identity = 1;
    xp::Fallback fallback = xp::Fallback::unk;
    xp::TokenMatch match = xp::TokenMatch::specials;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::counts, "counts", kCountsDoc).files();
      f.add(&Params::min_count, "min_count", "Pairs that occur less often are left out.").min(0);
      f.add(&Params::identity, "identity", "What a token that both vocabularies have counts as its own translation.")
          .min(0);
      f.add(&Params::fallback, "fallback", "Tokens that nothing translates.", xp::fallback_names());
      f.add(&Params::match, "match", "Tokens that are copied; as published special ones alone.",
            xp::token_match_names());
    }
  };
  explicit TransTokenization(Params params) : p_(std::move(params)) {}

  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    auto counted = translations(setting, p_.counts, p_.min_count);
    const auto same = xp::match_vocabularies(setting.source, setting.target, {xp::MatchLevel::exact});
    for (const auto row : plan.open_rows())
      if (const auto& own = same[static_cast<std::size_t>(row)]; own && p_.identity > 0)
        counted[row][own->source] += p_.identity;
    xp::fall_back(setting, plan, set_translated(counted, plan), p_.fallback, "nothing translates the token");
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(translation) {
  registry.add<Ramen>("ramen", "Means of old rows by the probability that they translate the token.");
  registry.add<TransTokenization>("trans_tokenization", "Means of old rows by how often they translate the token.");
}
