#include <algorithm>
#include <cmath>
#include <cstdio>

#include "api/dataset.h"
#include "base/error.h"
#include "base/text.h"
#include "kit/counting_tokenizer.h"
#include "kit/marked_words.h"
#include "kit/unigram.h"
#include "plugin/plugin.h"

namespace {

using Json = nlohmann::json;

const std::string kMark(xp::kWordMark);
constexpr double kUnknownCost = 10;  // an unknown character scores this much less than the rarest piece

/// marked_words() with the way back to the original bytes.
xp::AlignedText normalise(std::string_view text) {
  xp::AlignedText out(text);
  out.nfkc();
  xp::TextSpan space;
  bool gap = true, first = true;
  out.rewrite([&](char32_t c, std::string_view bytes, xp::TextSpan from, bool same, auto& writer) {
    if (xp::is_white_space(c) || c == 0x2581) {
      space = gap ? xp::TextSpan{space.begin, from.end} : from;
      gap = true;
      return;
    }
    if (gap) writer.put(kMark, first ? xp::TextSpan{from.begin, from.begin} : space, false);
    gap = first = false;
    writer.put(bytes, from, same);
  });
  return out;
}

std::string byte_token(unsigned byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", byte);
  return text;
}

class UnigramEncoder final : public xp::SubwordEncoder {
 public:
  UnigramEncoder(xp::Vocabulary vocabulary, std::vector<double> scores, bool byte_fallback)
      : SubwordEncoder(std::move(vocabulary)),
        scores_(std::move(scores)),
        model_(this->vocabulary().unknown(), lowest() - kUnknownCost) {
    if (byte_fallback)
      for (unsigned b = 0; b < 256; ++b) {
        const auto id = this->vocabulary().find(byte_token(b));
        if (!id) throw xp::Error("byte fallback needs the token " + xp::backquoted(byte_token(b)), xp::Exit::data);
        bytes_.push_back(*id);
      }
    byte_of_.assign(this->vocabulary().size(), -1);
    for (std::size_t b = 0; b < bytes_.size(); ++b)
      byte_of_[static_cast<std::size_t>(bytes_[b])] = static_cast<int>(b);
    for (std::size_t i = 0; i < this->vocabulary().size(); ++i) {
      const auto id = static_cast<xp::TokenId>(i);
      if (!is_special(id) && byte_of_[i] < 0) model_.add(this->vocabulary().text(id), id, scores_[i]);
    }
  }

  std::string decode(std::span<const xp::TokenId> ids) const override {
    std::string out;
    for (const xp::TokenId id : ids) {
      const std::string& token = vocabulary().text(id);
      if (is_special(id)) continue;
      if (const int byte = byte_of_[static_cast<std::size_t>(id)]; byte >= 0) {
        out += static_cast<char>(static_cast<unsigned char>(byte));
      } else {
        append_spaced(token, out);
      }
    }
    if (out.starts_with(' ')) out.erase(0, 1);
    return xp::repaired_utf8(out);
  }

 private:
  static void append_spaced(std::string_view token, std::string& out) {
    for (std::size_t at = 0; at < token.size();) {
      const std::size_t mark = std::min(token.find(kMark, at), token.size());
      out += token.substr(at, mark - at);
      if (mark < token.size()) out += ' ';
      at = mark == token.size() ? mark : mark + kMark.size();
    }
  }

  double lowest() const { return scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end()); }

  xp::AlignedText normalised(std::string_view text) const override { return normalise(text); }
  void split(std::string_view text, const xp::VisitWord& visit) const override {
    xp::split_before(text, kMark, visit);
  }

  // Unknown characters in a row are one unknown token, or the tokens of their bytes.
  void cut(std::string_view word, std::vector<xp::CutPiece>& out) const override {
    std::vector<xp::CutPiece> pieces;
    model_.cut(word, pieces);
    std::uint32_t begin = 0;
    for (std::size_t i = 0; i < pieces.size(); begin = pieces[i++].end) {
      if (pieces[i].id != vocabulary().unknown()) {
        out.push_back(pieces[i]);
      } else if (!bytes_.empty()) {
        for (std::uint32_t at = begin; at < pieces[i].end; ++at)
          out.push_back({bytes_[static_cast<unsigned char>(word[at])], at + 1});
      } else if (i > 0 && pieces[i - 1].id == pieces[i].id) {
        out.back().end = pieces[i].end;
      } else {
        out.push_back(pieces[i]);
      }
    }
  }

