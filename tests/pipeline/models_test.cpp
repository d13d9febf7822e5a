// Models and steps one by one, where whole tokenizers seldom come.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "kit/matching.h"
#include "kit/pipeline/decoder.h"
#include "kit/pipeline/model.h"
#include "kit/pipeline/pipeline.h"

namespace {

using nlohmann::json;
using xp::CutPiece;
using xp::TokenId;
using xp::TokenKey;
using xp::WordStart;
using Scores = std::vector<std::pair<std::string, double>>;

std::unique_ptr<const xp::pipeline::Pipeline> pipeline_of(const json& model, json rest = json::object()) {
  rest["model"] = model;
  return xp::pipeline::read_pipeline(rest.dump(), "file");
}

std::vector<CutPiece> pieces_of(const json& model, std::string_view word) {
  const auto read = xp::pipeline::read_model(xp::pipeline::Entry(model, "model"));
  std::vector<CutPiece> out;
  read->cut(word, out);
  return out;
}

std::vector<TokenId> ids_of(const xp::pipeline::Pipeline& pipeline, std::string_view text) {
  std::vector<TokenId> out;
  for (const auto& token : pipeline.encode(text)) out.push_back(token.id);
  return out;
}

std::string decoded(const json& decoder, std::vector<std::string> tokens) {
  xp::pipeline::read_decoder(xp::pipeline::Entry(decoder, "decoder"))->apply(tokens, 1000);
  std::string out;
  for (const auto& token : tokens) out += token;
  return out;
}

json fallback_bpe(bool fuse) {
  return {{"type", "BPE"},
          {"unk_token", "<unk>"},
          {"fuse_unk", fuse},
          {"byte_fallback", true},
          {"vocab", {{"<unk>", 0}, {"a", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}}},
          {"merges", json::array()}};
}

}  // namespace

TEST_CASE("BPE puts byte tokens before unknown characters that wait", "[pipeline]") {
  // \u00E9 has tokens for both its bytes, \u4E00 for none.
  CHECK(pieces_of(fallback_bpe(true), "\u4E00\u00E9\u4E00a") ==
        std::vector<CutPiece>{{2, 1}, {3, 2}, {0, 8}, {1, 9}});
  CHECK(pieces_of(fallback_bpe(false), "\u4E00\u00E9\u4E00a") ==
        std::vector<CutPiece>{{2, 1}, {3, 2}, {0, 5}, {0, 8}, {1, 9}});
}

TEST_CASE("BPE without an unknown token leaves characters out", "[pipeline]") {
  json model = fallback_bpe(false);
  model["unk_token"] = nullptr;
  CHECK(pieces_of(model, "\u4E00a") == std::vector<CutPiece>{{1, 1}});
  model["unk_token"] = "<none>";
  CHECK_THROWS_AS(pieces_of(model, "\u4E00a"), xp::Error);
  CHECK(pieces_of(model, "a") == std::vector<CutPiece>{{1, 1}});
}

TEST_CASE("BPE merges by rank, then from the left, in short and in long words", "[pipeline]") {
  const json model = {{"type", "BPE"},
                      {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"aa", 3}, {"aab", 4}}},
                      {"merges", {"a a", "aa b", "a b"}}};
  CHECK(pieces_of(model, "aaab") == std::vector<CutPiece>{{3, 2}, {2, 4}});
  CHECK(pieces_of(model, "aab") == std::vector<CutPiece>{{4, 3}});
  std::string word;
  std::vector<CutPiece> expected;
  for (std::uint32_t i = 0; i < 1000; ++i)
    word += "aaab", expected.push_back({3, 4 * i + 2}), expected.push_back({2, 4 * i + 4});
  CHECK(pieces_of(model, word) == expected);
  // A rule that is there twice has the later rank.
  json twice = model;
  twice["merges"].push_back("a a");
  CHECK(pieces_of(twice, "aab") == std::vector<CutPiece>{{0, 1}, {2, 3}});
}

TEST_CASE("BPE cuts a megabyte without a space", "[pipeline]") {
  const json model = {{"type", "BPE"}, {"vocab", {{"a", 0}, {"aa", 1}, {"aaaa", 2}}}, {"merges", {"a a", "aa aa"}}};
  const auto pieces = pieces_of(model, std::string(1 << 20, 'a'));
  CHECK(pieces.size() == (1 << 18));
  CHECK(pieces.back() == CutPiece{2, 1 << 20});
}

