// The same for vocabularies with marks in place of blanks: Unigram models behind every normalizer that has a short
// way, and BPE models that no pre-tokenizer cuts for.
#include <map>

#include <catch2/catch_test_macros.hpp>

#include "drawn_texts.h"

namespace {

using nlohmann::json;
using xp_test::first_difference;

constexpr int kTexts = 20000, kFewTexts = 2000;  // of each shape that real files have, and of each variant

std::string base64(std::string_view bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) out += at + i > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * i) & 63];
  }
  return out;
}

// A map in the format of SentencePiece, with 256 units for the children of each node.
json charsmap(const std::map<std::string, std::string>& entries) {
  std::map<std::string, std::uint32_t> bases{{"", 1}};  // of what begins a key, in blocks
  for (const auto& [key, value] : entries)
    for (std::size_t n = 1; n <= key.size(); ++n)
      bases.emplace(key.substr(0, n), static_cast<std::uint32_t>(bases.size()) + 1);
  std::vector<std::uint32_t> units(256 * (bases.size() + 1));
  units[0] = 256 << 10;
  std::string values;
  for (const auto& [prefix, base] : bases) {
    if (prefix.empty()) continue;
    const auto byte = static_cast<unsigned char>(prefix.back());
    const std::uint32_t unit = 256 * bases.at(prefix.substr(0, prefix.size() - 1)) ^ byte;
    const auto entry = entries.find(prefix);
    units[unit] = byte | (unit ^ 256 * base) << 10 | (entry == entries.end() ? 0 : 0x100);
    if (entry == entries.end()) continue;
    units[256 * base] = 0x80000000 | static_cast<std::uint32_t>(values.size());
    values += entry->second + '\0';
  }
  std::string bytes;
  const auto put = [&](std::uint32_t word) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(word >> 8 * i & 0xFF);
  };
  put(static_cast<std::uint32_t>(4 * units.size()));
  for (const std::uint32_t unit : units) put(unit);
  return {{"type", "Precompiled"}, {"precompiled_charsmap", base64(bytes + values)}};
}

const std::map<std::string, std::string> kEntries = {{"\n", " "},
                                                     {"\t", " "},
                                                     {"\u00A0", " "},
                                                     {"\u3000", " "},
                                                     {"\uFF21", "A"},
                                                     {"\u2026", "..."},
                                                     {"\u00B4", " \u0301"},
                                                     {"e\u0301", "\u00E9"},
                                                     {"\u200B", " "},
                                                     {"\uFEFF", ""},
                                                     {"\u200D", ""},
                                                     {"\uFB01", "fi"},
                                                     {"\u304B\u3099", "\u304C"},
                                                     {"\x01", ""},
                                                     {" \u0301", "\u00B4"}};

json regex_replace(const char* regex, const char* content) {
  return {{"type", "Replace"}, {"pattern", {{"Regex", regex}}}, {"content", content}};
}
json text_replace(const char* text, const char* content) {
  return {{"type", "Replace"}, {"pattern", {{"String", text}}}, {"content", content}};
}
json step(const char* type) { return {{"type", type}}; }
json sequence(const json::array_t& steps) { return {{"type", "Sequence"}, {"normalizers", steps}}; }
json strip(bool left) { return {{"type", "Strip"}, {"strip_left", left}, {"strip_right", true}}; }

std::vector<json> normalizers() {
  const json map = charsmap(kEntries), runs = regex_replace(" {2,}", " ");
  return {nullptr,
          map,
          sequence({map, runs}),
          sequence({map, strip(false), regex_replace(" {2,}", "\u2581")}),
          step("NFKC"),
          step("NFD"),
          sequence({step("Nmt"), step("NFKC"), runs}),
          sequence({text_replace("``", "\""), text_replace("''", "\""), step("NFKD"), step("StripAccents"),
                    step("Lowercase"), runs}),
          sequence({text_replace("\n", " "), step("NFC"), sequence({text_replace("a ", "b"), step("Lowercase")})}),
          step("StripAccents")};
}

