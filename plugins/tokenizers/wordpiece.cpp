#include <algorithm>
#include <array>

#include "api/dataset.h"
#include "base/error.h"
#include "base/text.h"
#include "kit/byte_trie.h"
#include "kit/counting_tokenizer.h"
#include "kit/merges.h"
#include "plugin/plugin.h"

namespace {

using Json = nlohmann::json;

const xp::ReservedNames kNames{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "]"};

constexpr char32_t kCodePoints = 0x110000;

struct Settings {
  bool lowercase = false, strip_accents = false, split_cjk = true;
  std::string prefix = "##";
  std::int64_t max_word_chars = 100;
};

/// BERT's cleaning: no control characters, one kind of space; then accents, case and NFC.
xp::AlignedText normalise(std::string_view text, const Settings& settings) {
  xp::AlignedText out(text);
  out.rewrite([](char32_t c, std::string_view bytes, xp::TextSpan from, bool same, auto& writer) {
    if (c == 0xFFFD || xp::is_control(c)) return;
    const bool space = xp::is_white_space(c);
    writer.put(space ? " " : bytes, from, same && (!space || c == ' '));
  });
  if (settings.strip_accents) {
    out.nfd();
    out.rewrite([](char32_t c, std::string_view bytes, xp::TextSpan from, bool same, auto& writer) {
      if (!xp::is_nonspacing_mark(c)) writer.put(bytes, from, same);
    });
  }
  if (settings.lowercase) {
    std::string lower;
    out.rewrite([&](char32_t c, std::string_view bytes, xp::TextSpan from, bool same, auto& writer) {
      lower.clear();
      xp::append_lower(lower, c);
      writer.put(lower, from, same && lower == bytes);
    });
  }
  out.nfc();
  return out;
}

/// normalise() without the way back, which counting does not need.
class Cleaner {
 public:
  explicit Cleaner(Settings settings) : settings_(std::move(settings)) {
    for (std::size_t c = 0; c < ascii_.size(); ++c) {
      const auto text = cleaned(std::string(1, static_cast<char>(c)));
      ascii_[c] = text.empty() ? kNothing : text[0];
    }
  }

  std::string operator()(std::string_view text) const {
    std::string out(text.size(), ' ');
    std::size_t n = 0;
    for (const char c : text) {
      if (static_cast<unsigned char>(c) >= 0x80) return cleaned(text);
      const char to = ascii_[static_cast<unsigned char>(c)];
      out[n] = to;
      n += to != kNothing;
    }
    out.resize(n);
    return out;
  }

 private:
  static constexpr char kNothing = '\0';  // a control character, so nothing becomes it

  std::string cleaned(std::string_view text) const {
    const auto rewrite = [](const std::string& from, auto step) {
      std::string out;
      out.reserve(from.size());
      for (std::size_t at = 0; at < from.size();) step(xp::next_char(from, at), out);
      return out;
    };
    std::string out = rewrite(xp::AlignedText(text).text(), [](char32_t c, std::string& to) {
      if (c != 0xFFFD && !xp::is_control(c)) xp::append_char(to, xp::is_white_space(c) ? U' ' : c);
    });
    if (settings_.strip_accents) {
      xp::AlignedText apart(out);
      apart.nfd();
      out = rewrite(apart.text(), [](char32_t c, std::string& to) {
        if (!xp::is_nonspacing_mark(c)) xp::append_char(to, c);
      });
    }
    if (settings_.lowercase) out = rewrite(out, [](char32_t c, std::string& to) { xp::append_lower(to, c); });
    xp::AlignedText composed(out);
    composed.nfc();
    return composed.text();
  }

  Settings settings_;
  std::array<char, 128> ascii_{};
};

/// Greedy longest match from the left (Wu et al. 2016); a word that cannot be covered is one unknown token.
class WordPieceEncoder final : public xp::SubwordEncoder {
 public:
  WordPieceEncoder(xp::Vocabulary vocabulary, Settings settings)
      : SubwordEncoder(std::move(vocabulary)), settings_(std::move(settings)) {
    for (std::size_t i = 0; i < this->vocabulary().size(); ++i) {
      const auto id = static_cast<xp::TokenId>(i);
      const std::string_view token = this->vocabulary().text(id);
      if (is_special(id)) continue;
      if (continues(token)) {
        inside_.insert(token.substr(settings_.prefix.size()), id);
      } else {
        start_.insert(token, id);
      }
    }
  }

