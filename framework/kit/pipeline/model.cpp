#include "kit/pipeline/model.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/piece_trie.h"

namespace xp::pipeline {
namespace {

[[noreturn]] void no_unknown(const std::string& token) {
  throw Error("a word is not in the vocabulary, and neither is the unknown token " + backquoted(printable(token)),
              Exit::data);
}

/// Greedy longest match from the left (Wu et al. 2016); a word that cannot be covered is one unknown token.
class WordPieceModel final : public Model {
 public:
  explicit WordPieceModel(const Entry& entry)
      : unknown_text_(entry.text("unk_token")), prefix_(entry.text("continuing_subword_prefix")) {
    const auto most = entry.number("max_input_chars_per_word");
    if (most < 0) entry.at("max_input_chars_per_word").refuse(std::to_string(most) + " is no number of characters");
    most_chars_ = static_cast<std::size_t>(most);
    read_vocabulary(entry);
    unknown_ = tokens_.find(unknown_text_);
    std::vector<std::pair<std::string_view, std::int32_t>> start, inside;
    tokens_.for_each([&](std::string_view text, TokenId id) {
      start.emplace_back(text, id);
      if (text.starts_with(prefix_)) inside.emplace_back(text.substr(prefix_.size()), id);
    });
    start_ = PieceTrie(start), inside_ = PieceTrie(inside);
  }

  void cut(std::string_view word, std::vector<CutPiece>& out) const override { match(word, start_, out); }
  void cut_inside(std::string_view word, std::vector<CutPiece>& out) const override { match(word, inside_, out); }
  std::optional<TokenId> unknown() const override { return unknown_; }
  std::string_view prefix() const override { return prefix_; }

 private:
  void match(std::string_view word, const PieceTrie& first, std::vector<CutPiece>& out) const {
    const std::size_t before = out.size();
    bool known = !is_longer(word);
    for (std::size_t at = 0; known && at < word.size();) {
      const auto best = (at == 0 ? first : inside_).longest(word, at);
      known = best.id >= 0;
      at += best.length;
      if (known) out.push_back({best.id, static_cast<std::uint32_t>(at)});
    }
    if (known) return;
    if (!unknown_) no_unknown(unknown_text_);
    out.resize(before);
    out.push_back({*unknown_, static_cast<std::uint32_t>(word.size())});
  }

  bool is_longer(std::string_view word) const {
    if (word.size() <= most_chars_) return false;
    std::size_t chars = 0;
    for (std::size_t at = 0; at < word.size() && chars <= most_chars_; ++chars) next_char(word, at);
    return chars > most_chars_;
  }

  std::string unknown_text_, prefix_;
  std::size_t most_chars_ = 0;
  std::optional<TokenId> unknown_;
  PieceTrie start_, inside_;
};

/// A word is a token or unknown.
class WordLevelModel final : public Model {
 public:
  explicit WordLevelModel(const Entry& entry) : unknown_text_(entry.text("unk_token")) {
    read_vocabulary(entry);
    unknown_ = tokens_.find(unknown_text_);
  }

  void cut(std::string_view word, std::vector<CutPiece>& out) const override {
    auto id = tokens_.find(word);
    if (!id) id = unknown_;
    if (!id) no_unknown(unknown_text_);
    out.push_back({*id, static_cast<std::uint32_t>(word.size())});
  }
  std::optional<TokenId> unknown() const override { return unknown_; }

 private:
  std::string unknown_text_;
  std::optional<TokenId> unknown_;
};

// Files before the key `type` tell models apart by their keys.
std::string type_of(const Entry& entry) {
  if (entry.contains("type")) return entry.type();
  if (entry.at("vocab").json().is_array()) return "Unigram";
  if (entry.has("merges")) return "BPE";
  return entry.has("continuing_subword_prefix") && entry.has("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

Model::~Model() = default;

void Model::read_vocabulary(const Entry& entry) {
  const Entry vocab = entry.at("vocab");
  if (!vocab.json().is_object()) vocab.refuse("a table { token: id } is expected");
  const auto& table = vocab.json().get_ref<const Json::object_t&>();
  std::size_t bytes = 0;
  for (const auto& [text, id] : table) bytes += text.size();
  tokens_.reserve(table.size(), bytes);
  for (const auto& [text, id] : table) {
    if (!id.is_number_integer() || (id.is_number_unsigned() && id.get<std::uint64_t>() > INT32_MAX))
      vocab.refuse("token " + backquoted(printable(text)) + " has an id that is no whole number below 2^31");
    tokens_.add(text, id.get<std::int64_t>(), vocab.place());
  }
  tokens_.close(vocab.place());
}

std::string byte_token_text(unsigned char byte) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

std::unique_ptr<const Model> read_model(const Entry& entry) {
  const std::string type = type_of(entry);
  if (type == "WordPiece") return std::make_unique<WordPieceModel>(entry);
  if (type == "WordLevel") return std::make_unique<WordLevelModel>(entry);
  if (type == "BPE") return read_bpe(entry);
  if (type == "Unigram") return read_unigram(entry);
  entry.refuse("a model of type " + backquoted(printable(type)) +
               " is not known; there are BPE, WordPiece, WordLevel and Unigram");
}

}  // namespace xp::pipeline