// A step that looks at the text's beginning, a key that goes on over a blank, two steps over clusters, no blank left.
std::vector<json> normalizers_that_need_the_steps() {
  const json map = charsmap(kEntries);
  auto greedy = kEntries;
  greedy["\u0600"] = "", greedy["\u0600 "] = "x", greedy["|"] = "/";
  return {sequence({map, strip(true), regex_replace(" {2,}", " ")}), charsmap(greedy), sequence({step("NFKC"), map}),
          text_replace(" ", "\u2581")};
}

json metaspace(const char* scheme, bool split = true, const char* mark = "\u2581") {
  return {{"type", "Metaspace"}, {"replacement", mark}, {"prepend_scheme", scheme}, {"split", split}};
}
json at_spaces(const json& metaspace) {
  return {{"type", "Sequence"}, {"pretokenizers", {{{"type", "WhitespaceSplit"}}, metaspace}}};
}

json unigram(bool byte_fallback) {
  json vocab = json::array({{"<unk>", 0}, {"\u2581", -2.5}});
  const auto add = [&](const std::string& text, double score) { vocab.push_back({text, score}); };
  for (const char c : std::string("abcdefgT123.,'|")) add(std::string(1, c), -4.3 - 0.1 * (c % 7));
  for (const char* text :
       {"\u2581a",   "aa",        "ab",     "ba",           "aaa",     "\u2581ab", "abab",         "cd",
        "\u2581the", "\u2581The", "\u00E9", "\u2581\u2581", "a\u2581", "\u4E2D",   "\u4E2D\u6587", "\u3053\u3093",
        "\u3053",    "\u0414",    "...",    "fi",           "\uAC00",  "\u0301",   "\n",           "b\n"})
    add(text, -3.0 - 0.25 * static_cast<double>(vocab.size() % 9));
  if (byte_fallback)
    for (int byte = 0; byte < 256; ++byte) {
      constexpr const char* kDigits = "0123456789ABCDEF";
      add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", -9);
    }
  return {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}, {"byte_fallback", byte_fallback}};
}

json marked_bpe(bool byte_fallback, bool joins_marks) {
  json vocab{{"<unk>", 0}, {"<s>", 1}}, merges = json::array();
  const auto add = [&](const std::string& text) { vocab.emplace(text, vocab.size()); };
  if (byte_fallback)
    for (int byte = 0; byte < 256; ++byte) {
      constexpr const char* kDigits = "0123456789ABCDEF";
      add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">");
    }
  for (const char* c :
       {"\u2581", "a",      "b",      "c",      "d",      "e",      "h",      "t",      "T",  ".", ",", "1",
        "2",      "\u00E9", "\u4E2D", "\u6587", "\u3053", "\u3093", "\u0414", "\u0430", "\n", "<", ">", "'"})
    add(c);
  std::vector<std::pair<std::string, std::string>> pairs = {
      {"a", "b"},           {"\u2581", "a"}, {"\u2581", "\u2581"}, {"ab", "c"},
      {"t", "h"},           {"th", "e"},     {"\u2581", "the"},    {".", "."},
      {"..", "."},          {"1", "2"},      {"\u4E2D", "\u6587"}, {"\u3053", "\u3093"},
      {"\u0414", "\u0430"}, {"d", "d"},      {"dd", "dd"},         {"\u2581\u2581", "\u2581\u2581"}};
  if (joins_marks) pairs.insert(pairs.end(), {{"b", "\u2581"}, {",", "\u2581a"}, {"\u4E2D", "\u2581"}});
  for (const auto& [left, right] : pairs) {
    add(left + right);
    merges.push_back(json::array({left, right}));
  }
  return {{"type", "BPE"},        {"vocab", vocab},   {"merges", merges},
          {"unk_token", "<unk>"}, {"fuse_unk", true}, {"byte_fallback", byte_fallback}};
}

}  // namespace

