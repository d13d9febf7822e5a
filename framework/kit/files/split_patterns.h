#pragma once
// How byte-level vocabularies that are known by name cut text before their merges apply.
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// Regular expressions; each cuts the words that the one before left. With none, text is cut as GPT-2 does it.
struct SplitRule {
  std::vector<std::string_view> patterns;
  bool digits = false;         ///< before all else every digit is a word
  bool nfc = false;            ///< text is normalised to NFC first
  bool ignore_merges = false;  ///< a word of the vocabulary is a token whatever the merges say
  bool add_bos = false;        ///< unless a file says otherwise
};

/// By the name that GGUF files give in `tokenizer.ggml.pre`; null if it is not known.
XP_API const SplitRule* split_rule_of_gguf(std::string_view pre);
/// By the name of an encoding: "gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base"; null if not known.
XP_API const SplitRule* split_rule_of_encoding(std::string_view name);
XP_API std::vector<std::string> known_gguf_rules();
XP_API std::vector<std::string> known_encodings();

}  // namespace xp
