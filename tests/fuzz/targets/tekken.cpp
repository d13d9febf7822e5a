// A Tekken file, and the tokenizer that it becomes.
#include "json_mutator.h"
#include "kit/files/rank_files.h"
#include "tokenizer_use.h"

XP_FUZZ_JSON("config", "pattern", "vocab", "special_tokens", "rank", "token_bytes", "token_str", "is_control",
             "default_vocab_size", "default_num_special_tokens", "version", "v3")

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("tekken.json");
  const auto text = xp::fuzz::text_of(data, size);
  const auto& path = input.holding(text);
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse("tekken.json", [&] {
    tokenizer = xp::pipeline::read_pipeline(xp::tekken_tokenizer_json(path), "tekken.json");
  });
  if (tokenizer) xp::fuzz::use(*tokenizer, text);
  return 0;
}
