#include "kit/files/rank_files.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "hostile.h"
#include "kit/byte_level.h"
#include "kit/files/base64.h"

namespace xp::rank_files_test {
namespace {

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

std::vector<std::string> all_bytes() {
  std::vector<std::string> tokens;
  for (int i = 0; i < 256; ++i) tokens.emplace_back(1, static_cast<char>(i));
  return tokens;
}

std::string ranks_of(const std::vector<std::string>& tokens) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) text += to_base64(tokens[i]) + " " + std::to_string(i) + "\n";
  return text;
}

json read(const std::string& text, const std::string& encoding = "gpt2",
          const std::map<std::string, std::uint32_t>& special = {{"<end>", 300}}) {
  const Scratch scratch;
  put(scratch / "r.tiktoken", text);
  return json::parse(tiktoken_tokenizer_json(scratch / "r.tiktoken", encoding, special));
}

std::string said(const std::string& text, const std::string& encoding = "gpt2") {
  return refusal([&] { read(text, encoding); });
}

json tekken(int size, int reserved, const std::vector<std::string>& tokens) {
  json file = {
      {"config", {{"pattern", "\\w+|\\s"}, {"default_vocab_size", size}, {"default_num_special_tokens", reserved}}},
      {"vocab", json::array()}};
  for (std::size_t i = 0; i < tokens.size(); ++i)
    file["vocab"].push_back({{"rank", i}, {"token_bytes", to_base64(tokens[i])}, {"token_str", nullptr}});
  return file;
}

json read_tekken(const std::string& text) {
  const Scratch scratch;
  put(scratch / "tekken.json", text);
  return json::parse(tekken_tokenizer_json(scratch / "tekken.json"));
}

std::string said_tekken(const json& file) {
  return refusal([&] { read_tekken(file.dump()); });
}

}  // namespace

TEST_CASE("tiktoken: ranks are ids, merges come from them, gaps stay") {
  auto tokens = all_bytes();
  for (const auto* more : {"ab", "bc", "abc", "\xC3\xA9"}) tokens.emplace_back(more);
  const auto file = read(ranks_of(tokens));
  const auto& vocabulary = file["model"]["vocab"];
  CHECK(vocabulary.size() == 261);
  CHECK(vocabulary["abc"] == 258);
  CHECK(vocabulary[to_byte_level(" ")] == 32);
  CHECK(vocabulary["<end>"] == 300);
  CHECK(file["added_tokens"][0]["id"] == 300);
  CHECK(file["model"]["ignore_merges"] == true);
  const auto a = json::array({"a", "b"}), b = json::array({"b", "c"});
  // Of two ways to make a token the one with the lower ids comes first.
  CHECK(file["model"]["merges"][2] == json::array({"a", "bc"}));
  CHECK((file["model"]["merges"][0] == a && file["model"]["merges"][1] == b));
  CHECK(file["model"]["merges"].size() == 5);
  CHECK(file["pre_tokenizer"]["type"] == "ByteLevel");
}

TEST_CASE("tiktoken: encodings by name") {
  const auto bytes = ranks_of(all_bytes());
  CHECK(read(bytes, "cl100k_base", {})["added_tokens"].size() == 5);
  CHECK(read(bytes, "o200k_base", {})["pre_tokenizer"]["pretokenizers"].size() == 2);
  CHECK(read(bytes, "llama3")["pre_tokenizer"]["pretokenizers"][0]["type"] == "Split");
  CHECK(read(bytes, "p50k_base", {})["added_tokens"][0]["id"] == 50256);
  CHECK_THAT(said(bytes, "qwen2"), ContainsSubstring("encoding `qwen2` cuts text is not known"));
  CHECK_THAT(said(bytes, "x"), ContainsSubstring("known are `cl100k_base`, `gpt2`"));
}