TEST_CASE("Unigram ties, unknown characters and byte fallback", "[pipeline]") {
  const auto model = [](const json& vocab, bool bytes) {
    return json{{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}, {"byte_fallback", bytes}};
  };
  // Equal sums: the last piece is the longest.
  const json ties = Scores{{"<unk>", 0.0}, {"a", -1.0}, {"b", -1.0}, {"ab", -1.0}, {"aba", -2.0}, {"ba", -1.0}};
  CHECK(pieces_of(model(ties, false), "aba") == std::vector<CutPiece>{{4, 3}});
  CHECK(pieces_of(model(ties, false), "xya") == std::vector<CutPiece>{{0, 2}, {1, 3}});
  const json bytes = Scores{{"<unk>", 0.0}, {"a", -1.0}, {"<0xC3>", -9.0}, {"<0xA9>", -9.0}};
  CHECK(pieces_of(model(bytes, true), "\u00E9a") == std::vector<CutPiece>{{2, 2}, {3, 2}, {1, 3}});
  CHECK(pieces_of(model(bytes, true), "\u00E8a") == std::vector<CutPiece>{{0, 2}, {1, 3}});
  json none = model(ties, false);
  none["unk_id"] = nullptr;
  CHECK_THROWS_AS(pieces_of(none, "x"), xp::Error);
  const auto pipeline = pipeline_of(model(bytes, true));
  const auto tokens = pipeline->encode("a\u00E9");
  REQUIRE(tokens.size() == 3);
  CHECK((tokens[1].begin == 1 && tokens[1].end == 3 && tokens[2].begin == 1 && tokens[2].end == 3));
}

TEST_CASE("WordPiece and WordLevel words that nothing covers", "[pipeline]") {
  const json piece = {{"type", "WordPiece"},
                      {"unk_token", "[UNK]"},
                      {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", 4},
                      {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##b", 2}, {"##bc", 3}}}};
  CHECK(pieces_of(piece, "abcb") == std::vector<CutPiece>{{1, 1}, {3, 3}, {2, 4}});
  CHECK(pieces_of(piece, "abcbb") == std::vector<CutPiece>{{0, 5}});
  CHECK(pieces_of(piece, "abd") == std::vector<CutPiece>{{0, 3}});
  const json level = {{"type", "WordLevel"}, {"unk_token", "[UNK]"}, {"vocab", {{"a", 1}}}};
  CHECK(pieces_of(level, "a") == std::vector<CutPiece>{{1, 1}});
  CHECK_THROWS_AS(pieces_of(level, "b"), xp::Error);
}

TEST_CASE("Decoders one by one", "[pipeline]") {
  CHECK(decoded({{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "-"}}, {"ab", ""}) == "-a-b-");
  CHECK(decoded({{"type", "BPEDecoder"}, {"suffix", ""}}, {"ab", "ab"}) == " a b ab");
  CHECK(decoded({{"type", "ByteFallback"}}, {"<0x+5>", "<0x41>", "<0xG1>", "<0xC3>", "x"}) ==
        "\x05"
        "A<0xG1>\uFFFDx");
  CHECK(decoded({{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}},
                {"ab", "##c", "x .", "do not", "do not"}) == "abc x. don't don't");
  CHECK(decoded({{"type", "CTC"}, {"pad_token", "p"}, {"word_delimiter_token", "|"}, {"cleanup", true}},
                {"a", "a", "p", "a", "|", "b"}) == "aa b");
  CHECK(decoded({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 1}}, {" ", "", "  a  "}) == " a ");
  CHECK(decoded({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "first"}}, {"_a", "_b"}) == "a b");
  CHECK(decoded({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "never"}}, {"_a", "_b"}) == " a b");
  const json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  CHECK(decoded(level, {"\u0120a", "\u00C3", "\u00A9", "\u4E00", "\u00C3"}) == " a\u00E9\u4E00\uFFFD");
}

TEST_CASE("Added tokens get the ids that the library gives them", "[pipeline]") {
  const auto token = [](const char* content, int id) {
    return json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", false}};
  };
  const json model = {{"type", "WordLevel"}, {"unk_token", "<unk>"}, {"vocab", {{"<unk>", 0}, {"a", 1}, {"b", 20}}}};
  const auto pipeline =
      pipeline_of(model, {{"added_tokens", {token("X", 15), token("Y", 7), token("a", 1), token("b", 99)}}});
  CHECK(ids_of(*pipeline, "aXYb") == std::vector<TokenId>{1, 3, 4, 20});
  CHECK(pipeline->size() == 21);
  CHECK_FALSE(pipeline->has(2));
  CHECK(pipeline->text(2).empty());
  CHECK(pipeline->key(2) == TokenKey{"", WordStart::yes});
  CHECK_THROWS_AS(pipeline->text(21), xp::Error);
  CHECK(pipeline->decode(std::vector<TokenId>{1, 2, 3, 500, -1}) == "a X");
}

