#include "kit/files/gguf_tokenizer.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hostile.h"
#include "kit/files/base64.h"
#include "kit/files/split_patterns.h"
#include "kit/files/tokenizer_draft.h"

namespace xp::gguf_tokenizer_test {
namespace {

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

/// A GGUF file that has metadata only.
class Metadata {
 public:
  Metadata& text(const std::string& key, std::string_view value) {
    add(key).number(8u).text(value);
    return *this;
  }
  Metadata& id(const std::string& key, std::uint32_t value) {
    add("tokenizer.ggml." + key).number(4u).number(value);
    return *this;
  }
  Metadata& flag(const std::string& key, bool value) {
    add("tokenizer.ggml." + key).number(7u).number<std::uint8_t>(value);
    return *this;
  }
  Metadata& texts(const std::string& key, const std::vector<std::string>& values) {
    add("tokenizer.ggml." + key).number(9u).number(8u).number<std::uint64_t>(values.size());
    for (const auto& value : values) bytes_.text(value);
    return *this;
  }
  Metadata& types(const std::vector<std::int32_t>& values) {
    add("tokenizer.ggml.token_type").number(9u).number(5u).number<std::uint64_t>(values.size());
    for (const auto value : values) bytes_.number(value);
    return *this;
  }
  Metadata& scores(const std::vector<float>& values) {
    add("tokenizer.ggml.scores").number(9u).number(6u).number<std::uint64_t>(values.size());
    for (const auto value : values) bytes_.number(value);
    return *this;
  }
  std::string all() const {
    return Bytes().raw("GGUF").number(3u).number<std::uint64_t>(0).number(count_).raw(bytes_.all()).all();
  }