  xp::TokenKey text_key(xp::TokenId id) const override {
    if (const int byte = byte_of_[static_cast<std::size_t>(id)]; byte >= 0)
      return {std::string(1, static_cast<char>(static_cast<unsigned char>(byte))), xp::WordStart::no,
              xp::TokenKind::byte};
    std::string_view token = vocabulary().text(id);
    const bool starts = token.starts_with(kMark);
    if (starts) token.remove_prefix(kMark.size());
    std::string bytes;
    append_spaced(token, bytes);
    return {bytes, starts ? xp::WordStart::yes : xp::WordStart::no};
  }

  std::vector<xp::TokenId> text_pieces(const xp::TokenKey& key) const override {
    if (key.kind == xp::TokenKind::byte && key.bytes.size() == 1 && !bytes_.empty())
      return {bytes_[static_cast<unsigned char>(key.bytes[0])]};
    if (!xp::is_utf8(key.bytes)) {  // a part of a character has tokens only as bytes
      if (bytes_.empty()) return {};
      auto out = key.word_start == xp::WordStart::yes ? known_pieces(kMark) : std::vector<xp::TokenId>{};
      for (const char c : key.bytes) out.push_back(bytes_[static_cast<unsigned char>(c)]);
      return out;
    }
    xp::AlignedText text(key.bytes);
    text.nfkc();
    std::string word;
    for (std::size_t at = 0; at < text.text().size();) {
      const char32_t c = xp::next_char(text.text(), at);
      if (xp::is_white_space(c)) {
        word += kMark;
      } else {
        xp::append_char(word, c);
      }
    }
    if (key.word_start == xp::WordStart::yes) return known_pieces(kMark + word);
    auto out = known_pieces(word);
    return out.empty() && key.word_start == xp::WordStart::unknown ? known_pieces(kMark + word) : out;
  }