  std::string decode(std::span<const xp::TokenId> ids) const override {
    std::string out;
    for (const xp::TokenId id : ids) {
      const std::string& token = vocabulary().text(id);
      if (is_special(id)) continue;
      if (continues(token)) {
        out += token.substr(settings_.prefix.size());
      } else {
        if (!out.empty()) out += ' ';
        out += token;
      }
    }
    return out;
  }

 private:
  bool continues(std::string_view token) const {
    return token.size() > settings_.prefix.size() && token.starts_with(settings_.prefix);
  }

  xp::AlignedText normalised(std::string_view text) const override { return normalise(text, settings_); }
  void split(std::string_view text, const xp::VisitWord& visit) const override {
    xp::split_words_and_punctuation(text, settings_.split_cjk, visit);
  }

  void cut(std::string_view word, std::vector<xp::CutPiece>& out) const override { match(word, true, out); }

  void match(std::string_view word, bool at_start, std::vector<xp::CutPiece>& out) const {
    const std::size_t first = out.size();
    const auto size = static_cast<std::uint32_t>(word.size());
    bool known = !is_longer(word);
    for (std::size_t at = 0; known && at < word.size();) {
      xp::CutPiece best{-1, 0};
      const auto& trie = at == 0 && at_start ? start_ : inside_;
      trie.prefixes(word, at, [&](std::size_t length, std::int32_t id) {
        best = {id, static_cast<std::uint32_t>(at + length)};
      });
      known = best.id >= 0;
      if (known) out.push_back(best), at = best.end;
    }
    if (known) return;
    out.resize(first);
    out.push_back({vocabulary().unknown(), size});
  }

  bool is_longer(std::string_view word) const {
    std::int64_t chars = 0;
    for (std::size_t at = 0; at < word.size() && chars <= settings_.max_word_chars; ++chars) xp::next_char(word, at);
    return chars > settings_.max_word_chars;
  }

  // The pre-tokenizer makes words of single punctuation characters and ideographs: whether they begin a word is lost.
  xp::TokenKey text_key(xp::TokenId id) const override {
    const std::string& token = vocabulary().text(id);
    if (continues(token)) return {token.substr(settings_.prefix.size()), xp::WordStart::no};
    std::size_t at = 0;
    const char32_t c = xp::next_char(token, at);
    const bool alone = xp::is_punctuation(c) || (settings_.split_cjk && xp::is_cjk_ideograph(c));
    return {token, at == token.size() && alone ? xp::WordStart::unknown : xp::WordStart::yes};
  }

  std::vector<xp::TokenId> text_pieces(const xp::TokenKey& key) const override {
    const xp::AlignedText text = normalise(key.bytes, settings_);
    std::vector<xp::CutPiece> cuts;
    match(text.text(), key.word_start != xp::WordStart::no, cuts);
    std::vector<xp::TokenId> out;
    for (const auto& piece : cuts) {
      if (piece.id == vocabulary().unknown()) return {};
      out.push_back(piece.id);
    }
    return out;
  }

  xp::TokenizerParts parts(bool with_vocabulary) const override {
    const Json bert = {{"type", "BertNormalizer"},
                       {"clean_text", true},
                       {"handle_chinese_chars", settings_.split_cjk},
                       {"strip_accents", settings_.strip_accents},
                       {"lowercase", settings_.lowercase}};
    Json model = {{"type", "WordPiece"},
                  {"unk_token", vocabulary().text(vocabulary().unknown())},
                  {"continuing_subword_prefix", settings_.prefix},
                  {"max_input_chars_per_word", settings_.max_word_chars}};
    if (with_vocabulary) model["vocab"] = xp::vocabulary_object(vocabulary());
    return {{{"type", "Sequence"}, {"normalizers", {bert, {{"type", "NFC"}}}}},
            {{"type", "BertPreTokenizer"}},
            {{"type", "WordPiece"}, {"prefix", settings_.prefix}, {"cleanup", false}},
            std::move(model)};
  }

