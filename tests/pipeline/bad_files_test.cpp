// Files that cannot be read as a tokenizer: one error each, with the place.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "kit/pipeline/directory.h"

namespace {

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;
using Pairs = std::vector<std::pair<std::string, std::string>>;
using Scores = std::vector<std::pair<std::string, double>>;

json small_bpe() {
  return json::parse(R"({"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "unk_token": null,
    "vocab": {"a": 0, "b": 1, "ab": 2, "<unk>": 3}, "merges": [["a", "b"]]}})");
}

std::string refusal(const std::string& text) {
  try {
    xp::pipeline::read_pipeline(text, "f.json");
  } catch (const xp::Error& error) {
    CHECK(error.exit() == xp::Exit::data);
    return error.what();
  }
  return "accepted";
}

std::string refusal(const std::function<void(json&)>& change) {
  json file = small_bpe();
  change(file);
  return refusal(file.dump());
}

json added(const std::string& content, json id) {
  return {{"id", std::move(id)}, {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false},     {"normalized", false}, {"special", true}};
}

}  // namespace

TEST_CASE("A pipeline file that is no JSON", "[pipeline]") {
  CHECK_THAT(refusal(std::string("")), ContainsSubstring("f.json is no JSON"));
  CHECK_THAT(refusal(std::string("[1, 2")), ContainsSubstring("f.json is no JSON"));
  CHECK_THAT(refusal(std::string("[1, 2]")), ContainsSubstring("a table is expected"));
  CHECK_THAT(refusal(std::string("{\"model\": \"\xFF\"}")), ContainsSubstring("f.json is no JSON, at byte 12"));
  CHECK_THAT(refusal(std::string("{\"a\": 1e999}")), ContainsSubstring("f.json is no JSON"));
  CHECK_THAT(refusal(std::string(10000, '[')), ContainsSubstring("nested more than 64 deep"));
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += "{\"normalizer\":";
  CHECK_THAT(refusal(deep), ContainsSubstring("nested more than 64 deep"));
  CHECK_THAT(refusal(std::string(R"({"model": {"vocab": {"a": 1, "a": 2}}})")),
             ContainsSubstring("the key `a` is there twice"));
}

TEST_CASE("A pipeline file cut at any byte is refused", "[pipeline]") {
  const std::string whole = small_bpe().dump();
  REQUIRE(refusal(whole) == "accepted");
  for (std::size_t n = 0; n < whole.size(); ++n) {
    INFO(n);
    CHECK(refusal(whole.substr(0, n)) != "accepted");
  }
}

TEST_CASE("Bad vocabularies of pipeline files", "[pipeline]") {
  const auto vocab = [](const json& vocabulary) {
    return refusal([&](json& file) { file["model"]["vocab"] = vocabulary, file["model"]["merges"] = json::array(); });
  };
  CHECK_THAT(vocab({{"a", 0}, {"b", 0}}),
             ContainsSubstring("f.json: model.vocab: tokens `a` and `b` both have id 0"));
  CHECK_THAT(vocab({{"a", -1}}), ContainsSubstring("token `a` has id -1"));
  CHECK_THAT(vocab({{"a", 2147483648}}), ContainsSubstring("whole number below 2^31"));
  CHECK_THAT(vocab({{"a", 2147483647}}), ContainsSubstring("token `a` has id 2147483647"));
  CHECK_THAT(vocab({{"a", 1.5}}), ContainsSubstring("token `a` has an id that is no whole number"));
  CHECK_THAT(vocab({{"a", nullptr}}), ContainsSubstring("token `a` has an id that is no whole number"));
  CHECK_THAT(vocab({{"a", 2000000000}}),
             ContainsSubstring("the largest id is 2000000000, but there are only 1 token"));
  CHECK_THAT(vocab(json::array({"a"})), ContainsSubstring("f.json: model.vocab: a table { token: id } is expected"));
  CHECK(vocab({{"a", 0}, {"b", 100}}) == "accepted");
  CHECK(vocab(json::object()) == "accepted");
}

