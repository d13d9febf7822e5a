#pragma once
// Byte-level vocabularies as lists of tokens by rank: `.tiktoken` files and Mistral's Tekken JSON.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/export.h"

namespace xp {

/// Text of the `tokenizer.json` that gives the ids of the package tiktoken. A `.tiktoken` file has a line for each
/// token: its bytes in base64, a space, its rank, which is its id. `encoding` says how text is cut: "gpt2",
/// "r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base", or a name that GGUF files use, such as
/// "llama3". `special` are the reserved tokens by text; without any an encoding of OpenAI has its own. Throws Error
/// (Exit::data) naming the line if it does not fit, a token or rank is there twice, or one of the 256 bytes has no
/// token.
XP_API std::string tiktoken_tokenizer_json(const std::filesystem::path& file, std::string_view encoding,
                                           const std::map<std::string, std::uint32_t>& special = {});

/// The same of a Tekken JSON file: reserved tokens come first, then as many tokens by rank as the file's own size of
/// the vocabulary leaves room for. Throws Error (Exit::data) naming the entry.
XP_API std::string tekken_tokenizer_json(const std::filesystem::path& file);

}  // namespace xp
