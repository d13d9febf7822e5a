// The unigram language model of a `tokenizer.json`: Kudo 2018, cut by Viterbi's algorithm.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/model.h"
#include "kit/pipeline/piece_trie.h"

namespace xp::pipeline {
namespace {

constexpr double kUnknownPenalty = 10;  // below the lowest score, as sentencepiece has it

struct ViterbiNode {
  double score = 0;
  std::uint32_t from = UINT32_MAX;  // UINT32_MAX: nothing ends here yet
  TokenId id = 0;
};

/// What cutting a word needs; kept, so that a word allocates nothing.
struct Scratch {
  PieceTrie::Labels labels;
  std::vector<ViterbiNode> best;
  std::vector<CutPiece> path;
};

constexpr std::size_t kMostKept = std::size_t{1} << 16;  // characters of a word whose scratch a thread keeps

bool is_inside_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

class UnigramFileModel final : public Model {
 public:
  explicit UnigramFileModel(const Entry& entry)
      : byte_fallback_(entry.contains("byte_fallback") && entry.flag("byte_fallback")) {
    read_pieces(entry.at("vocab"));
    if (entry.has("unk_id")) {
      const auto id = entry.number("unk_id");
      if (id < 0 || id >= static_cast<std::int64_t>(scores_.size()))
        entry.at("unk_id").refuse(std::to_string(id) + " is no id of the " + count(scores_.size(), "token"));
      unknown_ = static_cast<TokenId>(id);
    }
    for (unsigned byte = 0; byte < 256; ++byte)
      byte_tokens_.push_back(tokens_.find(byte_token_text(static_cast<unsigned char>(byte))));
  }

  void cut(std::string_view word, std::vector<CutPiece>& out) const override;
  std::optional<TokenId> unknown() const override { return unknown_; }
  std::string_view shown(TokenId id, std::string_view part) const override {
    return unknown_ && id == *unknown_ ? part : tokens_.text(id);
  }
  std::optional<TokenId> byte_token(unsigned char byte) const override {
    return byte_fallback_ ? byte_tokens_[byte] : std::nullopt;
  }

 private:
  void read_pieces(const Entry& list);
  void forward(const PieceTrie::Labels& word, std::vector<ViterbiNode>& best) const;
  void put_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end, std::vector<CutPiece>& out) const;

  PieceTrie trie_;
  std::vector<double> scores_;
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
  std::optional<TokenId> unknown_;
  std::vector<std::optional<TokenId>> byte_tokens_;
};

void UnigramFileModel::read_pieces(const Entry& list) {
  if (!list.json().is_array()) list.refuse("a list of pairs [token, score] is expected");
  const auto& pieces = list.json().get_ref<const Json::array_t&>();
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Json& piece = pieces[i];
    if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !piece[1].is_number())
      throw Error(list.place() + "[" + std::to_string(i) + "]: a pair [token, score] is expected", Exit::data);
    bytes += piece[0].get_ref<const std::string&>().size();
  }
  tokens_.reserve(pieces.size(), bytes);
  scores_.reserve(pieces.size());
  double lowest = 0;
  std::vector<std::pair<std::string_view, std::int32_t>> texts;
  texts.reserve(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::string& text = pieces[i][0].get_ref<const std::string&>();
    tokens_.add(text, static_cast<std::int64_t>(i), list.place() + "[" + std::to_string(i) + "]");
    texts.emplace_back(text, static_cast<std::int32_t>(i));
    scores_.push_back(pieces[i][1].get<double>());
    if (i == 0 || scores_.back() < lowest) lowest = scores_.back();
  }
  tokens_.close(list.place());
  trie_ = PieceTrie(texts);
  unknown_score_ = lowest - kUnknownPenalty;
}

// Of equal sums the first one found stays: the cut whose last piece is longest.
void UnigramFileModel::forward(const PieceTrie::Labels& word, std::vector<ViterbiNode>& best) const {
  best.assign(word.size + 1, {});
  for (std::size_t at = 0; at < word.size;) {
    std::size_t next = at + 1;
    while (next < word.size && is_inside_character(word.text[word.begins[next]])) ++next;
    const double here = best[at].score;
    bool single = false;  // a character with a piece of its own is never unknown
    trie_.prefixes(word, at, [&](std::size_t length, std::int32_t id) {
      auto& node = best[at + length];
      const double score = scores_[static_cast<std::size_t>(id)] + here;
      if (node.from == UINT32_MAX || score > node.score) node = {score, static_cast<std::uint32_t>(at), id};
      single = single || at + length == next;
    });
    if (auto& node = best[next]; !single && (node.from == UINT32_MAX || unknown_score_ + here > node.score)) {
      const auto begin = word.begins[at], end = word.begins[next];
      if (!unknown_)
        throw Error("the character " + backquoted(printable(word.text.substr(begin, end - begin))) +
                        " is not in the vocabulary, and the model has no `unk_id`",
                    Exit::data);
      node = {unknown_score_ + here, static_cast<std::uint32_t>(at), *unknown_};
    }
    at = next;
  }
}

void UnigramFileModel::cut(std::string_view word, std::vector<CutPiece>& out) const {
  static thread_local Scratch scratch;
  auto& [labels, best, path] = scratch;
  trie_.read(word, labels);
  forward(labels, best);
  path.clear();
  for (std::uint32_t end = static_cast<std::uint32_t>(labels.size); end > 0; end = best[end].from) {
    if (unknown_ && best[end].id == *unknown_ && !path.empty() && path.back().id == *unknown_) continue;
    path.push_back({best[end].id, labels.begins[end]});
  }
  std::uint32_t begin = 0;
  for (auto piece = path.rbegin(); piece != path.rend(); begin = piece->end, ++piece) {
    if (unknown_ && piece->id == *unknown_) {
      put_unknown(word, begin, piece->end, out);
    } else {
      out.push_back(*piece);
    }
  }
  if (best.size() > kMostKept) scratch = {};
}

// Neighbouring unknown characters are one piece, or the tokens of all its bytes.
void UnigramFileModel::put_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end,
                                   std::vector<CutPiece>& out) const {
  const auto text = word.substr(begin, end - begin);
  if (const auto known = tokens_.find(text)) return out.push_back({*known, end});
  bool all = byte_fallback_;
  for (std::size_t i = 0; all && i < text.size(); ++i)
    all = byte_tokens_[static_cast<unsigned char>(text[i])].has_value();
  if (!all) return out.push_back({*unknown_, end});
  for (const char byte : text) out.push_back({*byte_tokens_[static_cast<unsigned char>(byte)], end});
}

}  // namespace

std::unique_ptr<const Model> read_unigram(const Entry& entry) { return std::make_unique<UnigramFileModel>(entry); }

}  // namespace xp::pipeline
