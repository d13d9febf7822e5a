// Tokens apart from their tokenizer: canonical keys, and the way from a key of another vocabulary to pieces of this
// one.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"
#include "kit/pipeline/pipeline_impl.h"

namespace xp::pipeline {
namespace {

/// The byte that "<0x0A>" names, upper case as vocabularies write it.
std::optional<unsigned char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x")) return std::nullopt;
  for (unsigned byte = 0; byte < 256; ++byte)
    if (token == byte_token_text(static_cast<unsigned char>(byte))) return static_cast<unsigned char>(byte);
  return std::nullopt;
}

std::string with_spaces(std::string_view text, const std::string& mark) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool is_mark = text.substr(at).starts_with(mark);
    out += is_mark ? ' ' : text[at];
    at += is_mark ? mark.size() : 1;
  }
  return out;
}

std::string with_marks(std::string_view text, const std::string& mark) {
  std::string out;
  for (const char c : text) c == ' ' ? out += mark : out += c;
  return out;
}

/// A text that begins a word by its first space, which goes.
TokenKey spaced_key(std::string bytes) {
  if (!bytes.starts_with(' ')) return {std::move(bytes), WordStart::no};
  return {bytes.substr(1), WordStart::yes};
}

// The pre-tokenizer makes words of single punctuation characters and ideographs: whether they begin a word is lost.
WordStart word_piece_start(std::string_view token) {
  std::size_t at = 0;
  if (token.empty()) return WordStart::yes;
  const char32_t c = next_char(token, at);
  return at == token.size() && (is_punctuation(c) || is_cjk_ideograph(c)) ? WordStart::unknown : WordStart::yes;
}

}  // namespace

std::string Pipeline::text(TokenId id) const {
  if (id < 0 || id >= size())
    throw Error("there is no token " + std::to_string(id) + "; ids go from 0 to " + std::to_string(size() - 1));
  if (const AddedToken* added = parts_->added->find(id)) return added->content;
  return std::string(parts_->model->tokens().text(id));
}

TokenKey Pipeline::key(TokenId id) const {
  const std::string token = text(id);
  if (const auto purpose = parts_->purpose_of.find(id); purpose != parts_->purpose_of.end())
    return {{}, WordStart::no, TokenKind::special, purpose->second};
  const AddedToken* added = parts_->added->find(id);
  if (added != nullptr && added->special) return {token, WordStart::unknown, TokenKind::special};
  const Spelling& spelling = parts_->spelling;
  if (added != nullptr && !parts_->model->tokens().find(token)) return {token, WordStart::unknown};
  const auto byte = byte_of(token);
  if (byte && (spelling.byte_tokens || parts_->model->byte_token(*byte)))
    return {std::string(1, static_cast<char>(*byte)), WordStart::no, TokenKind::byte};
  std::string bytes = token;
  const std::string_view suffix = parts_->model->suffix();
  const bool ends = !suffix.empty() && bytes.size() >= suffix.size() && bytes.ends_with(suffix);
  if (ends) bytes.resize(bytes.size() - suffix.size());
  if (spelling.byte_level) {
    const auto plain = from_byte_level(bytes);
    if (!suffix.empty()) return {plain.value_or(bytes), WordStart::unknown};
    return spaced_key(plain.value_or(bytes));
  }
  if (!suffix.empty()) return {bytes, WordStart::unknown};
  if (!spelling.space.empty()) return spaced_key(with_spaces(bytes, spelling.space));
  const std::string_view prefix = parts_->model->prefix();
  if (!prefix.empty() && bytes.size() > prefix.size() && bytes.starts_with(prefix))
    return {bytes.substr(prefix.size()), WordStart::no};
  return {bytes, word_piece_start(bytes)};
}

std::vector<TokenId> Pipeline::pieces(const TokenKey& key) const {
  if (key.kind == TokenKind::special) {
    const auto found = purposes().find(key.purpose);
    return found == purposes().end() ? std::vector<TokenId>{} : std::vector<TokenId>{found->second};
  }
  const Model& model = *parts_->model;
  const Spelling& spelling = parts_->spelling;
  if (key.kind == TokenKind::byte && key.bytes.size() == 1)
    if (const auto id = model.byte_token(static_cast<unsigned char>(key.bytes[0]))) return {*id};
  std::string word = key.bytes;
  const bool starts = key.word_start == WordStart::yes;
  if (spelling.byte_level) {
    word = to_byte_level(starts ? " " + word : word);
  } else {
    if (!is_utf8(word)) {  // only byte tokens can stand for it
      std::vector<TokenId> out;
      for (const char c : word) {
        const auto id = model.byte_token(static_cast<unsigned char>(c));
        if (!id) return {};
        out.push_back(*id);
      }
      return out;
    }
    if (parts_->normalizer && !parts_->normalizer_marks) {
      AlignedText text(word);
      parts_->normalizer->apply(text);
      word = text.text();
    }
    if (!spelling.space.empty()) word = with_marks(starts ? " " + word : word, spelling.space);
  }
  std::vector<CutPiece> cuts;
  const bool inside = key.word_start == WordStart::no && spelling.space.empty() && !spelling.byte_level;
  inside ? model.cut_inside(word, cuts) : model.cut(word, cuts);
  std::vector<TokenId> out;
  for (const auto& piece : cuts) {
    if (model.unknown() && piece.id == *model.unknown()) return {};
    out.push_back(piece.id);
  }
  return out;
}

}  // namespace xp::pipeline
