#include <algorithm>
#include <map>
#include <optional>

#include "api/dataset.h"
#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"
#include "kit/counting_tokenizer.h"
#include "kit/merges.h"
#include "plugin/plugin.h"

namespace {

using Json = nlohmann::json;

enum class Words { gpt2, whitespace };

// White space is written out in ours: PCRE2's \s has U+180E, which the Unicode property lost in version 6.3.
#define XP_SPACE R"(\t-\r\x20\x{85}\p{Z})"
struct Pattern {
  const char* ours;    // for PCRE2; null: split_gpt2_words
  const char* theirs;  // the same for tokenizer.json (Oniguruma)
};
constexpr Pattern kGpt2{nullptr, R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"};
constexpr Pattern kWhitespace{R"( ?[^)" XP_SPACE R"(]+|[)" XP_SPACE R"(]+(?![^)" XP_SPACE R"(])|[)" XP_SPACE R"(]+)",
                              R"( ?\S+|\s+(?!\S)|\s+)"};
#undef XP_SPACE

const Pattern& pattern_of(Words words) { return words == Words::gpt2 ? kGpt2 : kWhitespace; }

/// What merges never cross.
class WordSplitter {
 public:
  explicit WordSplitter(Words words) {
    if (const char* const ours = pattern_of(words).ours) pattern_.emplace(ours);
  }
  void operator()(std::string_view text, const xp::VisitWord& visit) const {
    pattern_ ? pattern_->split(text, visit) : xp::split_gpt2_words(text, visit);
  }

 private:
  std::optional<xp::WordPattern> pattern_;
};

// A word without end would make learning quadratic; what is longer is learned from in parts of this many bytes.
constexpr std::size_t kLongestLearned = 256;

/// Merges neighbours in the order in which they were learned (Sennrich et al. 2016), over bytes (Radford et al. 2019)
/// or characters.
class BpeEncoder final : public xp::SubwordEncoder {
 public:
  BpeEncoder(xp::Vocabulary vocabulary, std::vector<xp::Merge> merges, bool byte_level, Words words)
      : SubwordEncoder(std::move(vocabulary)),
        merges_(std::move(merges)),
        table_(merges_),
        byte_level_(byte_level),
        words_(words),
        splitter_(words) {
    if (!byte_level_) return;
    for (int b = 0; b < 256; ++b) {
      const std::string token = xp::char_text(xp::byte_level_char(static_cast<unsigned char>(b)));
      const auto id = this->vocabulary().find(token);
      if (!id || is_special(*id))
        throw xp::Error("byte " + std::to_string(b) + " has no token " + token, xp::Exit::data);
      byte_ids_.push_back(*id);
    }
    for (std::size_t i = 0; i < this->vocabulary().size(); ++i) {
      const auto id = static_cast<xp::TokenId>(i);
      auto bytes = is_special(id) ? std::string() : xp::from_byte_level(this->vocabulary().text(id));
      if (!bytes)
        throw xp::Error("token " + xp::backquoted(xp::printable(this->vocabulary().text(id))) +
                            " has a character that stands for no byte",
                        xp::Exit::data);
      bytes_of_.push_back(std::move(*bytes));
    }
  }

  std::string decode(std::span<const xp::TokenId> ids) const override {
    std::string out;
    for (const xp::TokenId id : ids) {
      const std::string& token = vocabulary().text(id);
      if (!is_special(id)) out += byte_level_ ? bytes_of_[static_cast<std::size_t>(id)] : token;
    }
    return xp::repaired_utf8(out);
  }

 private:
  xp::AlignedText normalised(std::string_view text) const override { return xp::AlignedText(text); }
  void split(std::string_view text, const xp::VisitWord& visit) const override { splitter_(text, visit); }

  void cut(std::string_view word, std::vector<xp::CutPiece>& out) const override {
    std::vector<xp::SymbolId> symbols;
    std::vector<std::uint32_t> lengths;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t begin = at;
      if (byte_level_) {
        symbols.push_back(static_cast<xp::SymbolId>(byte_ids_[static_cast<unsigned char>(word[at++])]));
      } else {
        xp::next_char(word, at);
        const auto id = vocabulary().find(word.substr(begin, at - begin));
        symbols.push_back(static_cast<xp::SymbolId>(id.value_or(vocabulary().unknown())));
      }
      lengths.push_back(static_cast<std::uint32_t>(at - begin));
    }
    table_.apply(symbols, lengths);
    std::uint32_t end = 0;
    for (std::size_t i = 0; i < symbols.size(); ++i)
      out.push_back({static_cast<xp::TokenId>(symbols[i]), end += lengths[i]});
  }

  xp::TokenKey text_key(xp::TokenId id) const override {
    std::string bytes = byte_level_ ? bytes_of_[static_cast<std::size_t>(id)] : vocabulary().text(id);
    if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) >= 0x80)
      return {bytes, xp::WordStart::no, xp::TokenKind::byte};
    if (!bytes.starts_with(' ')) return {bytes, xp::WordStart::no};
    return {bytes.substr(1), xp::WordStart::yes};
  }

  std::vector<xp::TokenId> text_pieces(const xp::TokenKey& key) const override {
    if (!byte_level_ && !xp::is_utf8(key.bytes)) return {};
    return known_pieces(key.word_start == xp::WordStart::yes ? " " + key.bytes : key.bytes);
  }

  xp::TokenizerParts parts(bool with_vocabulary) const override {
    const bool own_words = !byte_level_ || words_ != Words::gpt2;
    const Json level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", !own_words}};
    const Json split = {{"type", "Split"},
                        {"pattern", {{"Regex", pattern_of(words_).theirs}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
    Json before = level, after = level;
    if (own_words) before = {{"type", "Sequence"}, {"pretokenizers", {split, level}}};
    if (!byte_level_) before = split, after = {{"type", "Fuse"}};
    Json model = {{"type", "BPE"},
                  {"dropout", nullptr},
                  {"unk_token", nullptr},
                  {"continuing_subword_prefix", nullptr},
                  {"end_of_word_suffix", nullptr},
                  {"fuse_unk", false},
                  {"byte_fallback", false},
                  {"ignore_merges", false}};
    if (!byte_level_) model["unk_token"] = vocabulary().text(vocabulary().unknown());
    if (with_vocabulary) {
      Json merges = Json::array();
      for (const auto& one : merges_)
        merges.push_back(Json::array({vocabulary().tokens()[one.left], vocabulary().tokens()[one.right]}));
      model["vocab"] = xp::vocabulary_object(vocabulary());
      model["merges"] = std::move(merges);
    }
    return {nullptr, std::move(before), std::move(after), std::move(model)};
  }

  friend class Bpe;
  std::vector<xp::Merge> merges_;
  xp::MergeTable table_;
  bool byte_level_;
  Words words_;
  WordSplitter splitter_;
  std::vector<xp::TokenId> byte_ids_;
  std::vector<std::string> bytes_of_;
};

/// Learns merges of neighbours, the most frequent first.
class Bpe final : public xp::CountingTokenizer {
 public:
  struct Params {
    std::int64_t vocab_size = 8000, min_count = 2, threads = 0;
    bool byte_level = true;
    Words pattern = Words::gpt2;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::vocab_size, "vocab_size", "Number of tokens, reserved ones included.").min(16).max(1 << 24);
      f.add(&Params::min_count, "min_count",
            "Pairs (and, without byte_level, characters) that occur less often get no token.")
          .min(1);
      f.add(&Params::byte_level, "byte_level",
            "Whether merges begin with the 256 bytes, so that nothing is unknown, or with the characters of the "
            "corpus.");
      f.add(&Params::pattern, "pattern",
            "What merges never cross: runs of letters, digits and other characters, or only white space.",
            {{"gpt2", Words::gpt2}, {"whitespace", Words::whitespace}});
      f.add(&Params::threads, "threads", "Threads that count words; 0 takes one per core.")
          .min(0)
          .max(1024)
          .no_result();
    }
  };

  explicit Bpe(Params params) : params_(params) {}

  void check(const xp::Reserve& reserve) const override { empty_vocabulary(reserve); }

  std::string words_rule() const override { return params_.pattern == Words::gpt2 ? "gpt2" : "whitespace"; }

  std::vector<xp::WordCount> count(const xp::DataSource& corpus) const override {
    const WordSplitter splitter(params_.pattern);
    const auto words_of = [&](std::string_view text, const std::function<void(std::string_view)>& word) {
      splitter(text, [&](xp::TextSpan span) { word(text.substr(span.begin, span.end - span.begin)); });
    };
    return xp::count_words(
        corpus,
        [&](std::string_view text, const std::function<void(std::string_view)>& word) {
          xp::is_utf8(text) ? words_of(text, word) : words_of(xp::AlignedText(text).text(), word);
        },
        params_.threads);
  }

  std::unique_ptr<const xp::SubwordEncoder> fit(const std::vector<xp::WordCount>& words,
                                                const xp::Reserve& reserve) const override {
    xp::Vocabulary vocabulary = empty_vocabulary(reserve);
    const std::size_t reserved = vocabulary.reserved();
    xp::MergeLimits limits;
    limits.symbols = static_cast<std::size_t>(params_.vocab_size) - reserved;
    limits.min_count = params_.min_count;
    limits.forbidden = {vocabulary.tokens().begin(), vocabulary.tokens().end()};
    auto symbols =
        params_.byte_level ? all_bytes() : frequent_chars(words, std::max<std::size_t>(1, limits.symbols / 2));
    auto coded = encode_words(words, symbols);
    const auto learned =
        xp::learn_merges(std::move(symbols), std::move(coded), limits,
                         [](const std::string& left, const std::string& right) { return left + right; });
    for (const auto& token : learned.symbols) vocabulary.add(token);
    xp::warn_if_smaller(vocabulary.size(), params_.vocab_size, "no more pairs of pieces occur min_count times");
    std::vector<xp::Merge> merges;
    const auto shift = static_cast<xp::SymbolId>(reserved);
    for (const auto& one : learned.merges)
      merges.push_back({one.left + shift, one.right + shift, one.result + shift});
    return std::make_unique<BpeEncoder>(std::move(vocabulary), std::move(merges), params_.byte_level,
                                        params_.pattern);
  }

  std::unique_ptr<const xp::Encoder> restore(std::string_view text, const xp::Purposes& purposes) const override {
    const xp::TokenizerFile file(text, "BPE");
    const Json* type = file.find("/pre_tokenizer/pretokenizers/0/type");
    const Json* only = file.find("/pre_tokenizer/type");
    const bool byte_level = type != nullptr || (only != nullptr && *only == "ByteLevel");
    const Json* regex =
        file.find(type != nullptr ? "/pre_tokenizer/pretokenizers/0/pattern/Regex" : "/pre_tokenizer/pattern/Regex");
    const Words words = regex != nullptr && *regex == kWhitespace.theirs ? Words::whitespace : Words::gpt2;
    xp::Vocabulary vocabulary = file.vocabulary(purposes);
    auto merges = read_merges(file, vocabulary);
    auto encoder = std::make_unique<BpeEncoder>(std::move(vocabulary), std::move(merges), byte_level, words);
    file.check(encoder->parts(false));
    return encoder;
  }

 private:
  static std::vector<xp::Merge> read_merges(const xp::TokenizerFile& file, const xp::Vocabulary& vocabulary) {
    const Json* list = file.find("/model/merges");
    if (list == nullptr || !list->is_array())
      throw xp::Error("tokenizer.json: `model` has no list `merges`", xp::Exit::data);
    std::vector<xp::Merge> out;
    for (const auto& one : *list) {
      const auto wrong = [&](const std::string& what) -> xp::Error {
        return xp::Error("tokenizer.json: merge " + std::to_string(out.size()) + what, xp::Exit::data);
      };
      if (!one.is_array() || one.size() != 2 || !one[0].is_string() || !one[1].is_string())
        throw wrong(" is no pair of tokens");
      const auto& left = one[0].get_ref<const std::string&>();
      const auto& right = one[1].get_ref<const std::string&>();
      const auto a = vocabulary.find(left), b = vocabulary.find(right), c = vocabulary.find(left + right);
      for (const auto& [id, token] : {std::pair(a, left), std::pair(b, right), std::pair(c, left + right)})
        if (!id)
          throw wrong(" needs the token " + xp::backquoted(xp::printable(token)) + ", which is not in `vocab`");
      out.push_back({static_cast<xp::SymbolId>(*a), static_cast<xp::SymbolId>(*b), static_cast<xp::SymbolId>(*c)});
    }
    return out;
  }

  xp::Vocabulary empty_vocabulary(const xp::Reserve& reserve) const {
    xp::Vocabulary out(xp::ReservedNames{}, reserve);
    if (params_.byte_level)
      xp::check_vocab_size(params_.vocab_size, out.reserved(), 256, "256 bytes");
    else
      xp::check_vocab_size(params_.vocab_size, out.reserved(), 2, "two characters");
    return out;
  }

  // Symbols by their characters' code points, as the Hugging Face trainer numbers them.
  static std::vector<std::string> all_bytes() {
    std::vector<char32_t> chars;
    for (int b = 0; b < 256; ++b) chars.push_back(xp::byte_level_char(static_cast<unsigned char>(b)));
    std::sort(chars.begin(), chars.end());
    std::vector<std::string> out;
    for (const char32_t c : chars) out.push_back(xp::char_text(c));
    return out;
  }

  std::vector<std::string> frequent_chars(const std::vector<xp::WordCount>& words, std::size_t most) const {
    auto counts = xp::count_chars(words);
    std::erase_if(counts, [&](const xp::CharCount& one) { return one.count < params_.min_count; });
    if (counts.size() > most) counts.resize(most);
    std::sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.c < b.c; });
    std::vector<std::string> out;
    for (const auto& one : counts) out.push_back(xp::char_text(one.c));
    return out;
  }

  static std::size_t part_end(std::string_view word, std::size_t begin) {
    std::size_t end = std::min(word.size(), begin + kLongestLearned);
    while (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) --end;
    return end;
  }

  // Characters without a symbol cut words: no merge reaches over them.
  xp::SymbolWords encode_words(const std::vector<xp::WordCount>& words,
                               const std::vector<std::string>& symbols) const {
    constexpr xp::SymbolId kNone = UINT32_MAX;
    std::vector<xp::SymbolId> ids(0x110000, kNone);  // by code point
    for (std::size_t i = 0; i < symbols.size(); ++i)
      ids[xp::characters(symbols[i]).at(0)] = static_cast<xp::SymbolId>(i);
    xp::SymbolWords out;
    for (const auto& [word, n] : words)
      for (std::size_t at = 0, end = 0; at < word.size();) {
        if (at == end) end = part_end(word, at);
        const char32_t c = params_.byte_level ? xp::byte_level_char(static_cast<unsigned char>(word[at++]))
                                              : xp::next_char(word, at);
        if (ids[c] != kNone) out.symbols.push_back(ids[c]);
        if ((ids[c] == kNone || at == end) && out.symbols.size() > out.begins.back()) out.end_word(n);
      }
    return out;
  }

  Params params_;
};

}  // namespace

XP_PLUGIN(bpe) { registry.add<Bpe>("bpe", "Byte-pair merges over bytes or characters."); }