TEST_CASE("Invalid UTF-8 is read as U+FFFD, and offsets point into what was given", "[pipeline]") {
  const json model = {{"type", "BPE"},
                      {"unk_token", "<unk>"},
                      {"vocab", {{"<unk>", 0}, {"a", 1}, {"\uFFFD", 2}}},
                      {"merges", json::array()}};
  const auto pipeline = pipeline_of(model);
  const std::string text =
      "a\xE4\xB8"
      "a\xFF\xFE"
      "a";
  CHECK(xp::pipeline::broken_utf8(text) == std::vector<xp::TextSpan>{{1, 3}, {4, 5}, {5, 6}});
  CHECK(xp::pipeline::broken_utf8("fine \u4E00").empty());
  const std::vector<xp::TextSpan> places{{0, 1}, {1, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}};
  const auto framed = pipeline->frame(text);
  CHECK(framed.ids == std::vector<TokenId>{1, 2, 1, 2, 2, 1});
  CHECK(framed.offsets == places);
  const auto tokens = pipeline->encode(text);
  REQUIRE(tokens.size() == places.size());
  for (std::size_t i = 0; i < places.size(); ++i)
    CHECK((tokens[i].begin == places[i].begin && tokens[i].end == places[i].end));
}

TEST_CASE("Keys of tokens and the way back", "[pipeline]") {
  const json step = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const json bytes = {{"type", "BPE"},
                      {"vocab", {{"\u0120", 0}, {"a", 1}, {"\u0120a", 2}, {"\u00C3", 3}, {"\u00A9", 4}}},
                      {"merges", {"\u0120 a"}}};
  const auto gpt2 = pipeline_of(bytes, {{"pre_tokenizer", step}, {"decoder", step}});
  CHECK(gpt2->key(2) == TokenKey{"a", WordStart::yes});
  CHECK(gpt2->key(1) == TokenKey{"a", WordStart::no});
  CHECK(gpt2->key(3) == TokenKey{"\xC3", WordStart::no});
  CHECK(gpt2->pieces(TokenKey{"a", WordStart::yes}) == std::vector<TokenId>{2});
  CHECK(gpt2->pieces(TokenKey{"\u00E9a", WordStart::no}) == std::vector<TokenId>{3, 4, 1});

  const json mark = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}, {"split", true}};
  const json pieces = {
      {"type", "Unigram"},
      {"unk_id", 0},
      {"byte_fallback", true},
      {"vocab",
       Scores{
           {"<unk>", 0.0}, {"\u2581a", -1.0}, {"b", -2.0}, {"<0xC3>", -9.0}, {"<0xA9>", -9.0}, {"a\u2581", -3.0}}}};
  const auto unigram = pipeline_of(pieces, {{"pre_tokenizer", mark}, {"decoder", mark}});
  CHECK(unigram->key(0) == TokenKey{"", WordStart::no, xp::TokenKind::special, "unk"});
  CHECK(unigram->key(1) == TokenKey{"a", WordStart::yes});
  CHECK(unigram->key(5) == TokenKey{"a ", WordStart::no});
  CHECK(unigram->key(3) == TokenKey{"\xC3", WordStart::no, xp::TokenKind::byte});
  CHECK(unigram->pieces(unigram->key(3)) == std::vector<TokenId>{3});
  CHECK(unigram->pieces(TokenKey{"ab", WordStart::yes}) == std::vector<TokenId>{1, 2});
  CHECK(unigram->pieces(TokenKey{"\xC3", WordStart::no}) == std::vector<TokenId>{3});
  CHECK(unigram->pieces(TokenKey{"z", WordStart::no}).empty());

  const json bert = {{"type", "WordPiece"},
                     {"unk_token", "[UNK]"},
                     {"continuing_subword_prefix", "##"},
                     {"max_input_chars_per_word", 100},
                     {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##a", 2}, {"!", 3}}}};
  const auto wordpiece = pipeline_of(bert, {{"normalizer", {{"type", "Lowercase"}}}});
  CHECK(wordpiece->key(2) == TokenKey{"a", WordStart::no});
  CHECK(wordpiece->key(1) == TokenKey{"a", WordStart::yes});
  CHECK(wordpiece->key(3) == TokenKey{"!", WordStart::unknown});
  CHECK(wordpiece->pieces(TokenKey{"AA", WordStart::no}) == std::vector<TokenId>{2, 2});
  CHECK(wordpiece->pieces(TokenKey{"Aa", WordStart::yes}) == std::vector<TokenId>{1, 2});
}

TEST_CASE("Special tokens whose purpose nobody knows are matched by their text, others by purpose alone",
          "[pipeline]") {
  const auto words = [](const std::vector<std::string>& names) {
    json vocab = json::object(), added = json::array();
    for (const auto& name : names) {
      const auto id = vocab.size();
      vocab[name] = id;
      if (name.starts_with("<"))
        added.push_back({{"id", id},
                         {"content", name},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false},
                         {"normalized", false},
                         {"special", true}});
    }
    return pipeline_of({{"type", "WordLevel"}, {"unk_token", "<unk>"}, {"vocab", vocab}}, {{"added_tokens", added}});
  };
  const auto from = words({"<unk>", "<repo>", "a", "<pad>", "<file>"}),
             to = words({"<file>", "a", "<unk>", "<pad>", "<x>"});
  std::vector<TokenId> sources;
  for (const auto& match : xp::match_vocabularies(*from, *to, {xp::MatchLevel::exact}))
    sources.push_back(match ? match->source : -1);
  CHECK(sources == std::vector<TokenId>{4, 2, 0, 3, -1});
  const auto same = xp::match_vocabularies(*from, *from, {xp::MatchLevel::exact});
  for (TokenId id = 0; id < from->size(); ++id) CHECK(same[static_cast<std::size_t>(id)]->source == id);
}

