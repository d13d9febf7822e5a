// What the readers make of small tokenizers of other tools; tools/parity/tokenizer_formats.py shows that the Hugging
// Face library gives the ids of those tools with it.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "kit/files/rank_files.h"
#include "kit/files/sentencepiece_model.h"

namespace xp::tokenizer_golden_test {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(XP_SOURCE_DIR) / "tests/golden/files/tokenizers";

std::map<std::string, std::string> converted() {
  std::map<std::string, std::string> texts;
  for (const auto& file : glob(kGolden, "*.model"))
    texts[file.stem().string()] = sentencepiece_tokenizer_json(read_sentencepiece(file), file.string());
  texts["ranks"] = tiktoken_tokenizer_json(kGolden / "ranks.tiktoken", "cl100k_base");
  texts["tekken"] = tekken_tokenizer_json(kGolden / "tekken.json");
  return texts;
}

}  // namespace

TEST_CASE("tokenizers of other tools become the tokenizer.json that was compared with them") {
  const auto texts = converted();
  CHECK(texts.size() == 7);
  for (const auto& [name, text] : texts) {
    INFO(name);
    CHECK(text == read_file(kGolden / (name + ".tokenizer.json")));
  }
}

TEST_CASE("write what the readers make of tokenizers of other tools", "[.golden]") {
  for (const auto& [name, text] : converted()) write_file(kGolden / (name + ".tokenizer.json"), text);
}

}  // namespace xp::tokenizer_golden_test