  friend class WordPiece;
  Settings settings_;
  xp::ByteTrie start_, inside_;
};

/// A prefix of other characters could be the start of a word's text.
void check_prefix(const std::string& prefix, xp::Exit exit) {
  bool fine = !prefix.empty() && xp::is_utf8(prefix);
  for (std::size_t at = 0; fine && at < prefix.size();) fine = xp::is_punctuation(xp::next_char(prefix, at));
  if (!fine)
    throw xp::Error("continuing_prefix " + xp::backquoted(xp::printable(prefix)) +
                        " is not made of punctuation, such as `##`: it could be mistaken for the text of a word",
                    exit);
}

/// Learns whole-word pieces. As the Hugging Face trainer does, pieces are merged by the count of neighbours, not by
/// the likelihood ratio of Schuster and Nakajima 2012.
class WordPiece final : public xp::CountingTokenizer {
 public:
  struct Params {
    std::int64_t vocab_size = 8000, min_count = 2, max_word_chars = 100, threads = 0;
    bool lowercase = false, strip_accents = false, split_cjk = true;
    std::string continuing_prefix = "##";

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::vocab_size, "vocab_size", "Number of tokens, reserved ones included.").min(16).max(1 << 24);
      f.add(&Params::min_count, "min_count", "Characters and pairs of pieces that occur less often get no token.")
          .min(1);
      f.add(&Params::lowercase, "lowercase", "Whether text is put into lower case, character by character.");
      f.add(&Params::strip_accents, "strip_accents",
            "Whether nonspacing marks are removed after decomposition (NFD).");
      f.add(&Params::split_cjk, "split_cjk", "Whether each Han ideograph is a word of its own.");
      f.add(&Params::continuing_prefix, "continuing_prefix",
            "Punctuation in front of pieces that do not begin a word.");
      f.add(&Params::max_word_chars, "max_word_chars", "Words with more characters are one unknown token.")
          .min(1)
          .max(10000);
      f.add(&Params::threads, "threads", "Threads that count words; 0 takes one per core.")
          .min(0)
          .max(1024)
          .no_result();
    }
  };

  explicit WordPiece(Params params) : params_(std::move(params)) {
    check_prefix(params_.continuing_prefix, xp::Exit::usage);
  }

  void check(const xp::Reserve& reserve) const override { empty_vocabulary(reserve); }

  std::string words_rule() const override {
    return std::string("bert") + (params_.lowercase ? " lowercase" : "") +
           (params_.strip_accents ? " strip_accents" : "") + (params_.split_cjk ? " split_cjk" : "");
  }

  std::vector<xp::WordCount> count(const xp::DataSource& corpus) const override {
    const Cleaner cleaner(settings());
    return xp::count_words(
        corpus,
        [&](std::string_view text, const std::function<void(std::string_view)>& word) {
          const std::string normal = cleaner(text);
          const std::string_view all = normal;
          xp::split_words_and_punctuation(all, params_.split_cjk, [&](xp::TextSpan span) {
            word(all.substr(span.begin, span.end - span.begin));
          });
        },
        params_.threads);
  }

  std::unique_ptr<const xp::SubwordEncoder> fit(const std::vector<xp::WordCount>& words,
                                                const xp::Reserve& reserve) const override {
    xp::Vocabulary vocabulary = empty_vocabulary(reserve);
    xp::MergeLimits limits;
    limits.symbols = static_cast<std::size_t>(params_.vocab_size) - vocabulary.reserved();
    limits.min_count = params_.min_count;
    limits.forbidden = {vocabulary.tokens().begin(), vocabulary.tokens().end()};
    auto symbols = alphabet(words, limits.symbols / 2);
    auto coded = encode_words(words, symbols);
    const std::size_t prefix = params_.continuing_prefix.size();
    const auto learned = xp::learn_merges(
        std::move(symbols), std::move(coded), limits,
        [&](const std::string& left, const std::string& right) { return left + right.substr(prefix); });
    for (const auto& token : learned.symbols) vocabulary.add(token);
    xp::warn_if_smaller(vocabulary.size(), params_.vocab_size, "no more pairs of pieces occur min_count times");
    return std::make_unique<WordPieceEncoder>(std::move(vocabulary), settings());
  }

  std::unique_ptr<const xp::Encoder> restore(std::string_view text, const xp::Purposes& purposes) const override {
    const xp::TokenizerFile file(text, "WordPiece");
    Settings settings;
    settings.lowercase = file.flag("/normalizer/normalizers/0/lowercase");
    settings.strip_accents = file.flag("/normalizer/normalizers/0/strip_accents");
    settings.split_cjk = file.flag("/normalizer/normalizers/0/handle_chinese_chars");
    settings.prefix = file.model_text("continuing_subword_prefix");
    settings.max_word_chars = file.model_number("max_input_chars_per_word");
    check_prefix(settings.prefix, xp::Exit::data);
    auto encoder = std::make_unique<WordPieceEncoder>(file.vocabulary(purposes), settings);
    file.check(encoder->parts(false));
    return encoder;
  }

 private:
  Settings settings() const {
    return {params_.lowercase, params_.strip_accents, params_.split_cjk, params_.continuing_prefix,
            params_.max_word_chars};
  }

  xp::Vocabulary empty_vocabulary(const xp::Reserve& reserve) const {
    xp::Vocabulary out(kNames, reserve);
    xp::check_vocab_size(params_.vocab_size, out.reserved(), 2, "one character in two places");
    return out;
  }

  bool is_too_long(const std::string& word) const {
    return static_cast<std::int64_t>(word.size()) > params_.max_word_chars &&
           static_cast<std::int64_t>(xp::characters(word).size()) > params_.max_word_chars;
  }

  // Characters at the start of words and inside them (with the prefix): the most frequent `most`, first ones first.
  std::vector<std::string> alphabet(const std::vector<xp::WordCount>& words, std::size_t most) const {
    std::array<std::vector<std::int64_t>, 2> counts{std::vector<std::int64_t>(kCodePoints),
                                                    std::vector<std::int64_t>(kCodePoints)};
    for (const auto& [word, n] : words) {
      if (is_too_long(word)) continue;
      for (std::size_t at = 0; at < word.size();) {
        const bool inside = at > 0;
        counts[inside][xp::next_char(word, at)] += n;
      }
    }
    std::vector<std::pair<std::int64_t, std::pair<bool, char32_t>>> order;
    for (const bool inside : {false, true})
      for (char32_t c = 0; c < kCodePoints; ++c)
        if (const auto n = counts[inside][c]; n >= params_.min_count) order.push_back({-n, {inside, c}});
    std::sort(order.begin(), order.end());
    if (order.size() > most) order.resize(std::max<std::size_t>(1, most));
    std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    std::vector<std::string> out;
    for (const auto& [n, place] : order)
      out.push_back((place.first ? params_.continuing_prefix : "") + xp::char_text(place.second));
    return out;
  }

  // Words with a character that has no token are unknown as a whole: nothing is learned from them.
  xp::SymbolWords encode_words(const std::vector<xp::WordCount>& words,
                               const std::vector<std::string>& symbols) const {
    constexpr xp::SymbolId kNone = UINT32_MAX;
    std::array<std::vector<xp::SymbolId>, 2> ids{std::vector<xp::SymbolId>(kCodePoints, kNone),
                                                 std::vector<xp::SymbolId>(kCodePoints, kNone)};
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      const bool inside =
          symbols[i].starts_with(params_.continuing_prefix) && symbols[i].size() > params_.continuing_prefix.size();
      std::size_t at = inside ? params_.continuing_prefix.size() : 0;
      ids[inside][xp::next_char(symbols[i], at)] = static_cast<xp::SymbolId>(i);
    }
    xp::SymbolWords out;
    std::vector<xp::SymbolId> coded;
    for (const auto& [word, n] : words) {
      if (is_too_long(word)) continue;
      coded.clear();
      bool known = true;
      for (std::size_t at = 0; known && at < word.size();) {
        const bool inside = at > 0;
        const xp::SymbolId id = ids[inside][xp::next_char(word, at)];
        known = id != kNone;
        if (known) coded.push_back(id);
      }
      if (!known) continue;
      out.symbols.insert(out.symbols.end(), coded.begin(), coded.end());
      out.end_word(n);
    }
    return out;
  }

  Params params_;
};

}  // namespace

XP_PLUGIN(wordpiece) {
  registry.add<WordPiece>("wordpiece", "Pieces of words by greedy longest match, as BERT uses them.");
}