TEST_CASE("tiktoken: what does not fit is named with its line") {
  CHECK_THAT(said(""), ContainsSubstring("tokens for 0 of the 256 bytes"));
  CHECK_THAT(said("YQ== 0\nYg==\n"),
             ContainsSubstring("line 2, `Yg==`, is not a token in base64, a space and a rank"));
  CHECK_THAT(said("YQ== 0\n\nYg== -1\n"), ContainsSubstring("line 3, `Yg== -1`"));
  CHECK_THAT(said("YQ== 1x"), ContainsSubstring("line 1, `YQ== 1x`"));
  CHECK_THAT(said("YQ 0"), ContainsSubstring("line 1: `YQ` is not a token in base64"));
  CHECK_THAT(said(" 0"), ContainsSubstring("line 1: `` is not a token in base64"));
  CHECK_THAT(said("YQ== 0\nYg== 0\n"), ContainsSubstring("line 2: the id 0 is that of `a` too"));
  CHECK_THAT(said("YQ== 4000000000"), ContainsSubstring("beyond what the file can hold"));
  CHECK_THAT(said("YQ== 99999999999"), ContainsSubstring("line 1"));
  auto twice = all_bytes();
  twice.emplace_back("a");
  CHECK_THAT(said(ranks_of(twice)), ContainsSubstring("its token 256, `a`, is token 97 too"));
  const auto bytes = ranks_of(all_bytes());
  CHECK_THAT(refusal([&] { read(bytes, "gpt2", {{"<end>", 5}}); }), ContainsSubstring("the id 5 is that of"));
}

TEST_CASE("tekken: reserved tokens first, then the lowest ranks") {
  auto tokens = all_bytes();
  for (const auto* more : {"ab", "abab", "zz"}) tokens.emplace_back(more);
  const auto file = read_tekken(tekken(280, 22, tokens).dump());
  const auto& vocabulary = file["model"]["vocab"];
  CHECK(vocabulary.size() == 280);
  CHECK(vocabulary["<s>"] == 1);
  CHECK(vocabulary["<SPECIAL_21>"] == 21);
  CHECK(vocabulary["a"] == 22 + 97);
  CHECK(vocabulary["abab"] == 279);
  CHECK(vocabulary.count("zz") == 0);
  CHECK(file["added_tokens"].size() == 22);
  CHECK(file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] == "\\w+|\\s");
  auto named = tekken(258, 2, tokens);
  named["special_tokens"] = {{{"rank", 1}, {"token_str", "<b>"}, {"is_control", true}}};
  CHECK(read_tekken(named.dump())["model"]["vocab"]["<b>"] == 1);
}

TEST_CASE("tekken: what does not fit is named with its entry") {
  const auto tokens = all_bytes();
  CHECK_THAT(said_tekken(json::array()), ContainsSubstring("not a JSON object"));
  CHECK_THAT(said_tekken(json::object()), ContainsSubstring("the file has no object `config`"));
  CHECK_THAT(said_tekken(tekken(300, 2, tokens)),
             ContainsSubstring("wants 300 tokens, 2 of them reserved, and has 256"));
  CHECK_THAT(said_tekken(tekken(1, 2, tokens)), ContainsSubstring("wants 1 tokens, 2 of them"));
  CHECK_THAT(said_tekken(tekken(2'000'000'000, 2'000'000'000, tokens)), ContainsSubstring("wants 2000000000 tokens"));
  auto file = tekken(258, 2, tokens);
  file["vocab"][7].erase("token_bytes");
  CHECK_THAT(said_tekken(file), ContainsSubstring("entry 7 of vocab has no string `token_bytes`"));
  file = tekken(258, 2, tokens);
  file["vocab"][7]["rank"] = -1;
  CHECK_THAT(said_tekken(file), ContainsSubstring("entry 7 of vocab has no number `rank`"));
  file["vocab"][7]["rank"] = 6;
  CHECK_THAT(said_tekken(file), ContainsSubstring("the id 8 is that of"));
  file = tekken(258, 2, tokens);
  file["vocab"][7]["rank"] = 700;
  CHECK_THAT(said_tekken(file), ContainsSubstring("has 255 of the 256 lowest ranks"));
  file = tekken(258, 2, tokens);
  file["special_tokens"] = {{{"rank", 5}, {"token_str", "<b>"}}};
  CHECK_THAT(said_tekken(file), ContainsSubstring("entry 0 of special_tokens has the rank 5"));
  CHECK_THAT(refusal([] { read_tekken(std::string(10'000, '[')); }), ContainsSubstring("deeper than 64"));
}

}  // namespace xp::rank_files_test
