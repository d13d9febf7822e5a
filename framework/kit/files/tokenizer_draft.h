#pragma once
// A `tokenizer.json` of the Hugging Face library put together from what other formats say.
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/export.h"

namespace xp {

/// A token that is found in the text before the model is asked.
struct AddedToken {
  bool special = true;      ///< decoding may leave it out
  bool normalized = false;  ///< it is looked for in the text that the normalizer gave
};

/// Vocabulary by id, and the steps in that file's terms; null steps are left out.
struct TokenizerDraft {
  std::string where;  ///< begins messages, such as "model.gguf holds no usable tokenizer"
  std::vector<std::string> tokens;
  std::set<std::uint32_t> holes;              ///< ids that no token has; their text is not looked at
  std::map<std::uint32_t, AddedToken> added;  ///< by id
  nlohmann::json normalizer, pre_tokenizer, post_processor, decoder;
  nlohmann::json model;                                         ///< `type` and settings, without vocabulary
  std::vector<std::pair<std::uint32_t, std::uint32_t>> merges;  ///< of a BPE model, first is first
  std::vector<double> scores;                                   ///< of a Unigram model, one a token
};

/// Throws Error (Exit::data) if a token is not UTF-8 or, where ids are looked up by token, is there twice.
XP_API std::string tokenizer_json_text(const TokenizerDraft& draft);

/// In which order merges that make the same piece, or pieces of one score, stand.
enum class MergeOrder { longer_left_first, lower_id_first };

/// All pairs of pieces of a BPE model that make a piece, by the score of what they make, descending: so the Hugging
/// Face library derives merges. `derived[id]` is false for pieces that no merge may make (reserved ones, bytes).
/// Pieces must be UTF-8. Throws Error (Exit::data) that begins with draft.where if the pieces are made of each other
/// in so many ways that no vocabulary would be.
XP_API void derive_merges(TokenizerDraft& draft, const std::vector<double>& scores, const std::vector<bool>& derived,
                          MergeOrder order);

/// Settings of a BPE model. `byte_pieces`: characters without a piece become bytes, or one unknown token together.
XP_API nlohmann::json bpe_settings(const nlohmann::json& unknown, bool byte_pieces, bool fuse_unknown,
                                   bool ignore_merges);

namespace tokenizer_steps {

/// Several steps as one; `list` is "normalizers", "pretokenizers" or "decoders".
XP_API nlohmann::json sequence(const char* list, std::vector<nlohmann::json> steps);
XP_API nlohmann::json replace(const char* from, const char* to);
/// Each match of a regular expression is a word.
XP_API nlohmann::json split(std::string_view pattern);
/// With `words`, text is cut as GPT-2 does it.
XP_API nlohmann::json byte_level(bool words);
/// Each match of a regular expression is replaced.
XP_API nlohmann::json replace_matches(const char* pattern, const char* to);
XP_API nlohmann::json prepend(const char* text);
/// `scheme`: "always", "first" or "never" puts a mark before the text.
XP_API nlohmann::json metaspace(const char* scheme, bool split);
/// Marks to spaces, byte pieces to bytes, and with `strip` the space before the text away.
XP_API nlohmann::json marked_decoder(bool strip);
/// A precompiled map of characters in base64.
XP_API nlohmann::json precompiled(std::string_view charsmap);
/// What is put around texts: tokens by name, "$A" and "$B" for the texts, each with its type id.
XP_API nlohmann::json around(const std::vector<std::pair<std::string, int>>& single,
                             const std::vector<std::pair<std::string, int>>& pair,
                             const std::map<std::string, std::uint32_t>& ids);
/// Around texts a token before and one after, each if not empty.
XP_API nlohmann::json around(const std::string& before, const std::string& after,
                             const std::map<std::string, std::uint32_t>& ids);

}  // namespace tokenizer_steps
}  // namespace xp
