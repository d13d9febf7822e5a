// Ids without the steps are the ids that the steps give: on texts drawn to hit the edges of every automaton.
#include <catch2/catch_test_macros.hpp>

#include "drawn_texts.h"
#include "kit/byte_level.h"

namespace {

using nlohmann::json;
using xp_test::added_token;
using xp_test::first_difference;

// All bytes, and merges of the characters that texts have many of.
json byte_level_bpe() {
  json vocab, merges = json::array();
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    vocab[xp::to_byte_level({&one, 1})] = byte;
  }
  for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{{"a", "b"},
                                                                                    {" ", "ab"},
                                                                                    {"ab", "c"},
                                                                                    {"c", "a"},
                                                                                    {"1", "2"},
                                                                                    {"12", "3"},
                                                                                    {"\n", "\n"},
                                                                                    {"'", "s"},
                                                                                    {"\xE4", "\xB8"},
                                                                                    {"\xE4\xB8", "\xAD"},
                                                                                    {" ", " "},
                                                                                    {"d", "d"},
                                                                                    {"dd", "dd"}}) {
    const auto a = xp::to_byte_level(left), b = xp::to_byte_level(right);
    merges.push_back(json::array({a, b}));
    vocab[a + b] = vocab.size();
  }
  return {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
}

}  // namespace

TEST_CASE("Fast ids of a byte-level vocabulary with GPT-2's words", "[pipeline]") {
  for (const bool prefix : {false, true})
    for (const bool normalized : {false, true})
      CHECK(first_difference(
                {{"model", byte_level_bpe()},
                 {"added_tokens", {added_token(300, "<s>", normalized)}},
                 {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", false}}}},
                20000) == "");
}

TEST_CASE("Fast ids of a byte-level vocabulary whose file has patterns", "[pipeline]") {
  const std::string letters = R"([^\r\n\p{L}\p{N}]?\p{L}+|)", rest = R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])", lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
  const std::string ends = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", prefix = R"([^\r\n\p{L}\p{N}]?)";
  const std::string symbols = R"(| ?[^\s\p{L}\p{N}]+)", three = R"(\p{N}{1,3})", one = R"(\p{N})";
  const std::string small = prefix + upper + "*" + lower + "+", capital = prefix + upper + "+" + lower + "*";
  const std::vector<std::vector<std::string>> all{
      {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
      {ends + "|" + letters + three + symbols + R"([\r\n]*|)" + rest},
      {ends + "|" + letters + one + symbols + R"([\r\n]*|)" + rest},
      {ends + "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|" + three + symbols + "[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"},
      {ends + "|" + prefix + R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" + rest},
      {"'(?i:[sdmt]|ll|ve|re)|" + letters + three + symbols + R"([\r\n]*|\s+\z|\s*[\r\n]|\s+(?!\S)|\s)"},
      {small + ends + "?|" + capital + ends + "?|" + three + symbols + R"([\r\n/]*|)" + rest},
      {small + "|" + capital + "|" + one + symbols + R"([\r\n/]*|)" + rest},
      {three, "[一-龥぀-ゟ゠-ヿ]+",
       R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
       R"(| ?[\p{P}\p{S}]+[\r\n]*|)" +
           rest}};
  for (const auto& patterns : all) {
    json steps;
    for (const auto& pattern : patterns)
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
    steps.push_back(
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
    for (const bool whole : {false, true}) {
      auto model = byte_level_bpe();
      model["ignore_merges"] = whole;
      CHECK(first_difference({{"model", model}, {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}},
                             20000) == "");
    }
  }
}

TEST_CASE("Fast ids of a byte-level vocabulary that sets digits apart or composes characters", "[pipeline]") {
  const json bytes = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const json none = {{"type", "Sequence"}, {"normalizers", json::array()}};
  for (const json& normalizer : {json(), none, json({{"type", "NFC"}}), json({{"type", "NFKC"}})}) {
    CHECK(first_difference({{"model", byte_level_bpe()}, {"normalizer", normalizer}, {"pre_tokenizer", bytes}},
                           20000) == "");
    CHECK(first_difference({{"model", byte_level_bpe()},
                            {"normalizer", normalizer},
                            {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {digits, bytes}}}}},
                           20000) == "");
  }
  CHECK(first_difference({{"model", byte_level_bpe()},
                          {"added_tokens", {added_token(300, "<s>", true)}},
                          {"normalizer", none},
                          {"pre_tokenizer", bytes}},
                         20000) == "");
}