 private:
  Bytes& add(const std::string& key) {
    ++count_;
    return bytes_.text(key);
  }
  Bytes bytes_;
  std::uint64_t count_ = 0;
};

json read(const Metadata& metadata) {
  const Scratch scratch;
  put(scratch / "m.gguf", metadata.all());
  return json::parse(gguf_tokenizer_json(GgufFile(scratch / "m.gguf")));
}

std::string said(const Metadata& metadata) {
  return refusal([&] { read(metadata); });
}

Metadata byte_level() {
  Metadata metadata;
  metadata.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
  metadata.texts("tokens", {"<|end|>", "a", "b", "Ġ", "ab", "Ġab", "a b", "<x>"});
  metadata.types({3, 1, 1, 1, 1, 1, 1, 4}).texts("merges", {"a b", "Ġ ab"});
  return metadata;
}

}  // namespace

TEST_CASE("gguf tokenizer: byte-level BPE") {
  auto metadata = byte_level();
  metadata.id("eos_token_id", 0).flag("add_eos_token", true);
  const auto file = read(metadata);
  CHECK(file["model"]["type"] == "BPE");
  CHECK(file["model"]["vocab"]["Ġab"] == 5);
  CHECK(file["model"]["vocab"]["aĠb"] == 6);  // spelt as text in the file
  CHECK(file["model"]["merges"] == json::parse(R"([["a","b"],["Ġ","ab"]])"));
  CHECK(file["model"]["byte_fallback"] == false);
  REQUIRE(file["added_tokens"].size() == 2);
  CHECK((file["added_tokens"][0]["id"] == 0 && file["added_tokens"][0]["special"] == true));
  CHECK((file["added_tokens"][1]["content"] == "<x>" && file["added_tokens"][1]["special"] == false));
  CHECK(file["pre_tokenizer"]["pretokenizers"][0]["type"] == "Digits");
  CHECK(file["pre_tokenizer"]["pretokenizers"][1]["use_regex"] == true);
  CHECK(file["post_processor"]["single"][1]["SpecialToken"]["id"] == "<|end|>");
  CHECK(file["post_processor"]["special_tokens"]["<|end|>"]["ids"] == json::array({0}));
  CHECK(file["normalizer"].is_null());
}

TEST_CASE("gguf tokenizer: the rule for words is known by name") {
  const auto with = [](const char* pre) {
    Metadata metadata;
    metadata.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
    metadata.texts("tokens", {"<s>", "a", "b", "ab"}).texts("merges", {"a b"}).id("bos_token_id", 0);
    return read(metadata);
  };
  const auto llama = with("llama-bpe");
  CHECK(llama["model"]["ignore_merges"] == true);
  CHECK(llama["post_processor"]["single"][0]["SpecialToken"]["id"] == "<s>");
  CHECK(llama["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] == split_rule_of_gguf("llama3")->patterns[0]);
  CHECK(with("qwen2")["normalizer"]["type"] == "NFC");
  CHECK(with("qwen2")["post_processor"].is_null());
  CHECK(with("deepseek-v3")["pre_tokenizer"]["pretokenizers"].size() == 4);
  CHECK(with("gpt-2")["pre_tokenizer"]["type"] == "ByteLevel");
  Metadata unknown;
  unknown.text("tokenizer.ggml.model", "gpt2").texts("tokens", {"a"});
  CHECK_THAT(said(unknown), ContainsSubstring("has no `tokenizer.ggml.pre`"));
  unknown.text("tokenizer.ggml.pre", "nobody-3");
  CHECK_THAT(said(unknown), ContainsSubstring("is `nobody-3`; known are `dbrx`, `deepseek-r1-qwen`"));
}

TEST_CASE("gguf tokenizer: pieces with a mark and scores") {
  Metadata metadata;
  metadata.text("tokenizer.ggml.model", "llama");
  metadata.texts("tokens", {"<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁a", "▁ab"});
  metadata.types({2, 3, 3, 6, 1, 1, 1, 1, 1, 1}).scores({0, 0, 0, 0, -5, -6, -7, -2, -3, -1});
  metadata.id("bos_token_id", 1).id("eos_token_id", 2).id("unknown_token_id", 0);
  const auto file = read(metadata);
  CHECK(file["model"]["merges"] == json::parse(R"([["▁a","b"],["▁","ab"],["a","b"],["▁","a"]])"));
  CHECK(file["model"]["unk_token"] == "<unk>");
  CHECK((file["model"]["byte_fallback"] == true && file["model"]["fuse_unk"] == true));
  CHECK(file["added_tokens"].size() == 3);
  CHECK(file["normalizer"]["normalizers"][0]["type"] == "Prepend");
  CHECK(file["pre_tokenizer"].is_null());
  CHECK(file["decoder"]["decoders"].size() == 4);
  CHECK(file["post_processor"]["single"][0]["SpecialToken"]["id"] == "<s>");
  metadata.flag("add_space_prefix", false).flag("add_bos_token", false);
  const auto bare = read(metadata);
  CHECK(bare["normalizer"]["type"] == "Replace");
  CHECK(bare["decoder"]["decoders"].size() == 3);
  CHECK(bare["post_processor"].is_null());
}

TEST_CASE("gguf tokenizer: spaces that stand for marks, and merges in the order of ids") {
  Metadata metadata;
  metadata.text("general.architecture", "gemma3").text("tokenizer.ggml.model", "llama");
  metadata.texts("tokens", {"<unk>", "▁", "  ", "a", "aa", "▁a"}).types({2, 1, 1, 1, 1, 1});
  metadata.scores({0, -1, -1, -1, -1, -1});
  const auto file = read(metadata);
  CHECK(file["model"]["vocab"]["▁▁"] == 2);
  CHECK(file["model"]["merges"] == json::parse(R"([["▁","▁"],["a","a"],["▁","a"]])"));
  CHECK(file["pre_tokenizer"]["behavior"] == "MergedWithPrevious");
}

TEST_CASE("gguf tokenizer: Unigram and WordPiece") {
  Metadata unigram;
  unigram.text("general.architecture", "t5").text("tokenizer.ggml.model", "t5");
  unigram.texts("tokens", {"<pad>", "</s>", "<unk>", "▁a", "[PAD4]", "[PAD5]"}).types({3, 3, 2, 1, 5, 5});
  unigram.scores({0, 0, 0, -2.5f, -1, -1}).id("eos_token_id", 1).id("unknown_token_id", 2);
  const auto file = read(unigram);
  CHECK(file["model"]["vocab"][3] == json::parse(R"(["▁a",-2.5])"));
  CHECK(file["model"]["unk_id"] == 2);
  CHECK(file["model"]["vocab"][4][0] == "<extra_id_99>");
  CHECK(file["pre_tokenizer"]["pretokenizers"][1]["prepend_scheme"] == "always");
  CHECK(file["post_processor"]["single"][1]["SpecialToken"]["id"] == "</s>");

  Metadata bert;
  bert.text("tokenizer.ggml.model", "bert");
  bert.texts("tokens", {"[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "▁the", "ing", "▁!"});
  bert.types({3, 5, 3, 3, 3, 1, 1, 1}).id("unknown_token_id", 2).id("cls_token_id", 3).id("seperator_token_id", 4);
  const auto pieces = read(bert);
  CHECK(pieces["model"]["vocab"]["the"] == 5);
  CHECK(pieces["model"]["vocab"]["##ing"] == 6);
  CHECK(pieces["model"]["vocab"]["[unused0]"] == 1);
  CHECK(pieces["normalizer"]["lowercase"] == true);
  CHECK(pieces["post_processor"]["pair"].size() == 5);
}

TEST_CASE("gguf tokenizer: what does not fit is refused") {
  CHECK_THAT(said(Metadata().text("tokenizer.ggml.model", "gpt2")), ContainsSubstring("no list of texts"));
  CHECK_THAT(said(Metadata().text("tokenizer.ggml.model", "rwkv").texts("tokens", {"a"})),
             ContainsSubstring("its model is `rwkv`; known are"));
  CHECK_THAT(said(Metadata().texts("tokens", {"a", "\xff"})), ContainsSubstring("token 1 is not UTF-8"));
  CHECK_THAT(said(Metadata().texts("tokens", {"a"}).types({1, 1})), ContainsSubstring("one for each of the 1 token"));
  CHECK_THAT(said(Metadata().texts("tokens", {"a"}).types({7})), ContainsSubstring("has the type 7"));
  CHECK_THAT(said(Metadata().texts("tokens", {"a"}).id("bos_token_id", 1)), ContainsSubstring("is 1 of 1 token"));
  const auto merging = [](const char* merge) {
    Metadata metadata;
    metadata.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
    return metadata.texts("tokens", {"a", "b", "ab"}).texts("merges", {merge});
  };
  for (const auto* merge : {"a c", "b a", "ab", "", " ", "a ", "a b b"}) {
    INFO(merge);
    CHECK_THAT(said(merging(merge)), ContainsSubstring("is not two tokens that make a third"));
  }
  auto twice = Metadata();
  twice.text("tokenizer.ggml.model", "llama").texts("tokens", {"a", "a"}).scores({0, 0});
  CHECK_THAT(said(twice), ContainsSubstring("its token 1, `a`, is token 0 too"));
  auto scores = Metadata();
  scores.text("tokenizer.ggml.model", "llama").texts("tokens", {"a", "b"}).scores({0, std::nanf("")});
  CHECK_THAT(said(scores), ContainsSubstring("score of its token 1 is no number"));
  auto missing = byte_level();
  CHECK_THAT(said(missing.flag("add_bos_token", true)), ContainsSubstring("has no `tokenizer.ggml.bos_token_id`"));
}

TEST_CASE("base64 takes and gives what the standard says, nothing else") {
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe", "//4="}}) {
    CHECK(to_base64(plain) == coded);
    CHECK(from_base64(coded) == plain);
  }
  for (const auto* wrong : {"Zg", "Zg=", "Zh==", "Z===", "====", "Zm 9", "Zm9v\n", "Zg==Zg==", "Zm8=v"}) {
    INFO(wrong);
    CHECK(from_base64(wrong) == std::nullopt);
  }
}

TEST_CASE("merges are derived in one walk over a piece, and not without bound") {
  TokenizerDraft draft;
  draft.where = "here";
  draft.tokens = {"a", std::string(1'000'000, 'a') + "b", "b"};
  derive_merges(draft, {0, 0, 0}, {true, true, true}, MergeOrder::longer_left_first);
  CHECK(draft.merges.empty());
  draft.tokens.clear();
  for (std::size_t n = 1; n < 400; ++n) draft.tokens.emplace_back(n, 'a');
  const std::size_t n = draft.tokens.size();
  CHECK_THAT(refusal([&] {
               derive_merges(draft, std::vector<double>(n), std::vector<bool>(n, true), MergeOrder::lower_id_first);
             }),
             ContainsSubstring("here: its pieces are made of each other in more than"));
}

}  // namespace xp::gguf_tokenizer_test
