// tokenizer.json: read whole, then used on texts.
#include "json_mutator.h"
#include "tokenizer_use.h"

XP_FUZZ_JSON("BPE", "WordPiece", "WordLevel", "Unigram", "Sequence", "BertNormalizer", "NFC", "NFKD", "Nmt",
             "Lowercase", "Strip", "StripAccents", "Replace", "Prepend", "Precompiled", "ByteLevel", "Metaspace",
             "Split", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits", "BertPreTokenizer",
             "CharDelimiterSplit", "UnicodeScripts", "FixedLength", "TemplateProcessing", "BertProcessing",
             "RobertaProcessing", "ByteFallback", "Fuse", "CTC", "BPEDecoder", "MergedWithPrevious", "MergedWithNext",
             "Isolated", "Removed", "Contiguous", "Regex", "String", "pattern", "content", "behavior", "invert",
             "normalizers", "pretokenizers", "processors", "decoders", "always", "never", "first", "prepend_scheme",
             "unk_token", "byte_fallback", "fuse_unk", "ignore_merges", "end_of_word_suffix",
             "continuing_subword_prefix", "max_input_chars_per_word", "Fixed", "BatchLongest", "max_length", "stride",
             "pad_to_multiple_of", "LongestFirst", "single_word", "lstrip", "rstrip", "normalized")

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto text = xp::fuzz::text_of(data, size);
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse("tokenizer.json",
                           [&] { tokenizer = xp::pipeline::read_pipeline(text, "tokenizer.json"); });
  if (tokenizer) xp::fuzz::use(*tokenizer, text);
  return 0;
}
