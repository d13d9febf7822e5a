#pragma once
// The tokenizer inside a GGUF file as a `tokenizer.json`.
#include <string>

#include "kit/files/gguf.h"

namespace xp {

/// Text of the `tokenizer.json` that gives the ids of the model's own tokenizer. Of `tokenizer.ggml.model` are known
/// "gpt2" (byte-level BPE; the rule of `tokenizer.ggml.pre` must be known), "llama" (BPE with byte pieces; merges
/// from scores where the file has none), "t5" (Unigram) and "bert" (WordPiece; the file does not say whether text is
/// lower-cased: it is if no piece has a capital letter). Ids and token types are checked. Throws Error (Exit::data).
XP_API std::string gguf_tokenizer_json(const GgufFile& file);

}  // namespace xp
