#include <set>
#include <unordered_map>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/procrustes.h"
#include "kit/tensors.h"
#include "kit/token_vectors.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "kit/weighting.h"
#include "kit/word_files.h"
#include "plugin/plugin.h"

namespace {

enum class Align { procrustes, none };

/// WECHSEL (Minixhofer et al. 2022, arXiv 2112.06598): word vectors of two languages, turned into one space by a
/// dictionary, say which old tokens a new one is near; ordinary tokens are not copied.
class Wechsel final : public xp::VocabInitializer {
 public:
  struct Params {
    std::vector<xp::Value> source_vectors, target_vectors, dictionary, source_counts, target_counts;
    Align align = Align::procrustes;
    std::int64_t neighbours = 10;
    double temperature = 0.1;
    xp::Weighting weighting = xp::Weighting::softmax;
    xp::Fallback fallback = xp::Fallback::random;
    xp::TokenMatch match = xp::TokenMatch::specials;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::source_vectors, "source_vectors",
            "Word vectors of the old language; none: the stage's `source_vectors`, else its `vectors`.")
          .files();
      f.add(&Params::target_vectors, "target_vectors",
            "Word vectors of the new language; none: the stage's `vectors`.")
          .files();
      f.add(&Params::dictionary, "dictionary",
            "Pairs of words, old and new, that turn one space into the other; none: the most frequent of the stage's "
            "`translations`.")
          .files();
      f.add(&Params::source_counts, "source_counts", "How often each old word occurs; none: all alike.").files();
      f.add(&Params::target_counts, "target_counts", "How often each new word occurs; none: all alike.").files();
      f.add(&Params::align, "align", "Turn the old space by the dictionary, or take both as one space.",
            {{"procrustes", Align::procrustes}, {"none", Align::none}});
      f.add(&Params::neighbours, "neighbours", "Nearest old tokens that a new row mixes.").min(1);
      f.add(&Params::temperature, "temperature", "Divides cosines before they become weights.").above(0);
      f.add(&Params::weighting, "weighting", "How cosines become weights.", xp::weighting_names());
      f.add(&Params::fallback, "fallback", "Tokens that no word vector covers.", xp::fallback_names());
      f.add(&Params::match, "match",
            "Tokens that are copied where both vocabularies have them; as published special ones alone.",
            xp::token_match_names());
    }
  };
  explicit Wechsel(Params params) : p_(std::move(params)) {
    if (p_.source_vectors.empty() != p_.target_vectors.empty())
      throw xp::Error("wechsel compares two languages: give both `source_vectors` and `target_vectors`, or neither",
                      xp::Exit::usage);
  }

  bool wants_vectors() const override { return p_.source_vectors.empty(); }
  std::optional<xp::Strings> match() const override { return xp::match_of(p_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    auto from = xp::source_vectors(setting, p_.source_vectors);
    const auto to = xp::target_vectors(setting, p_.target_vectors);
    if (from.vectors.shape.at(1) != to.vectors.shape.at(1))
      throw xp::Error("word vectors of the old language have " + std::to_string(from.vectors.shape[1]) +
                          " numbers, those of the new one " + std::to_string(to.vectors.shape[1]),
                      xp::Exit::data);
    const bool two = !p_.source_vectors.empty() || setting.source_vectors;
    if (two && p_.align == Align::procrustes) turn(from, to, dictionary(setting));
    const auto source = tokens(setting.source, from, p_.source_counts),
               target = tokens(setting.target, to, p_.target_counts);
    std::vector<xp::TokenId> covered, bare;
    for (const auto row : plan.open_rows())
      (target.covered[static_cast<std::size_t>(row)] ? covered : bare).push_back(row);
    auto parts = xp::weighted_neighbours(target, covered, source, p_.neighbours, p_.weighting, p_.temperature);
    for (std::size_t i = 0; i < covered.size(); ++i)
      if (parts[i].empty())
        bare.push_back(covered[i]);
      else
        plan.set_row(covered[i], std::move(parts[i]), "similarity");
    xp::fall_back(setting, plan, bare, p_.fallback, "no word vector covers the token");
  }

 private:
  using Dictionary = std::vector<std::pair<std::string, std::string>>;

  Dictionary dictionary(const xp::VocabSetting& setting) const {
    if (!p_.dictionary.empty()) return xp::word_pairs(p_.dictionary);
    if (!setting.translations)
      throw xp::Error(
          "two spaces are aligned by a `dictionary`, or the stage's `translations`; give one, or align = \"none\"",
          xp::Exit::usage);
    return xp::likeliest_translations(*setting.translations);
  }

  static xp::SubwordVectors tokens(const xp::Encoder& encoder, const xp::NamedVectors& words,
                                   const std::vector<xp::Value>& counts) {
    xp::WordUse use{.capitalised = false, .specials = true, .counts = {}};
    if (!counts.empty()) use.counts = xp::word_counts(counts, words.words);
    const auto order = xp::vector_order(words.words.size(), false, xp::RandomStream(0));
    return xp::subword_vectors(encoder, words.words, words.vectors, order, use);
  }

  /// Pairs that both tables have: each word as it is, in lower and in title case.
  static std::vector<std::pair<std::int64_t, std::int64_t>> correspondences(const xp::NamedVectors& from,
                                                                            const xp::NamedVectors& to,
                                                                            const Dictionary& dictionary) {
    const auto places = [](const xp::Strings& words) {
      std::unordered_map<std::string, std::int64_t> out;
      for (std::size_t i = 0; i < words.size(); ++i) out.emplace(words[i], static_cast<std::int64_t>(i));
      return out;
    };
    const auto left = places(from.words), right = places(to.words);
    std::vector<std::pair<std::int64_t, std::int64_t>> out;
    for (const auto& [old_word, new_word] : dictionary)
      for (const auto& a : xp::cases_of(old_word))
        for (const auto& b : xp::cases_of(new_word)) {
          const auto i = left.find(a), j = right.find(b);
          if (i != left.end() && j != right.end()) out.emplace_back(i->second, j->second);
        }
    return out;
  }

  /// Turns the old vectors into the new ones' space, by the dictionary.
  static void turn(xp::NamedVectors& from, const xp::NamedVectors& to, const Dictionary& dictionary) {
    const auto pairs = correspondences(from, to, dictionary);
    if (pairs.empty())
      throw xp::Error("no pair of the dictionary has a vector on both sides, so the spaces cannot be aligned",
                      xp::Exit::data);
    std::vector<std::int64_t> left, right;
    for (const auto& [a, b] : pairs) left.push_back(a), right.push_back(b);
    const auto all = xp::tensor_of(from.vectors.data, from.vectors.shape).to(at::kDouble);
    const auto s = all.index_select(0, xp::tensor_of(left)), t = xp::tensor_of(to.vectors.data, to.vectors.shape)
                                                                     .to(at::kDouble)
                                                                     .index_select(0, xp::tensor_of(right));
    const auto turned = all.matmul(xp::procrustes(s, t)).to(at::kFloat).contiguous();
    from.vectors.data.assign(turned.const_data_ptr<float>(), turned.const_data_ptr<float>() + turned.numel());
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(wechsel) {
  registry.add<Wechsel>("wechsel", "Mixes old rows by word vectors of two languages, aligned by a dictionary.");
}
