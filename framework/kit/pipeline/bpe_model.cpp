// Byte-pair encoding of a `tokenizer.json`: Sennrich et al. 2016, with the file format's variants.
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/merge_rules.h"
#include "kit/pipeline/model.h"

namespace xp::pipeline {
namespace {

constexpr char32_t kDirectChars = 0x3000;  // characters whose tokens are looked up without hashing

constexpr std::string_view kSpaceMark = "\u2581";

/// Two texts of a merge; views of the file.
struct MergePair {
  std::string_view left, right;
};

class BpeModel final : public Model {
 public:
  explicit BpeModel(const Entry& entry);

  void cut(std::string_view word, std::vector<CutPiece>& out) const override;
  std::optional<TokenId> unknown() const override { return unknown_; }
  std::optional<TokenId> byte_token(unsigned char byte) const override {
    return byte_fallback_ ? byte_tokens_[byte] : std::nullopt;
  }
  std::string_view prefix() const override { return prefix_; }
  std::string_view suffix() const override { return suffix_; }
  const MergeRules* plain_merges() const override {
    return prefix_.empty() && suffix_.empty() && !byte_fallback_ ? &rules_ : nullptr;
  }
  bool takes_whole_words() const override { return ignore_merges_; }
  std::string_view joint() const override { return joint_ ? kSpaceMark : std::string_view(); }
  bool joins_behind(unsigned char byte) const override { return joins_behind_[byte]; }

 private:
  void read_merges(const Entry& list);
  void add_merge(const MergePair& pair, std::uint32_t rank, const std::string& place);
  std::optional<TokenId> symbol(std::string_view bytes, char32_t c, bool first, bool last,
                                std::string& decorated) const;
  bool add_bytes(std::string_view bytes, MergeWord& word) const;
  TokenId need_unknown() const;

