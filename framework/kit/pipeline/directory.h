#pragma once
// Tokenizers as model directories hold them: `tokenizer.json`, or the older vocabulary files, and what their special
// tokens are for.
#include <filesystem>

#include "kit/pipeline/pipeline.h"

namespace xp::pipeline {

/// A `tokenizer.json`, or a folder with one, with `vocab.txt`, or with `vocab.json` and `merges.txt`. Throws Error
/// (Exit::data) naming the file and the place for what does not fit.
/// `purposes` wins over what the files say.
XP_API std::unique_ptr<const Pipeline> read_pipeline_path(const std::filesystem::path& path, Purposes purposes = {});
/// True for a folder that it reads.
XP_API bool has_tokenizer_files(const std::filesystem::path& folder);
/// What special_tokens_map.json says of an encoder's purposes: { "mask_token": "<mask>", ... }.
XP_API std::map<std::string, std::string> special_tokens_map(const Encoder& encoder);

/// What `special_tokens_map.json` and `tokenizer_config.json` of a folder say special tokens are for; both may be
/// missing. BERT's names go before those of language models ("cls_token" before "bos_token").
XP_API SpecialTokens special_tokens_of_directory(const std::filesystem::path& folder);
/// The same with the ids that the folder's tokenizer gives the tokens.
XP_API Purposes purposes_of_directory(const std::filesystem::path& folder);

/// The `tokenizer.json` of a WordPiece vocabulary, a token a line, as transformers 5 makes it for BERT. `config`: the
/// contents of tokenizer_config.json ("" for none); of it, do_lower_case, strip_accents, tokenize_chinese_chars and
/// the special tokens count. `name` is for messages. Throws Error (Exit::data) for what does not fit.
XP_API std::string pipeline_json_of_vocab_txt(std::string_view vocabulary, std::string_view config,
                                              const std::string& name);
/// The same for byte-level BPE: as GPT-2's, or as RoBERTa's if tokenizer_config.json names a class of RoBERTa or the
/// vocabulary has <s>, </s> and <mask>.
XP_API std::string pipeline_json_of_vocab_and_merges(std::string_view vocabulary, std::string_view merges,
                                                     std::string_view config, const std::string& name);

}  // namespace xp::pipeline