TEST_CASE("Bad settings of BPE models", "[pipeline]") {
  const auto model = [](const char* key, const json& value) {
    return refusal([&](json& file) { file["model"][key] = value; });
  };
  CHECK_THAT(model("merges", Pairs{{"a", "c"}}),
             ContainsSubstring("f.json: model.merges[0] needs the token `c`, which is not in the vocabulary"));
  CHECK_THAT(model("merges", Pairs{{"b", "a"}}), ContainsSubstring("needs the token `ba`"));
  CHECK_THAT(model("merges", {"a b c"}), ContainsSubstring("f.json: model.merges[0] is `a b c`"));
  CHECK_THAT(model("merges", {"ab"}), ContainsSubstring("two tokens with one space between"));
  CHECK_THAT(model("merges", {"a b", json::array({"a", "b"})}),
             ContainsSubstring("model.merges[1]: a text is expected"));
  CHECK_THAT(model("merges", {{"a", "b"}, {"a"}}), ContainsSubstring("model.merges[1]: a list of two texts"));
  CHECK_THAT(model("merges", 3), ContainsSubstring("a list of pairs of tokens is expected"));
  CHECK_THAT(model("dropout", 0.1), ContainsSubstring("f.json: model.dropout"));
  CHECK_THAT(model("type", "BPX"), ContainsSubstring("there are BPE, WordPiece, WordLevel and Unigram"));
  CHECK_THAT(model("byte_fallback", 1), ContainsSubstring("model.byte_fallback"));
  CHECK(model("dropout", 0) == "accepted");
  CHECK(model("merges", {"#version: 0.2", "a b"}) == "accepted");
  CHECK(model("unknown_key", 3) == "accepted");
}

TEST_CASE("Bad unigram models", "[pipeline]") {
  const auto model = [](const json& vocab, const json& unk) {
    return refusal([&](json& file) { file["model"] = {{"type", "Unigram"}, {"vocab", vocab}, {"unk_id", unk}}; });
  };
  const json fine = Scores{{"<unk>", 0.0}, {"a", -1}};
  CHECK(model(fine, 0) == "accepted");
  CHECK(model(fine, nullptr) == "accepted");
  CHECK_THAT(model(fine, 2), ContainsSubstring("f.json: model.unk_id: 2 is no id of the 2 tokens"));
  CHECK_THAT(model(fine, -1), ContainsSubstring("model.unk_id"));
  CHECK_THAT(model(Scores{{"a", 0.0}, {"a", -1}}, 0), ContainsSubstring("model.vocab[1]: token `a` is there twice"));
  CHECK_THAT(model(Pairs{{"a", "b"}}, 0), ContainsSubstring("model.vocab[0]: a pair [token, score] is expected"));
  CHECK_THAT(model(json::array({{"a", 1, 2}}), 0),
             ContainsSubstring("model.vocab[0]: a pair [token, score] is expected"));
}

TEST_CASE("Bad added tokens", "[pipeline]") {
  const auto tokens = [](const json& list) { return refusal([&](json& file) { file["added_tokens"] = list; }); };
  CHECK(tokens({added("x", 4), added("y", 5)}) == "accepted");
  CHECK_THAT(tokens({added("x", 4), added("y", 4)}),
             ContainsSubstring("f.json: added_tokens[1].id: id 4 is also that of token `x`"));
  CHECK_THAT(tokens(json::array({added("x", -1)})), ContainsSubstring("added_tokens[0].id: -1 is no id"));
  CHECK_THAT(tokens(json::array({added("x", 2147483648)})),
             ContainsSubstring("added_tokens[0].id: 2147483648 is no id"));
  CHECK_THAT(tokens(json::array({added("x", "4")})), ContainsSubstring("added_tokens[0].id"));
  CHECK_THAT(tokens({{{"id", 4}, {"content", "x"}}}), ContainsSubstring("added_tokens[0].single_word is missing"));
  CHECK_THAT(tokens(3), ContainsSubstring("f.json: added_tokens"));
}

TEST_CASE("Bad steps, lengths and versions of pipeline files", "[pipeline]") {
  const auto part = [](const char* key, const json& value) {
    return refusal([&](json& file) { file[key] = value; });
  };
  CHECK_THAT(part("version", "2.0"), ContainsSubstring("f.json: version: only version 1.0"));
  CHECK_THAT(part("decoder", {{"type", "X"}}), ContainsSubstring("f.json: decoder: a decoder of type `X`"));
  CHECK_THAT(part("decoder", {{"type", "Strip"}, {"content", "ab"}, {"start", 0}, {"stop", 0}}),
             ContainsSubstring("decoder.content: `ab` is not one character"));
  CHECK_THAT(part("post_processor", {{"type", "X"}}), ContainsSubstring("a post-processor of type `X`"));
  CHECK_THAT(part("post_processor", {{"type", "BertProcessing"}, {"sep", {"a", -1}}, {"cls", {"b", 1}}}),
             ContainsSubstring("f.json: post_processor"));
  const json pieces = {{{"Sequence", {{"id", "B"}, {"type_id", 0}}}}};
  const json odd = {
      {"type", "TemplateProcessing"}, {"single", pieces}, {"pair", pieces}, {"special_tokens", json::object()}};
  CHECK_THAT(part("post_processor", odd),
             ContainsSubstring("post_processor.single[0].Sequence.id: `B` is no text here"));
  const json cut = {{"direction", "Right"}, {"max_length", -3}, {"strategy", "LongestFirst"}, {"stride", 0}};
  CHECK_THAT(part("truncation", cut), ContainsSubstring("f.json: truncation.max_length: -3"));
  json pad = {{"strategy", {{"Fixed", std::int64_t{1} << 40}}},
              {"direction", "Left"},
              {"pad_to_multiple_of", nullptr},
              {"pad_id", 0},
              {"pad_type_id", 0},
              {"pad_token", "x"}};
  CHECK_THAT(part("padding", pad), ContainsSubstring("f.json: padding.strategy.Fixed: 1099511627776"));
  pad["strategy"] = "Longest";
  CHECK_THAT(part("padding", pad), ContainsSubstring("f.json: padding.strategy"));
  CHECK_THAT(refusal(std::string("{}")), ContainsSubstring("f.json: model is missing"));
}

