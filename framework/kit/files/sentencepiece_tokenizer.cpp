#include <algorithm>
#include <limits>

#include "base/error.h"
#include "kit/files/sentencepiece_model.h"
#include "kit/files/tokenizer_draft.h"

namespace xp {
namespace {

using nlohmann::json;
namespace steps = tokenizer_steps;

constexpr std::string_view kSpace = "▁";
constexpr const char* kSpaceText = "▁";

bool has_inner_space(const SentencePieceModel& model) {
  return std::any_of(model.pieces.begin(), model.pieces.end(), [](const SentencePieceModel::Piece& piece) {
    const bool reserved = piece.type == PieceType::control || piece.type == PieceType::unknown;
    return !reserved && piece.text.find(kSpace, 1) != std::string::npos;
  });
}

bool has_type(const SentencePieceModel& model, PieceType type) {
  return std::any_of(model.pieces.begin(), model.pieces.end(),
                     [type](const auto& piece) { return piece.type == type; });
}

void set_unigram(const SentencePieceModel& model, TokenizerDraft& draft) {
  // SentencePiece looks for the best score from the smallest positive number on, so it is never below that.
  float most = std::numeric_limits<float>::min();
  for (const auto& piece : model.pieces)
    if (piece.type == PieceType::normal) most = std::max(most, piece.score);
  draft.scores.reserve(model.pieces.size());
  for (const auto& piece : model.pieces) {
    // What a user defined wins against every other way to write it; the length is in bytes.
    const auto own = static_cast<float>(static_cast<double>(static_cast<float>(piece.text.size()) * most) - 0.1);
    draft.scores.push_back(piece.type == PieceType::user_defined ? own : piece.score);
  }
  draft.model = {{"type", "Unigram"}, {"unk_id", model.unk}, {"byte_fallback", model.byte_fallback}};
}

void set_bpe(const SentencePieceModel& model, TokenizerDraft& draft) {
  std::vector<double> scores;
  std::vector<bool> derived;
  for (const auto& piece : model.pieces) {
    scores.push_back(piece.score);
    derived.push_back(piece.type == PieceType::normal || piece.type == PieceType::unused);
  }
  derive_merges(draft, scores, derived, MergeOrder::longer_left_first);
  draft.model = bpe_settings(draft.tokens[static_cast<std::size_t>(model.unk)], model.byte_fallback, true, false);
}

void set_steps(const SentencePieceModel& model, TokenizerDraft& draft) {
  // A text that a user defined cuts the rest into stretches, of which only the first gets the mark.
  const bool own = model.kind == SentencePieceModel::Kind::bpe && has_type(model, PieceType::user_defined);
  std::vector<json> normal;
  if (!model.charsmap.empty()) normal.push_back(steps::precompiled(model.charsmap));
  if (model.remove_extra_whitespaces) {
    normal.push_back(steps::replace_matches("\\A +| +\\z", ""));
    normal.push_back(steps::replace_matches(" {2,}", " "));
  }
  if (model.dummy_prefix && !own) normal.push_back(steps::prepend(kSpaceText));
  // The step that marks the first stretch leaves out texts that begin with a mark: these get theirs here.
  if (model.dummy_prefix && own && !model.remove_extra_whitespaces)
    normal.push_back(steps::replace_matches("\\A ", "  "));
  normal.push_back(steps::replace(" ", kSpaceText));
  draft.normalizer = normal.size() == 1 ? normal.front() : steps::sequence("normalizers", normal);
  const bool words = model.kind == SentencePieceModel::Kind::unigram && !has_inner_space(model);
  if (words || (model.dummy_prefix && own))
    draft.pre_tokenizer = steps::metaspace(model.dummy_prefix && own ? "first" : "never", words);
  draft.decoder = steps::marked_decoder(model.dummy_prefix);
}

}  // namespace

std::string sentencepiece_tokenizer_json(const SentencePieceModel& model, std::string_view where) {
  TokenizerDraft draft;
  draft.where = std::string(where);
  const auto refuse = [&](const char* what) { throw Error(draft.where + ": " + what, Exit::data); };
  if (model.kind != SentencePieceModel::Kind::unigram && model.kind != SentencePieceModel::Kind::bpe)
    refuse("it is a model of words or characters; Unigram and BPE can be converted");
  if (!model.escape_whitespaces) refuse("it keeps spaces as they are (escape_whitespaces = false)");
  if (model.whitespace_as_suffix) refuse("it marks the end of words (treat_whitespace_as_suffix = true)");
  for (const auto& piece : model.pieces) {
    const auto id = static_cast<std::uint32_t>(draft.tokens.size());
    draft.tokens.push_back(piece.text);
    if (piece.type == PieceType::control || piece.type == PieceType::unknown) draft.added[id] = {};
    // In the normalized text, as SentencePiece does: there one with a space of its own is never found.
    if (piece.type == PieceType::user_defined && model.kind == SentencePieceModel::Kind::bpe &&
        piece.text.find(' ') == std::string::npos)
      draft.added[id] = {.special = false, .normalized = true};
  }
  if (model.kind == SentencePieceModel::Kind::unigram)
    set_unigram(model, draft);
  else
    set_bpe(model, draft);
  set_steps(model, draft);
  return tokenizer_json_text(draft);
}

}  // namespace xp
