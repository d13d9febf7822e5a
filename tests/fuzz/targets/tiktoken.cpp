// A file of tiktoken's ranks, and the tokenizer that it becomes.
#include "kit/files/rank_files.h"
#include "tokenizer_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("m.tiktoken");
  const auto text = xp::fuzz::text_of(data, size);
  const auto& path = input.holding(text);
  const char* encoding = size % 2 == 0 ? "cl100k_base" : "gpt2";
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse("m.tiktoken", [&] {
    tokenizer = xp::pipeline::read_pipeline(xp::tiktoken_tokenizer_json(path, encoding), "m.tiktoken");
  });
  if (tokenizer) xp::fuzz::use(*tokenizer, text);
  return 0;
}