TEST_CASE("Fast ids of Unigram vocabularies behind every normalizer", "[pipeline]") {
  for (const auto& normalizer : normalizers())
    for (const char* scheme : {"always", "first", "never"})
      for (const bool spaces : {false, true}) {
        INFO(normalizer.dump().substr(0, 200) << " " << scheme << " " << spaces);
        CHECK(first_difference({{"model", unigram(spaces)},
                                {"normalizer", normalizer},
                                {"added_tokens", {xp_test::added_token(0, "<unk>", false)}},
                                {"pre_tokenizer", spaces ? at_spaces(metaspace(scheme)) : metaspace(scheme)}},
                               kFewTexts) == "");
      }
}

TEST_CASE("Where words cannot be cut in the given bytes the steps are taken", "[pipeline]") {
  for (const auto& normalizer : normalizers_that_need_the_steps()) {
    INFO(normalizer.dump().substr(0, 200));
    CHECK(first_difference(
              {{"model", unigram(true)}, {"normalizer", normalizer}, {"pre_tokenizer", metaspace("always")}}, 1) ==
          "the steps are needed");
  }
}

TEST_CASE("Fast ids of a Unigram vocabulary as real files have it", "[pipeline]") {
  const json normalizer = sequence({charsmap(kEntries), regex_replace(" {2,}", " ")});
  CHECK(first_difference(
            {{"model", unigram(true)}, {"normalizer", normalizer}, {"pre_tokenizer", metaspace("always")}}, kTexts) ==
        "");
  CHECK(first_difference({{"model", unigram(false)}, {"pre_tokenizer", metaspace("first", true, "_")}}, kTexts) ==
        "");
}

TEST_CASE("Fast ids of BPE vocabularies with marks", "[pipeline]") {
  const json replace = text_replace(" ", "\u2581");
  const json prepend = {{"type", "Prepend"}, {"prepend", "\u2581"}};
  const json split = {
      {"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
  struct Shape {
    json normalizer, pre_tokenizer;
  };
  for (const auto& [normalizer, pre_tokenizer] :
       {Shape{sequence({prepend, replace}), nullptr}, Shape{replace, split}, Shape{nullptr, metaspace("always")},
        Shape{nullptr, metaspace("first", false)}, Shape{replace, metaspace("always", false)},
        Shape{step("NFC"), metaspace("first")}, Shape{nullptr, at_spaces(metaspace("always"))}})
    for (const bool byte_fallback : {false, true})
      for (const bool joins_marks : {false, true}) {
        INFO(normalizer << " " << pre_tokenizer << " " << byte_fallback << " " << joins_marks);
        CHECK(first_difference({{"model", marked_bpe(byte_fallback, joins_marks)},
                                {"normalizer", normalizer},
                                {"added_tokens", {xp_test::added_token(1, "<s>", false)}},
                                {"pre_tokenizer", pre_tokenizer}},
                               byte_fallback && !joins_marks ? kTexts : kFewTexts) == "");
      }
}

TEST_CASE("Scores of a Unigram vocabulary are read as the library reads them", "[pipeline]") {
  // Read exactly, the sum of the two halves would be above the score of the whole.
  const double half = -1.8712957703530222, whole = -3.742591540706045;
  REQUIRE(half + half > whole);
  json vocab = json::array();
  for (const auto& [text, score] :
       std::vector<std::pair<const char*, double>>{{"<unk>", 0}, {"a", half}, {"b", half}, {"ab", whole}})
    vocab.push_back({text, score});
  const json model = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}};
  const auto pipeline = xp::pipeline::read_pipeline(json{{"model", model}}.dump(), "file");
  CHECK(xp_test::ids_by_steps(*pipeline, "ab") == std::vector<xp::TokenId>{3});
}
