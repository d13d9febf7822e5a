// vocab.json, merges.txt and tokenizer_config.json, with bytes of value 1 between.
#include "kit/pipeline/directory.h"
#include "tokenizer_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto parts = xp::fuzz::parts_of(xp::fuzz::text_of(data, size), 3);
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse("vocab.json", [&] {
    const auto json = xp::pipeline::pipeline_json_of_vocab_and_merges(parts[0], parts[1], parts[2], "vocab.json");
    tokenizer = xp::pipeline::read_pipeline(json, "vocab.json");
  });
  if (tokenizer) xp::fuzz::use(*tokenizer, parts[1]);
  return 0;
}