  MergeRules rules_;
  std::vector<TokenId> direct_;  // by character; -1: none
  std::array<std::optional<TokenId>, 256> byte_tokens_;
  std::array<bool, 256> joins_behind_{};  // last bytes of texts that a merge joins with a mark behind them
  bool byte_fallback_ = false, ignore_merges_ = false, fuse_unknown_ = false, joint_ = false;
  std::string prefix_, suffix_;
  std::optional<std::string> unknown_text_;
  std::optional<TokenId> unknown_;
};

BpeModel::BpeModel(const Entry& entry)
    : byte_fallback_(entry.flag("byte_fallback", false)),
      ignore_merges_(entry.flag("ignore_merges", false)),
      fuse_unknown_(entry.flag("fuse_unk", false)),
      prefix_(entry.text("continuing_subword_prefix", "")),
      suffix_(entry.text("end_of_word_suffix", "")) {
  if (entry.has("dropout")) {
    const Json& dropout = entry.at("dropout").json();
    if (!dropout.is_number() || dropout.get<double>() != 0)
      entry.at("dropout").refuse("only null or 0 gives a text the same tokens each time");
  }
  read_vocabulary(entry);
  if (entry.has("unk_token")) {
    unknown_text_ = entry.text("unk_token");
    unknown_ = tokens_.find(*unknown_text_);
  }
  for (unsigned byte = 0; byte < 256; ++byte)
    byte_tokens_[byte] = tokens_.find(byte_token_text(static_cast<unsigned char>(byte)));
  direct_.assign(kDirectChars, -1);
  tokens_.for_each([&](std::string_view text, TokenId id) {
    std::size_t at = 0;
    if (text.empty()) return;
    const char32_t c = next_char(text, at);
    if (at == text.size() && c < kDirectChars) direct_[c] = id;
  });
  joint_ = !ignore_merges_ && prefix_.empty() && suffix_.empty() && tokens_.find(kSpaceMark).has_value();
  read_merges(entry.at("merges"));
}

void BpeModel::read_merges(const Entry& list) {
  if (!list.json().is_array()) list.refuse("a list of pairs of tokens is expected");
  const auto& merges = list.json().get_ref<const Json::array_t&>();
  const bool texts = !merges.empty() && merges.front().is_string();
  rules_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const Json& merge = merges[i];
    const auto place = [&] { return list.place() + "[" + std::to_string(i) + "]"; };
    MergePair pair;
    if (texts && merge.is_string()) {
      const std::string_view text = merge.get_ref<const std::string&>();
      if (text.starts_with("#version")) continue;
      const auto blank = text.find(' ');
      if (blank == std::string_view::npos || text.find(' ', blank + 1) != std::string_view::npos)
        throw Error(
            place() + " is " + backquoted(printable(text)) + "; two tokens with one space between are expected",
            Exit::data);
      pair = {text.substr(0, blank), text.substr(blank + 1)};
    } else if (!texts && merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pair = {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
    } else {
      throw Error(
          place() + (texts ? ": a text is expected, as the first merge is one" : ": a list of two texts is expected"),
          Exit::data);
    }
    add_merge(pair, rank++, place());
  }
}

void BpeModel::add_merge(const MergePair& pair, std::uint32_t rank, const std::string& place) {
  const auto id_of = [&](std::string_view token) {
    const auto id = tokens_.find(token);
    if (!id)
      throw Error(place + " needs the token " + backquoted(printable(token)) + ", which is not in the vocabulary",
                  Exit::data);
    return *id;
  };
  if (pair.right.size() < prefix_.size())
    throw Error(
        place + ": " + backquoted(printable(pair.right)) + " is shorter than the prefix of tokens inside words",
        Exit::data);
  const TokenId left = id_of(pair.left), right = id_of(pair.right);
  std::string joined(pair.left);
  joined += pair.right.substr(prefix_.size());
  rules_.set(left, right, rank, id_of(joined));
  if (pair.right.starts_with(kSpaceMark) && !pair.left.ends_with(kSpaceMark))
    pair.left.empty() ? joint_ = false : joins_behind_[static_cast<unsigned char>(pair.left.back())] = true;
}

std::optional<TokenId> BpeModel::symbol(std::string_view bytes, char32_t c, bool first, bool last,
                                        std::string& decorated) const {
  const bool before = !first && !prefix_.empty(), behind = last && !suffix_.empty();
  if (!before && !behind) {
    if (c >= kDirectChars) return tokens_.find(bytes);
    return direct_[c] < 0 ? std::nullopt : std::optional<TokenId>(direct_[c]);
  }
  decorated.clear();
  if (before) decorated += prefix_;
  decorated += bytes;
  if (behind) decorated += suffix_;
  return tokens_.find(decorated);
}

// All bytes need a token, or none is used.
bool BpeModel::add_bytes(std::string_view bytes, MergeWord& word) const {
  for (const char byte : bytes)
    if (!byte_tokens_[static_cast<unsigned char>(byte)]) return false;
  for (const char byte : bytes) word.add(*byte_tokens_[static_cast<unsigned char>(byte)], 1);
  return true;
}

TokenId BpeModel::need_unknown() const {
  if (unknown_) return *unknown_;
  throw Error("a character is not in the vocabulary, and neither is the unknown token " +
                  backquoted(printable(*unknown_text_)),
              Exit::data);
}

void BpeModel::cut(std::string_view text, std::vector<CutPiece>& out) const {
  if (text.empty()) return;
  if (ignore_merges_)
    if (const auto whole = tokens_.find(text))
      return out.push_back({*whole, static_cast<std::uint32_t>(text.size())});
  static thread_local MergeWord word;
  static thread_local std::string decorated;
  word.clear();
  std::uint32_t waiting = 0;  // bytes of unknown characters that have no symbol yet
  const auto flush = [&] {
    if (waiting > 0) word.add(*unknown_, waiting);
    waiting = 0;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const char32_t c = next_char(text, at);
    const auto bytes = text.substr(begin, at - begin);
    if (const auto id = symbol(bytes, c, begin == 0, at == text.size(), decorated)) {
      flush();
      word.add(*id, static_cast<std::uint32_t>(bytes.size()));
      continue;
    }
    // Byte tokens stand before unknown characters that wait: so does the library.
    const bool is_decorated = (begin != 0 && !prefix_.empty()) || (at == text.size() && !suffix_.empty());
    if (byte_fallback_ && add_bytes(is_decorated ? std::string_view(decorated) : bytes, word)) continue;
    if (!unknown_text_) continue;
    need_unknown();
    if (!fuse_unknown_) flush();
    waiting += static_cast<std::uint32_t>(bytes.size());
  }
  flush();
  rules_.apply(word, prefix_.empty());
  std::uint32_t end = 0;
  for (std::size_t i = 0; i < word.ids.size(); ++i) out.push_back({word.ids[i], end += word.lengths[i]});
}

}  // namespace

std::unique_ptr<const Model> read_bpe(const Entry& entry) { return std::make_unique<BpeModel>(entry); }

}  // namespace xp::pipeline