TEST_CASE("A stride or a length that truncation cannot keep is said when it matters", "[pipeline]") {
  json file = small_bpe();
  file["truncation"] = {{"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 2}};
  const auto pipeline = xp::pipeline::read_pipeline(file.dump(), "f.json");
  CHECK(pipeline->frame("ab").ids == std::vector<xp::TokenId>{2});
  CHECK_THROWS_AS(pipeline->frame("bbb"), xp::Error);
  CHECK(pipeline->encode("bbb").size() == 3);
}

TEST_CASE("Folders with older vocabulary files", "[pipeline]") {
  using xp::pipeline::pipeline_json_of_vocab_and_merges;
  using xp::pipeline::pipeline_json_of_vocab_txt;
  const std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\ncat\n";
  const auto bert = xp::pipeline::read_pipeline(pipeline_json_of_vocab_txt(words, "", "vocab.txt"), "vocab.txt");
  CHECK(bert->frame("The CATS").ids == std::vector<xp::TokenId>{2, 5, 7, 6, 3});
  CHECK(bert->purposes().at("mask") == 4);
  const auto cased = xp::pipeline::read_pipeline(
      pipeline_json_of_vocab_txt(words, R"({"do_lower_case": false, "cls_token": {"content": "the"}})", "vocab.txt"),
      "v");
  CHECK(cased->frame("The cat").ids == std::vector<xp::TokenId>{5, 1, 7, 3});
  CHECK_THROWS_WITH(pipeline_json_of_vocab_txt("a\nb\na\n", "", "vocab.txt"),
                    ContainsSubstring("vocab.txt:3: the token `a` is also in line 1"));
  CHECK_THROWS_WITH(pipeline_json_of_vocab_txt("a\n\xFF\n", "", "vocab.txt"), ContainsSubstring("vocab.txt:2"));
  CHECK_THROWS_WITH(pipeline_json_of_vocab_txt(words, R"({"do_lower_case": 3})", "vocab.txt"),
                    ContainsSubstring("do_lower_case is neither true nor false"));

  const std::string table = R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6,"<mask>":7})";
  const auto roberta = xp::pipeline::read_pipeline(
      pipeline_json_of_vocab_and_merges(table, "#version: 0.2\na b\n", "", "vocab.json"), "vocab.json");
  CHECK(roberta->frame("aba").ids == std::vector<xp::TokenId>{0, 6, 4, 2});
  CHECK(roberta->frame("a", "b").ids == std::vector<xp::TokenId>{0, 4, 2, 2, 5, 2});
  const auto gpt2 = xp::pipeline::read_pipeline(
      pipeline_json_of_vocab_and_merges(R"({"a": 0, "b": 1, "ab": 2})", "a b", "", "vocab.json"), "vocab.json");
  CHECK(gpt2->frame("ab<|endoftext|>").ids == std::vector<xp::TokenId>{2, 3});
  CHECK_THROWS_WITH(pipeline_json_of_vocab_and_merges(table, "a b\nab\n", "", "vocab.json"),
                    ContainsSubstring("(merges.txt):2: two tokens with one space between"));
  CHECK_THROWS_WITH(pipeline_json_of_vocab_and_merges(R"({"a": "x"})", "", "", "vocab.json"),
                    ContainsSubstring("token `a` has an id that is no whole number"));
}

TEST_CASE("Keys and steps that no file may have", "[pipeline]") {
  const auto with = [](const char* key, const json& value) {
    return refusal([&](json& file) { file[key] = value; });
  };
  CHECK_THAT(with("decoders", nullptr), ContainsSubstring("f.json: `decoders` is no key of the format"));
  CHECK_THAT(with("version", nullptr), ContainsSubstring("f.json: version is null"));
  CHECK_THAT(with("decoder", {{"type", "Sequence"}, {"decoders", {nullptr}}}),
             ContainsSubstring("decoder.decoders[0]: a decoder is expected, not null"));
  CHECK_THAT(with("post_processor", {{"type", "Sequence"}, {"processors", {nullptr}}}),
             ContainsSubstring("post_processor.processors[0]: a post-processor is expected, not null"));
  CHECK_THAT(with("decoder", {{"type", "ByteLevel"}}), ContainsSubstring("decoder.add_prefix_space is missing"));
}
