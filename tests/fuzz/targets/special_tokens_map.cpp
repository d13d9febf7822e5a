// special_tokens_map.json, a byte of value 1, tokenizer_config.json, beside a small tokenizer.
#include "kit/pipeline/directory.h"
#include "tokenizer_use.h"

namespace {

constexpr std::string_view kTokenizer =
    R"({"version": "1.0", "added_tokens": [{"id": 3, "content": "<s>", "single_word": false, "lstrip": false,
    "rstrip": false, "normalized": false, "special": true}], "model": {"type": "WordLevel", "unk_token": "<unk>",
    "vocab": {"a": 0, "b": 1, "<unk>": 2}}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const xp::fuzz::InputFile map("special_tokens_map.json");
  const auto parts = xp::fuzz::parts_of(xp::fuzz::text_of(data, size), 2);
  const auto folder = map.holding(parts[0]).parent_path();
  for (const auto& [name, text] :
       {std::pair("tokenizer_config.json", parts[1]), std::pair("tokenizer.json", kTokenizer)})
    std::ofstream(folder / name, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
  std::unique_ptr<const xp::pipeline::Pipeline> tokenizer;
  xp::fuzz::read_or_refuse(".json", [&] { tokenizer = xp::pipeline::read_pipeline_path(folder); });
  if (!tokenizer) return 0;
  for (const auto& [purpose, id] : tokenizer->purposes())
    if (!tokenizer->has(id)) xp::fuzz::finding("a purpose whose token is not there: " + purpose);
  xp::pipeline::special_tokens_map(*tokenizer);
  return 0;
}
