// Whole tokenizers against what the tokenizers library makes of the same texts (tools/parity/tokenizers_real.py).
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "kit/pipeline/pipeline.h"

namespace {

using nlohmann::json;
using xp::TextSpan;
using xp::pipeline::Framed;

json golden(const std::string& name) {
  return json::parse(xp::read_file(XP_SOURCE_DIR "/tests/golden/tokenizer_files/" + name));
}

std::unique_ptr<const xp::pipeline::Pipeline> golden_pipeline(const std::string& name) {
  const std::string file = XP_SOURCE_DIR "/tests/golden/tokenizer_files/" + name + ".json";
  return xp::pipeline::read_pipeline(xp::read_file(file), name);
}

json spans_json(const std::vector<TextSpan>& spans) {
  json out = json::array();
  for (const auto& span : spans) out.push_back({span.begin, span.end});
  return out;
}

json framed_json(const xp::pipeline::Pipeline& pipeline, const Framed& framed) {
  return {{"ids", framed.ids},
          {"offsets", spans_json(framed.offsets)},
          {"words", framed.words},
          {"types", framed.types},
          {"attention", framed.attention},
          {"special", framed.special},
          {"sequences", framed.sequences},
          {"decoded", pipeline.decode(framed.ids, true)},
          {"decoded_raw", pipeline.decode(framed.ids, false)}};
}

/// What the library refused, we refuse; its messages are not ours.
template <class Make>
void check_row(const json& expected, Make make) {
  if (expected.contains("error")) {
    CHECK_THROWS_AS(make(), xp::Error);
    return;
  }
  const json found = make();
  for (const auto& [field, value] : expected.items()) {
    INFO(field);
    CHECK(found.at(field) == value);
  }
}

}  // namespace

TEST_CASE("Whole tokenizers give what the library gives", "[pipeline]") {
  const auto name = GENERATE(as<std::string>{}, "bert", "bert_pairs", "roberta", "gpt2", "llama", "unigram",
                             "unigram_bytes", "suffix", "prefix", "word_level", "whole_words");
  INFO(name);
  const auto pipeline = golden_pipeline(name);
  const json expected = golden(name + ".expected.json");
  const json inputs = golden("texts.json");
  const auto texts = inputs.at("texts").get<std::vector<std::string>>();
  const auto one = [&](const std::string& text, bool special) {
    return framed_json(*pipeline, pipeline->frame(text, std::nullopt, special));
  };

  SECTION("one text") {
    REQUIRE(expected.at("single").size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      INFO(texts[i]);
      check_row(expected["single"][i], [&] { return one(texts[i], true); });
    }
  }
  SECTION("without special tokens") {
    for (std::size_t i = 0; i < expected.at("bare").size(); ++i) {
      INFO(texts[i]);
      check_row(expected["bare"][i], [&] { return one(texts[i], false); });
    }
  }
  SECTION("encode") {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      INFO(texts[i]);
      check_row(expected.at("plain")[i], [&] {
        json ids = json::array(), offsets = json::array(), words = json::array();
        for (const auto& token : pipeline->encode(texts[i]))
          ids.push_back(token.id), offsets.push_back({token.begin, token.end}), words.push_back(token.word);
        return json{{"ids", ids}, {"offsets", offsets}, {"words", words}};
      });
    }
  }
  SECTION("pairs") {
    const auto& pairs = inputs.at("pairs");
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto first = pairs[i][0].get<std::string>(), second = pairs[i][1].get<std::string>();
      INFO(first << " | " << second);
      check_row(expected.at("pairs")[i], [&] { return framed_json(*pipeline, pipeline->frame(first, second)); });
    }
  }
  SECTION("a batch") {
    if (!expected.contains("batch")) return;
    const json& rows = expected["batch"];
    const std::vector<std::string_view> batch(texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(12));
    for (const std::int64_t threads : {1, 3}) {
      if (rows.is_object()) {
        CHECK_THROWS_AS(pipeline->frame(batch, true, threads), xp::Error);
        continue;
      }
      const auto framed = pipeline->frame(batch, true, threads);
      REQUIRE(framed.size() == rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        INFO(texts[i]);
        check_row(rows[i], [&] { return framed_json(*pipeline, framed[i]); });
      }
    }
  }
  SECTION("the file is kept") { CHECK(json::parse(pipeline->json()) == golden(name + ".json")); }
}

TEST_CASE("Steps whose type or settings are null are read as those of old files, or refused", "[pipeline]") {
  const json replace{{"type", nullptr}, {"pattern", {{"Regex", "^"}}}, {"content", "\u2581"}};
  const json words{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}, {"trim_offsets", true}};
  json split{{"type", "Split"}, {"pattern", {{"Regex", nullptr}, {"String", " "}}}, {"behavior", "Isolated"}};
  split["invert"] = nullptr;
  const json sequence{{"type", "Sequence"}, {"pretokenizers", {split, words}}};
  json file{{"version", "1.0"}, {"added_tokens", json::array()}};
  file["model"] = {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}}}, {"merges", json::array()}};
  for (const json& normalizer : {json(), replace, json{{"type", "Sequence"}, {"normalizers", {replace}}}})
    for (const json& pre_tokenizer : {json(), words, sequence, json{{"type", "ByteLevel"}, {"use_regex", nullptr}}}) {
      file["normalizer"] = normalizer, file["pre_tokenizer"] = pre_tokenizer;
      INFO(file.dump());
      try {
        const auto pipeline = xp::pipeline::read_pipeline(file.dump(), "file");
        CHECK(pipeline->frame("a").ids.size() <= 2);
      } catch (const xp::Error& refused) {
        CHECK(refused.exit() == xp::Exit::data);
      }
    }
}
