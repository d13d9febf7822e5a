// SentencePiece's .model, and the tokenizer that it becomes.
#include "kit/files/sentencepiece_model.h"

#include "tokenizer_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("m.model");
  const auto text = xp::fuzz::text_of(data, size);
  const auto& path = input.holding(text);
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse("m.model", [&] {
    const auto json = xp::sentencepiece_tokenizer_json(xp::read_sentencepiece(path), "m.model");
    tokenizer = xp::pipeline::read_pipeline(json, "m.model");
  });
  if (tokenizer) xp::fuzz::use(*tokenizer, text);
  return 0;
}
