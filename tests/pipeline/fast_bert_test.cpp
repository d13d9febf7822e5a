// Ids of BERT's words without the steps are the ids that the steps give, whatever the settings.
#include <catch2/catch_test_macros.hpp>

#include "drawn_texts.h"

namespace {

using nlohmann::json;

// Characters alone and inside words, and words of several; others are unknown.
json word_piece(int most_characters) {
  json vocab = {{"[UNK]", 0}};
  const auto add = [&](const std::string& text) {
    for (const auto& token : {text, "##" + text})
      if (!vocab.contains(token)) vocab[token] = vocab.size();
  };
  for (char32_t c = 0x21; c < 0x3100; ++c)
    if (c % 3 != 0) add(xp::char_text(c));
  for (const char* text :
       {"ab", "abc", "cab", "dd", "the", "hello", "The", "12", "\u4E2D", "\u4E2D\u6587", "e\u0301"})
    add(text);
  return {{"type", "WordPiece"},
          {"vocab", vocab},
          {"unk_token", "[UNK]"},
          {"continuing_subword_prefix", "##"},
          {"max_input_chars_per_word", most_characters}};
}

json bert_file(int most_characters) {
  json model = word_piece(most_characters);
  const auto next = static_cast<int>(model["vocab"].size());
  return {{"model", model},
          {"added_tokens", {xp_test::added_token(0, "[UNK]", false), xp_test::added_token(next, "[MASK]", false)}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}};
}

json bert_normalizer(bool clean, bool ideographs, bool lower, const json& strip) {
  return {{"type", "BertNormalizer"},
          {"clean_text", clean},
          {"handle_chinese_chars", ideographs},
          {"lowercase", lower},
          {"strip_accents", strip}};
}

}  // namespace

TEST_CASE("Fast ids of BERT's words without a normalizer", "[pipeline]") {
  CHECK(xp_test::first_difference(bert_file(100), 2000) == "");
}

TEST_CASE("Fast ids of BERT's words with each setting of its normalizer", "[pipeline]") {
  json file = bert_file(6);
  for (const bool clean : {false, true})
    for (const bool ideographs : {false, true})
      for (const bool lower : {false, true})
        for (const json& strip : {json(), json(false), json(true)}) {
          file["normalizer"] = bert_normalizer(clean, ideographs, lower, strip);
          INFO("normalizer " << file["normalizer"]);
          CHECK(xp_test::first_difference(file, 800) == "");
        }
}

TEST_CASE("Fast ids of BERT's words with marks that stripping accents reorders and keeps", "[pipeline]") {
  json file = bert_file(100);
  file["normalizer"] = bert_normalizer(true, true, true, json());
  const auto pipeline = xp::pipeline::read_pipeline(file.dump(), "file");
  // U+0338 is dropped, the other marks stay (two are no nonspacing marks, one is newer), in orders that NFD changes.
  const char* kMarks[] = {"\u302E", "\U0001D165", "\u0338", "\U0001E000", "\u302F", "\u200D",
                          ".",      " ",          "a",      "\u4E2D",     "="};
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (unsigned n = random() % 12; n > 0; --n) text += kMarks[random() % std::size(kMarks)];
    std::vector<xp::TokenId> ids;
    pipeline->ids(text, ids, false);
    INFO("text " << json(text).dump(-1, ' ', true));
    REQUIRE(ids == xp_test::ids_by_steps(*pipeline, text));
  }
}

TEST_CASE("Fast ids of BERT's words of any length at any place", "[pipeline]") {
  json file = bert_file(100);
  file["normalizer"] = bert_normalizer(true, true, true, json());
  const auto pipeline = xp::pipeline::read_pipeline(file.dump(), "file");
  for (std::size_t before = 0; before < 70; ++before)
    for (const std::size_t length : {1, 15, 16, 17, 63, 64, 65, 100, 101, 128, 300})
      for (const char* end : {"", " ", ".", "\u00E9", "\u4E2D", "\u200D"}) {
        const std::string text = std::string(before, before % 2 == 0 ? ' ' : '.') + std::string(length, 'a') + end;
        std::vector<xp::TokenId> ids;
        pipeline->ids(text, ids, false);
        INFO(before << " before " << length << " and " << end);
        REQUIRE(ids == xp_test::ids_by_steps(*pipeline, text));
      }
}
