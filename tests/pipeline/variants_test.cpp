// Variants of whole tokenizers against the library: settings, old spellings and what it refuses
// (tools/parity/tokenizers_variants.py).
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "kit/pipeline/pipeline.h"

namespace variants_test {

using nlohmann::json;
using xp::TokenId;

constexpr const char* kFolder = XP_SOURCE_DIR "/tests/golden/tokenizer_files/";

json file_of(const json& variant, std::map<std::string, json>& bases) {
  const auto name = variant.at("base").get<std::string>();
  if (!bases.contains(name)) {
    json base = json::parse(xp::read_file(kFolder + name + ".json"));
    base["truncation"] = base["padding"] = nullptr;
    bases[name] = std::move(base);
  }
  json file = bases[name];
  file.update(variant.at("set"));
  file["model"].update(variant.at("model"));
  for (const auto& key : variant.at("without")) {
    const auto text = key.get<std::string>();
    text.starts_with("model.") ? file["model"].erase(text.substr(6)) : file.erase(text);
  }
  return file;
}

/// What we refuse and the library takes: kit/pipeline/README.md says why.
bool is_meant(const std::string& message) {
  for (const char* part :
       {"is no text here", "is not in `special_tokens`", "at least 1", "that post-processing adds"})
    if (message.find(part) != std::string::npos) return true;
  return false;
}

void check_rows(const xp::pipeline::Pipeline& pipeline, const std::vector<std::string>& texts, const json& rows) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    INFO(texts[i]);
    const std::string_view text = texts[i];
    const auto framed = pipeline.frame(std::span(&text, 1)).front();
    json offsets = json::array();
    for (const auto& span : framed.offsets) offsets.push_back({span.begin, span.end});
    CHECK(json(framed.ids) == rows[i][0]);
    CHECK(offsets == rows[i][1]);
    CHECK(pipeline.decode(framed.ids, false) == rows[i][2].get<std::string>());
  }
}

TEST_CASE("Variants of whole tokenizers give what the library gives, or are refused as it does", "[pipeline]") {
  const json golden = json::parse(xp::read_file(std::string(kFolder) + "variants.json"));
  const auto texts = golden.at("texts").get<std::vector<std::string>>();
  REQUIRE(golden.at("variants").size() > 300);
  std::map<std::string, json> bases;
  int refused = 0;
  for (const auto& variant : golden["variants"]) {
    INFO(variant["base"] << " " << variant["set"].dump().substr(0, 300) << " " << variant["model"] << " without "
                         << variant["without"]);
    const std::string file = file_of(variant, bases).dump();
    if (variant.contains("refused")) {
      CHECK_THROWS_AS(xp::pipeline::read_pipeline(file, "f.json"), xp::Error);
      ++refused;
      continue;
    }
    try {
      check_rows(*xp::pipeline::read_pipeline(file, "f.json"), texts, variant.at("rows"));
    } catch (const xp::Error& error) {
      INFO(error.what());
      CHECK(is_meant(error.what()));
    }
  }
  CHECK(refused > 50);
}

TEST_CASE("Ids alone are those with everything else", "[pipeline]") {
  const auto texts = json::parse(xp::read_file(std::string(kFolder) + "texts.json")).at("texts");
  for (const char* name : {"bert", "roberta", "gpt2", "llama", "unigram", "suffix", "word_level"}) {
    INFO(name);
    const auto pipeline = xp::pipeline::read_pipeline(xp::read_file(std::string(kFolder) + name + ".json"), name);
    for (const auto& row : texts)
      for (const bool special : {true, false}) {
        const auto text = row.get<std::string>();
        std::vector<TokenId> ids{-7};
        pipeline->ids(text, ids, special);
        auto expected = pipeline->frame(text, std::nullopt, special).ids;
        expected.insert(expected.begin(), -7);
        CHECK(ids == expected);
      }
  }
}

TEST_CASE("Ids alone where post-processing repeats the text or leaves it out", "[pipeline]") {
  json file = json::parse(xp::read_file(std::string(kFolder) + "roberta.json"));
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json token = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json tokens = {{"<s>", {{"id", "<s>"}, {"ids", {0}}, {"tokens", {"<s>"}}}}};
  for (const json& single : {json{text, token, text}, json{token}, json{token, text, token}}) {
    file["post_processor"] = {
        {"type", "TemplateProcessing"}, {"single", single}, {"pair", {text}}, {"special_tokens", tokens}};
    const auto pipeline = xp::pipeline::read_pipeline(file.dump(), "f.json");
    std::vector<TokenId> ids;
    pipeline->ids("two words", ids);
    CHECK(ids == pipeline->frame("two words").ids);
  }
}

TEST_CASE("A text without pre-tokenizer is not cut where a merge joins", "[pipeline]") {
  // As Gemma's: one merge has a mark behind another character.
  const auto pipeline = xp::pipeline::read_pipeline(
      R"({"added_tokens": [], "model": {"type": "BPE", "unk_token": null, "vocab": {"\u2581": 0, "a": 1, ">": 2, "\u2581a": 3,
          ">\u2581": 4, ">\u2581a": 5}, "merges": [[">", "\u2581"], ["\u2581", "a"], [">\u2581", "a"]]}})",
      "f.json");
  std::vector<TokenId> ids;
  pipeline->ids("a\u2581a>\u2581a\u2581a", ids);
  CHECK(ids == std::vector<TokenId>{1, 3, 5, 3});
}

}  // namespace variants_test