  xp::TokenizerParts parts(bool with_vocabulary) const override {
    const Json metaspace = {
        {"type", "Metaspace"}, {"replacement", kMark}, {"prepend_scheme", "always"}, {"split", true}};
    Json decoder = metaspace;
    if (!bytes_.empty())
      decoder = {{"type", "Sequence"},
                 {"decoders",
                  {{{"type", "Replace"}, {"pattern", {{"String", kMark}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}},
                   {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}};
    Json model = {{"type", "Unigram"}, {"unk_id", vocabulary().unknown()}, {"byte_fallback", !bytes_.empty()}};
    if (with_vocabulary) {
      Json vocab = Json::array();
      for (std::size_t i = 0; i < scores_.size(); ++i) vocab.push_back({vocabulary().tokens()[i], scores_[i]});
      model["vocab"] = std::move(vocab);
    }
    const Json spaces = {{"type", "Replace"}, {"pattern", {{"Regex", "[\\s" + kMark + "]+"}}}, {"content", " "}};
    const Json strip = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}};
    return {{{"type", "Sequence"}, {"normalizers", {{{"type", "NFKC"}}, spaces, strip}}},
            metaspace,
            std::move(decoder),
            std::move(model)};
  }

  friend class Unigram;
  std::vector<double> scores_;
  xp::UnigramModel model_;
  std::vector<xp::TokenId> bytes_;
  std::vector<int> byte_of_;
};

/// Pieces with probabilities: those that a text needs most, cut by the most likely segmentation.
class Unigram final : public xp::CountingTokenizer {
 public:
  struct Params {
    std::int64_t vocab_size = 8000, seed_size = 1000000, em_iterations = 2, max_piece = 16, threads = 0;
    double character_coverage = 0.9995, shrink = 0.75;
    bool byte_fallback = false, split_kinds = true;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::vocab_size, "vocab_size", "Number of tokens, reserved ones included.").min(16).max(1 << 24);
      f.add(&Params::character_coverage, "character_coverage",
            "Share of the corpus' characters that get a token of their own, the most frequent first.")
          .above(0)
          .max(1);
      f.add(&Params::seed_size, "seed_size", "Most candidate pieces that fitting begins with.").min(1).max(15e6);
      f.add(&Params::shrink, "shrink", "Share of the candidates that a round of pruning keeps.").above(0).below(1);
      f.add(&Params::em_iterations, "em_iterations",
            "Estimations of the probabilities between two rounds of pruning.")
          .min(1)
          .max(100);
      f.add(&Params::max_piece, "max_piece", "Characters of the longest piece, the word's mark included.")
          .min(1)
          .max(255);
      f.add(
          &Params::split_kinds, "split_kinds",
          "Whether pieces stay within one script, within digits or within other characters, not only within words.");
      f.add(&Params::byte_fallback, "byte_fallback",
            "Whether unknown characters become tokens of their bytes instead of the unknown token.");
      f.add(&Params::threads, "threads", "Threads that fit; 0 takes one per core.").min(0).max(1024).no_result();
    }
  };

  explicit Unigram(Params params) : params_(params) {}

  void check(const xp::Reserve& reserve) const override { empty_vocabulary(reserve); }

  std::string words_rule() const override { return "marked"; }

  std::vector<xp::WordCount> count(const xp::DataSource& corpus) const override {
    return xp::count_marked_words(corpus, params_.threads);
  }

  std::unique_ptr<const xp::SubwordEncoder> fit(const std::vector<xp::WordCount>& words,
                                                const xp::Reserve& reserve) const override {
    xp::Vocabulary vocabulary = empty_vocabulary(reserve);
    const std::size_t reserved = vocabulary.reserved() + bytes();
    xp::UnigramSettings settings;
    settings.pieces = static_cast<std::size_t>(params_.vocab_size) - reserved;
    settings.coverage = params_.character_coverage;
    settings.seeds = static_cast<std::size_t>(params_.seed_size);
    settings.shrink = params_.shrink;
    settings.em_iterations = static_cast<int>(params_.em_iterations);
    settings.max_chars = static_cast<int>(params_.max_piece);
    settings.threads = params_.threads;
    settings.split_kinds = params_.split_kinds;
    settings.mark = kMark;
    const auto fitted = xp::fit_unigram(words, settings);

    std::vector<double> scores(vocabulary.size(), 0);
    if (params_.byte_fallback)
      for (unsigned b = 0; b < 256; ++b) vocabulary.add(byte_token(b)), scores.push_back(0);
    for (const auto& piece : fitted.pieces) vocabulary.add(piece.text), scores.push_back(piece.score);
    xp::warn_if_smaller(vocabulary.size(), params_.vocab_size, "the corpus has no more pieces that occur twice");
    return std::make_unique<UnigramEncoder>(std::move(vocabulary), std::move(scores), params_.byte_fallback);
  }

  std::unique_ptr<const xp::Encoder> restore(std::string_view text, const xp::Purposes& purposes) const override {
    const xp::TokenizerFile file(text, "Unigram");
    const Json* vocab = file.find("/model/vocab");
    if (vocab == nullptr || !vocab->is_array())
      throw xp::Error("tokenizer.json: `model` has no list `vocab`", xp::Exit::data);
    std::vector<std::string> tokens;
    std::vector<double> scores;
    for (const auto& one : *vocab) {
      if (!one.is_array() || one.size() != 2 || !one[0].is_string() || one[0].get_ref<const std::string&>().empty() ||
          !one[1].is_number())
        throw xp::Error("tokenizer.json: entry " + std::to_string(tokens.size()) +
                            " of `vocab` is no pair of a token and its score",
                        xp::Exit::data);
      tokens.push_back(one[0].get<std::string>());
      scores.push_back(one[1].get<double>());
    }
    auto encoder = std::make_unique<UnigramEncoder>(file.vocabulary(std::move(tokens), purposes), std::move(scores),
                                                    file.model_flag("byte_fallback"));
    file.check(encoder->parts(false));
    return encoder;
  }

 private:
  std::size_t bytes() const { return params_.byte_fallback ? 256 : 0; }

  xp::Vocabulary empty_vocabulary(const xp::Reserve& reserve) const {
    xp::Vocabulary out(xp::ReservedNames{}, reserve);
    xp::check_vocab_size(params_.vocab_size, out.reserved() + bytes(), 2, "one character and the mark of words");
    return out;
  }

  Params params_;
};

}  // namespace

XP_PLUGIN(unigram) {
  registry.add<Unigram>("unigram", "Pieces of a unigram language model, cut by the most likely segmentation.");
}