TEST_CASE("A text that stands alone is matched by the token that stands alone, not by a piece inside words",
          "[pipeline]") {
  const json bert = {{"type", "WordPiece"},
                     {"unk_token", "[UNK]"},
                     {"continuing_subword_prefix", "##"},
                     {"max_input_chars_per_word", 100},
                     {"vocab", {{"[UNK]", 0}, {"##,", 1}, {",", 2}, {"##a", 3}, {"a", 4}}}};
  const json mark = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}};
  const json pieces = {
      {"type", "Unigram"},
      {"unk_id", 0},
      {"vocab",
       Scores{{"<unk>", 0.0}, {",", -1.0}, {"\u2581,", -1.0}, {"a", -1.0}, {"\u2581a", -2.0}, {"\u2581A", -3.0}}}};
  const auto words = pipeline_of(bert);
  const auto unigram = pipeline_of(pieces, {{"pre_tokenizer", mark}, {"decoder", mark}});
  const auto sources = [](const auto& from, const auto& to, std::vector<xp::MatchLevel> levels) {
    std::vector<TokenId> out;
    for (const auto& match : xp::match_vocabularies(from, to, levels)) out.push_back(match ? match->source : -1);
    return out;
  };
  using enum xp::MatchLevel;
  CHECK(sources(*words, *unigram, {exact}) == std::vector<TokenId>{0, 2, 2, 3, 4, -1});
  CHECK(sources(*words, *unigram, {exact, casefold}) == std::vector<TokenId>{0, 2, 2, 3, 4, 4});
  CHECK(sources(*unigram, *words, {exact}) == std::vector<TokenId>{0, 1, 1, 3, 4});
  CHECK(sources(*words, *words, {exact}) == std::vector<TokenId>{0, 1, 2, 3, 4});
  CHECK(sources(*unigram, *unigram, {exact}) == std::vector<TokenId>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("Purposes: given, named, of post-processing, well known", "[pipeline]") {
  json file = json::parse(
      R"({"added_tokens": [], "post_processor": {"type": "BertProcessing", "sep": ["c", 2], "cls": ["b", 1]},
    "model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1, "c": 2, "<pad>": 3, "<mask>": 4, "<extra_id_7>": 5}}})");
  for (const char* content : {"<pad>", "<mask>", "<extra_id_7>"})
    file["added_tokens"].push_back({{"id", file["model"]["vocab"][content]},
                                    {"content", content},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  const auto found = xp::pipeline::read_pipeline(file.dump(), "file");
  CHECK(found->purposes() ==
        xp::Purposes{{"unk", 0}, {"begin", 1}, {"end", 2}, {"pad", 3}, {"mask", 4}, {"sentinel.7", 5}});
  CHECK(found->reserved("sentinel", 7) == 5);
  const auto given = xp::pipeline::read_pipeline(file.dump(), "file", {{"mask", 3}}, {{"pad", "c"}, {"mask", "a"}});
  CHECK(given->purposes().at("mask") == 3);
  CHECK(given->purposes().at("pad") == 2);
}
