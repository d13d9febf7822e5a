#include <algorithm>
#include <unordered_map>

#include "api/fitter.h"
#include "api/tokenizer.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace {

/// A word in lower case, or nothing if it has no letter.
std::string word_of(std::string_view stretch) {
  std::string out;
  bool letters = false;
  for (const char32_t c : xp::characters(stretch)) letters = letters || xp::is_letter(c), xp::append_lower(out, c);
  return letters ? out : std::string();
}

/// Counts of words, and a background b over them with which a document d of |d| words gets the smoothed model
/// p(w | d) = (tf(w, d) + mu b(w)) / (|d| + mu) (Zhai and Lafferty 2004, Dirichlet prior).
class WordCounts final : public xp::Fitter {
 public:
  enum class Smoothing : std::uint8_t { none, dirichlet };
  enum class Background : std::uint8_t { documents, tokens };
  struct Params {
    Smoothing smoothing = Smoothing::dirichlet;
    Background background = Background::documents;
    double mu = 0, max_share = 0.2;
    std::int64_t min_count = 10;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::smoothing, "smoothing", "How a document's model treats words that the document lacks.",
            {{"none", Smoothing::none}, {"dirichlet", Smoothing::dirichlet}});
      f.add(&Params::mu, "mu", "Words that the background counts for; 0: as many as a document has on average.")
          .min(0);
      f.add(&Params::background, "background", "Whether b(w) counts documents with the word, or its tokens.",
            {{"documents", Background::documents}, {"tokens", Background::tokens}});
      f.add(&Params::min_count, "min_count", "Rarer words are left out.").min(1);
      f.add(&Params::max_share, "max_share",
            "Words of a larger share of the documents are left out: they carry no topic, as stop words do not.")
          .above(0)
          .max(1);
    }
  };
  explicit WordCounts(Params params) : p_(params) {}

  /// `words` (most frequent first), `counts`, `documents` (those that have the word), `background`, `mu`. With a
  /// tokenizer, words that it spells with its unknown token only are left out.
  xp::State fit(const xp::DataSource& corpus, const xp::Encoder* encoder, xp::Handle*,
                const xp::RandomStreams&) const override {
    const auto [all, documents] = count(corpus);
    std::vector<std::pair<std::string, Seen>> kept;
    for (const auto& [word, seen] : all)
      if (seen.tokens >= p_.min_count &&
          static_cast<double>(seen.documents) <= p_.max_share * static_cast<double>(documents) &&
          (!encoder || spells(*encoder, word)))
        kept.emplace_back(word, seen);
    if (kept.empty())
      throw xp::Error("of " + xp::count(all.size(), "word") + " none occurs " +
                          xp::count(static_cast<std::size_t>(p_.min_count), "time") + " and in at most " +
                          xp::number_text(p_.max_share * 100) + " % of " +
                          xp::count(static_cast<std::size_t>(documents), "document") +
                          "; lower min_count or raise max_share",
                      xp::Exit::data);
    std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
      return std::pair(-a.second.tokens, std::string_view(a.first)) <
             std::pair(-b.second.tokens, std::string_view(b.first));
    });
    xp::Strings words;
    xp::Ints tokens, of_documents;
    double mass = 0, length = 0;
    for (const auto& [word, seen] : kept) {
      words.push_back(word), tokens.data.push_back(seen.tokens), of_documents.data.push_back(seen.documents);
      mass += static_cast<double>(p_.background == Background::documents ? seen.documents : seen.tokens);
      length += static_cast<double>(seen.tokens);
    }
    xp::Floats background;
    for (const auto n : (p_.background == Background::documents ? of_documents : tokens).data)
      background.data.push_back(static_cast<float>(static_cast<double>(n) / mass));
    const double mu = p_.smoothing == Smoothing::none ? 0
                      : p_.mu > 0                     ? p_.mu
                                                      : length / static_cast<double>(documents);
    xp::State state;
    state.set("words", std::move(words)), state.set("counts", std::move(tokens));
    state.set("documents", std::move(of_documents)), state.set("background", std::move(background));
    state.set("mu", xp::Floats{{static_cast<float>(mu)}});
    return state;
  }

 private:
  struct Seen {
    std::int64_t tokens = 0, documents = 0, last = 0;  ///< `last`: number of the last document that has the word
  };
  struct Counted {
    std::unordered_map<std::string, Seen> words;
    std::int64_t documents = 0;
  };

  static Counted count(const xp::DataSource& corpus) {
    Counted out;
    corpus.for_each([&](const xp::Document& document) {
      ++out.documents;
      for (const auto& [begin, end] : xp::word_spans(document.text)) {
        const auto word = word_of(std::string_view(document.text).substr(begin, end - begin));
        if (word.empty()) continue;
        auto& seen = out.words[word];
        ++seen.tokens;
        if (seen.last != out.documents) seen.last = out.documents, ++seen.documents;
      }
    });
    return out;
  }

  static bool spells(const xp::Encoder& encoder, const std::string& word) {
    const auto unknown = encoder.reserved("unk");
    const auto tokens = encoder.encode(word);
    return std::any_of(tokens.begin(), tokens.end(), [&](const auto& token) { return token.id != unknown; });
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(word_counts) {
  registry.add<WordCounts>("word_counts", "Counts of words with the background of smoothed document models.");
}
