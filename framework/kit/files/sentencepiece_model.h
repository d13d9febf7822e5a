#pragma once
// SentencePiece's `.model`: a protobuf message with pieces and the rules for text. Its library gives neither the
// rules nor the types of pieces, so the message itself is read, with every length bounded by what is left of it.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

enum class PieceType : std::uint8_t { normal = 1, unknown, control, user_defined, unused, byte };

struct SentencePieceModel {
  enum class Kind { unigram = 1, bpe, word, character };

  struct Piece {
    std::string text;  ///< UTF-8, "▁" for a space
    float score = 0;
    PieceType type = PieceType::normal;
  };

  std::vector<Piece> pieces;  ///< by id
  Kind kind = Kind::unigram;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  std::int32_t unk = 0, bos = 1, eos = 2, pad = -1;  ///< -1: none
  std::string charsmap;                              ///< precompiled map of characters; empty if there is none
  bool dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

/// Throws Error (Exit::data) if the message is cut or malformed, a piece is empty, no UTF-8, there twice or of an
/// unknown type, a score is no number, or a reserved id or the unknown piece does not fit.
XP_API SentencePieceModel read_sentencepiece(const std::filesystem::path& file);

/// Text of the `tokenizer.json` that gives SentencePiece's ids: Unigram, or BPE with merges from scores. Nothing is
/// put around texts. Control pieces are special tokens, which SentencePiece itself does not look for in texts.
/// `where` begins messages. Throws Error (Exit::data) for what such a file cannot say: other kinds, spaces kept as
/// they are, marks after words.
XP_API std::string sentencepiece_tokenizer_json(const SentencePieceModel& model, std::string_view where);

}  // namespace xp
