// GGUF: metadata, every tensor's numbers, and the tokenizer inside.
#include "kit/files/gguf.h"

#include "kit/files/gguf_tokenizer.h"
#include "tokenizer_use.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile input("m.gguf");
  const auto& path = input.holding(xp::fuzz::text_of(data, size));
  std::string json;
  xp::fuzz::read_or_refuse("m.gguf", [&] {
    const xp::GgufFile file(path);
    std::vector<float> numbers;
    for (const auto& [name, tensor] : file.tensors()) {
      numbers.resize(tensor.count);
      xp::dequantise(tensor.type, tensor.data.data(), tensor.count, numbers.data());
    }
    json = xp::gguf_tokenizer_json(file);
  });
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  if (!json.empty())
    xp::fuzz::read_or_refuse("m.gguf", [&] { tokenizer = xp::pipeline::read_pipeline(json, "m.gguf"); });
  if (tokenizer) xp::fuzz::use(*tokenizer, "a b");
  return 0;
}
