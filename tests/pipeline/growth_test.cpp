// Steps that write more than they read: what comes of a text is bounded, whatever a file says.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "kit/pipeline/pipeline.h"

namespace xp::growth_test {
namespace {

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

constexpr const char* kTooLong = "a text would grow to more than ";

std::unique_ptr<const pipeline::Pipeline> tokenizer(const std::string& key, const json& step) {
  json file = {{"version", "1.0"},
               {"added_tokens", json::array()},
               {"model", {{"type", "WordLevel"}, {"unk_token", "u"}, {"vocab", {{"u", 0}, {"a", 1}, {"b", 2}}}}}};
  file[key] = step;
  return pipeline::read_pipeline(file.dump(), "f.json");
}

std::string refusal(const std::function<void()>& use) {
  try {
    use();
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    return error.what();
  }
  return "accepted";
}

json sequence(const char* key, const json& step, int n) {
  json steps = json::array();
  for (int i = 0; i < n; ++i) steps.push_back(step);
  return {{"type", "Sequence"}, {key, steps}};
}

json replace(const json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

}  // namespace

TEST_CASE("normalizers that grow without bound are named", "[pipeline]") {
  const json doubling = replace({{"String", "a"}}, "aa"), empty = replace({{"Regex", ""}}, "xx");
  const auto encode = [](const json& step) {
    const auto one = tokenizer("normalizer", step);
    return refusal([&] { one->encode("aaaa"); });
  };
  CHECK(encode(sequence("normalizers", doubling, 6)) == "accepted");
  CHECK_THAT(encode(sequence("normalizers", doubling, 60)),
             ContainsSubstring("f.json: normalizer.normalizers[") && ContainsSubstring(kTooLong));
  CHECK_THAT(encode(sequence("normalizers", empty, 60)), ContainsSubstring(kTooLong));
  CHECK_THAT(encode(replace({{"String", "a"}}, std::string(1000, 'x'))),
             ContainsSubstring("f.json: normalizer: a text would grow to more than 1536 bytes"));
  CHECK_THAT(encode({{"type", "Prepend"}, {"prepend", std::string(2000, 'x')}}), ContainsSubstring(kTooLong));
  const auto bytes = tokenizer("normalizer", sequence("normalizers", {{"type", "ByteLevel"}}, 60));
  CHECK_THAT(refusal([&] { bytes->encode("\u00E9"); }), ContainsSubstring(kTooLong));
}

TEST_CASE("pre-tokenizers that grow without bound are named", "[pipeline]") {
  const json level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  const auto bytes = tokenizer("pre_tokenizer", sequence("pretokenizers", level, 60));
  CHECK_THAT(refusal([&] { bytes->encode("\u00E9"); }),
             ContainsSubstring("f.json: pre_tokenizer.pretokenizers[") && ContainsSubstring(kTooLong));
}

TEST_CASE("decoders that grow without bound are named", "[pipeline]") {
  const auto decode = [](const json& step) {
    const auto one = tokenizer("decoder", step);
    return refusal([&] { one->decode(std::vector<TokenId>{1, 1, 2}); });
  };
  CHECK(decode(sequence("decoders", replace({{"String", "a"}}, "aa"), 6)) == "accepted");
  CHECK_THAT(decode(sequence("decoders", replace({{"String", "a"}}, "aa"), 60)),
             ContainsSubstring("f.json: decoder.decoders[") && ContainsSubstring(kTooLong));
  CHECK_THAT(decode(sequence("decoders", replace({{"Regex", "a|b"}}, "aa"), 60)), ContainsSubstring(kTooLong));
  CHECK_THAT(decode(sequence("decoders", {{"type", "BPEDecoder"}, {"suffix", ""}}, 60)), ContainsSubstring(kTooLong));
  const json ctc = {{"type", "CTC"}, {"pad_token", "p"}, {"word_delimiter_token", ""}, {"cleanup", true}};
  CHECK_THAT(decode(sequence("decoders", ctc, 60)), ContainsSubstring(kTooLong));
}

TEST_CASE("templates add a bounded number of tokens", "[pipeline]") {
  const json special = {{"SpecialToken", {{"id", "s"}, {"type_id", 0}}}};
  json single = json::array();
  for (int i = 0; i < 300; ++i) single.push_back(special);
  const std::vector<int> ids(300, 0);
  const std::vector<std::string> tokens(300, "u");
  const json step = {{"type", "TemplateProcessing"},
                     {"single", single},
                     {"pair", json::array()},
                     {"special_tokens", {{"s", {{"id", "s"}, {"ids", ids}, {"tokens", tokens}}}}}};
  CHECK_THAT(refusal([&] { tokenizer("post_processor", step); }),
             ContainsSubstring("f.json: post_processor.single[218].SpecialToken: a template adds at most 65536"));
}

TEST_CASE("a text may grow as much as normalisation forms make it", "[pipeline]") {
  std::string ligatures;
  for (int i = 0; i < 10'000; ++i) ligatures += "\uFDFA";  // 18 characters each
  CHECK(tokenizer("normalizer", {{"type", "NFKC"}})->encode(ligatures).size() == 1);
}

}  // namespace xp::growth_test
