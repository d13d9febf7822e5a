// vocab.txt, a byte of value 1, tokenizer_config.json.
#include "kit/pipeline/directory.h"
#include "tokenizer_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto parts = xp::fuzz::parts_of(xp::fuzz::text_of(data, size), 2);
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse("vocab.txt", [&] {
    const auto json = xp::pipeline::pipeline_json_of_vocab_txt(parts[0], parts[1], "vocab.txt");
    tokenizer = xp::pipeline::read_pipeline(json, "vocab.txt");
  });
  if (tokenizer) xp::fuzz::use(*tokenizer, parts[0]);
  return 0;
}
