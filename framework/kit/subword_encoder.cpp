#include "kit/subword_encoder.h"

#include <algorithm>
#include <numeric>

namespace xp {

SubwordEncoder::SubwordEncoder(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
SubwordEncoder::~SubwordEncoder() = default;

std::vector<Token> SubwordEncoder::encode(std::string_view text) const {
  const AlignedText aligned = normalised(text);
  std::vector<Token> out;
  out.reserve(text.size() / 4);
  std::vector<CutPiece> pieces;
  std::uint32_t number = 0;
  split(aligned.text(), [&](TextSpan span) {
    const auto word = std::string_view(aligned.text()).substr(span.begin, span.end - span.begin);
    pieces.clear();
    if (!cache_.find(word, pieces)) {
      cut(word, pieces);
      cache_.keep(word, pieces.data(), pieces.size());
    }
    std::uint32_t begin = span.begin;
    for (const auto& piece : pieces) {
      const std::uint32_t end = span.begin + piece.end;
      const TextSpan from = aligned.original(begin, end);
      out.push_back({piece.id, from.begin, from.end, number});
      begin = end;
    }
    if (!pieces.empty()) ++number;
  });
  return out;
}

std::int64_t SubwordEncoder::tokens_of(const std::vector<WordCount>& words, std::int64_t threads) const {
  constexpr std::size_t kAtOnce = 4096;
  std::vector<std::int64_t> tokens((words.size() + kAtOnce - 1) / kAtOnce);
  run_parallel(tokens.size(), threads, [&](std::size_t part) {
    std::vector<CutPiece> pieces;
    for (std::size_t i = part * kAtOnce; i < std::min(words.size(), (part + 1) * kAtOnce); ++i) {
      pieces.clear();
      cut(words[i].word, pieces);
      tokens[part] += words[i].count * std::ssize(pieces);
    }
  });
  return std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
}

TokenKey SubwordEncoder::key(TokenId id) const {
  const auto& purpose = vocabulary_.purpose(id);
  if (!purpose.empty()) return {{}, WordStart::no, TokenKind::special, purpose};
  return text_key(id);
}

std::vector<TokenId> SubwordEncoder::pieces(const TokenKey& key) const {
  if (key.kind == TokenKind::special) {
    const auto found = purposes().find(key.purpose);
    return found == purposes().end() ? std::vector<TokenId>{} : std::vector<TokenId>{found->second};
  }
  return text_pieces(key);
}

std::vector<TokenId> SubwordEncoder::known_pieces(std::string_view word) const {
  std::vector<CutPiece> cuts;
  cut(word, cuts);
  std::vector<TokenId> out;
  for (const auto& piece : cuts) {
    if (piece.id == vocabulary_.unknown()) return {};
    out.push_back(piece.id);
  }
  return out;
}

std::string SubwordEncoder::json() const { return write_tokenizer_json(parts(true), vocabulary_); }

}  // namespace xp
