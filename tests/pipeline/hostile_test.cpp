// What files may say wrong, and texts that are hard on steps.
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "base/error.h"
#include "kit/pipeline/charsmap.h"
#include "kit/pipeline/pattern.h"
#include "kit/pipeline/steps.h"

using namespace xp;
using pipeline::Entry;
using pipeline::Json;

namespace {

/// The message of the error that reading gives; empty if there is none.
std::string refusal(const Json& step, bool normalizer) {
  try {
    const Entry entry(step, "step");
    if (normalizer) {
      pipeline::read_normalizer(entry);
    } else {
      pipeline::read_pre_tokenizer(entry);
    }
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    return error.what();
  }
  return {};
}

bool says(const std::string& message, const char* part) { return message.find(part) != std::string::npos; }

std::string pattern_refusal(const std::string& pattern) {
  try {
    const pipeline::Pattern compiled(pattern, false, "here");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    CHECK(says(error.what(), "here"));
    return error.what();
  }
  return {};
}

std::vector<std::string> parts(const std::string& pattern, std::string_view text) {
  std::vector<std::string> out;
  pipeline::Pattern(pattern, false, "here").split(text, [&](std::size_t begin, std::size_t end, bool match) {
    out.push_back((match ? "+" : "") + std::string(text.substr(begin, end - begin)));
  });
  return out;
}

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : kDigits[three >> (18 - 6 * k) & 63];
  }
  return out;
}

std::string word(std::uint32_t value) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i) & 255));
  return out;
}

/// A map of "a" to "bc": root, its child at 256 ^ 'a', and the leaf.
std::string small_map() {
  std::vector<std::uint32_t> units(1024, 0);
  units[0] = 256U << 10;
  units[256 ^ 'a'] = ((256U ^ 'a' ^ 512U) << 10) | 1U << 8 | 'a';
  units[512] = 1U << 31;
  std::string out = word(4096);
  for (const auto unit : units) out += word(unit);
  return out + std::string("bc\0", 3);
}

}  // namespace

TEST_CASE("steps that a file describes wrongly are refused with their place") {
  CHECK(says(refusal(Json::array(), true), "step is a list of 0; it must be a table"));
  CHECK(says(refusal(Json::object(), true), "step.type is missing"));
  CHECK(says(refusal({{"type", 5}}, true), "step.type is 5; it must be a text"));
  CHECK(says(refusal({{"type", "NFX"}}, true), "step: normalizer type `NFX` is not known; known are BertNormalizer"));
  CHECK(says(refusal({{"type", "NFC"}}, false), "pre-tokenizer type `NFC` is not known"));
  CHECK(says(refusal({{"type", "Strip"}, {"strip_left", true}}, true), "step.strip_right is missing"));
  CHECK(says(refusal({{"type", "Strip"}, {"strip_left", "yes"}, {"strip_right", true}}, true),
             "step.strip_left is `yes`; it must be true or false"));
  CHECK(says(refusal({{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "no"}}}}}, true),
             "step.normalizers[1]: normalizer type `no`"));
  CHECK(says(refusal({{"type", "Sequence"}, {"pretokenizers", 1}}, false), "step.pretokenizers is 1"));
  CHECK(says(refusal({{"type", "Replace"}, {"pattern", "x"}, {"content", ""}}, true),
             "step.pattern: a pattern must be"));
  CHECK(says(refusal({{"type", "FixedLength"}, {"length", 0}}, false), "at least 1"));
  CHECK(says(refusal({{"type", "FixedLength"}, {"length", 18446744073709551615U}}, false), "below 2^63"));
  CHECK(says(refusal({{"type", "FixedLength"}, {"length", 1.5}}, false), "step.length is 1.5"));
  CHECK(says(refusal({{"type", "CharDelimiterSplit"}, {"delimiter", "ab"}}, false), "one character"));
  CHECK(says(refusal({{"type", "Metaspace"}, {"replacement", ""}}, false), "one character"));
  CHECK(says(refusal({{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "maybe"}}, false),
             "`maybe` must"));
  CHECK(
      says(refusal({{"type", "Metaspace"}, {"replacement", "_"}, {"add_prefix_space", false}}, false), "not never"));
  CHECK(says(refusal({{"type", "Punctuation"}, {"behavior", "Kept"}}, false), "step.behavior: behavior `Kept`"));
  CHECK(says(refusal({{"type", "ByteLevel"}, {"add_prefix_space", true}}, false), "trim_offsets is missing"));
  CHECK(refusal(nullptr, true).empty());
  CHECK(refusal(nullptr, false).empty());
  Json deep = {{"type", "NFC"}};
  for (int i = 0; i < 1000; ++i) deep = {{"type", "Sequence"}, {"normalizers", {std::move(deep)}}};
  CHECK(says(refusal(deep, true), "more than 64 deep"));
  const std::string long_text(1000, 'x');
  CHECK(refusal({{"type", long_text}}, true).size() < 2000);
}

TEST_CASE("patterns that cannot be matched as the library matches them are refused") {
  for (const char* pattern : {"(a",
                              "a)",
                              "[a",
                              "[]",
                              "[^]",
                              "*a",
                              "a|*",
                              "{2}",
                              "[z-a]",
                              "\\",
                              "[\\",
                              "\\p",
                              "\\p{L",
                              "\\p{NoSuch}",
                              "[[:foo:]]",
                              "(?s:.)",
                              "(?<=a+)b",
                              "(?<1>a)",
                              "(?P<n>a)",
                              "(?(1)a|b)",
                              "(?~ab)",
                              "\\X",
                              "\\K",
                              "\\y",
                              "\\g<1>",
                              "\\1",
                              "(?=a)*b",
                              "\\b?a",
                              "^*a",
                              "a{3,1}",
                              "a{70000}",
                              "\\x{110000}",
                              "\\x{D800}",
                              "\\xE9",
                              "\\u12",
                              "(?i:stra\xC3\x9F"
                              "e)",
                              "(?i:ss)",
                              "(?i:[\xC3\x9F])",
                              "[a-\\d]",
                              "[\\d-a]",
                              "(?i:(a)\\1)",
                              "(*FAIL)",
                              "a\xFF",
                              "(?#a",
                              "(?<n>a)\\1",
                              "[a&&]",
                              "\\C-a"}) {
    INFO(pattern);
    CHECK_FALSE(pattern_refusal(pattern).empty());
  }
  CHECK(says(pattern_refusal("abc\\p{NoSuch}"), "`abc\\p{NoSuch}`, byte 3: property `NoSuch` is not known here"));
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "(";
  CHECK(says(pattern_refusal(deep), "nested more than 100"));
  deep.assign(5000, '[');
  CHECK(says(pattern_refusal(deep), "nested more than 32"));
}

TEST_CASE("patterns in Ruby's syntax") {
  using Texts = std::vector<std::string>;
  CHECK(parts("a{2}?", "aaaaa") == Texts{"+aa", "+aa", "a", "+"});
  CHECK(parts("a{1,2}+", "aaaaab") == Texts{"+aaaaa", "b"});
  CHECK(parts("a{,2}b", "aaab") == Texts{"a", "+aab"});
  CHECK(parts("x{", "x{") == Texts{"+x{"});
  CHECK(parts("a(?i)b|c", "aCx aBx Cx") == Texts{"+aC", "x ", "+aB", "x Cx"});
  CHECK(parts("^a$", "a\nb\na") == Texts{"+a", "\nb\n", "+a"});
  CHECK(parts("\\v", "\x0B\n") == Texts{"+\x0B", "\n"});
  CHECK(parts("\\h+", "xfFg0") == Texts{"x", "+fF", "g", "+0"});
  CHECK(parts("(?<q>['\"])\\w\\k<q>", "'a\" 'b'") == Texts{"'a\" ", "+'b'"});
  CHECK(parts("(?x) a b # c\n c", "abc") == Texts{"+abc"});
  CHECK(parts("[a-z&&[^b-y]]", "azm") == Texts{"+a", "+z", "m"});
}

TEST_CASE("a pattern that would search for ages gives up with its name") {
  const pipeline::Pattern pattern("(a+a+)+[bc]", false, "normalizer.pattern");
  const std::string text = std::string(60, 'a') + "d";
  try {
    pattern.split(text, [](std::size_t, std::size_t, bool) {});
    FAIL("it came to an end");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::data);
    CHECK(says(error.what(), "normalizer.pattern: matching `(a+a+)+[bc]` gave up at byte 0"));
  }
}

TEST_CASE("long runs take the time of their length") {
  const std::string marks = "a" + [] {
    std::string out;
    for (int i = 0; i < 200000; ++i) out += i % 2 == 0 ? "\u0301" : "\u0323";
    return out;
  }();
  for (const char* type : {"NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Nmt", "Lowercase", "ByteLevel"}) {
    const Json step = {{"type", type}};
    AlignedText text(marks);
    pipeline::read_normalizer({step, "step"})->apply(text);
    CHECK_FALSE(text.text().empty());
  }
  const Json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  pipeline::Words words{AlignedText(std::string(2000000, ' ') + "a"), {{0, 2000001}}};
  pipeline::read_pre_tokenizer({level, "step"})->apply(words);
  REQUIRE(words.spans.size() == 2);
  CHECK(words.text.original(words.spans[1].begin, words.spans[1].end) == TextSpan{1999999, 2000001});
}

TEST_CASE("broken character maps are refused or give up, never read outside") {
  const auto make = [](const std::string& bytes) { return pipeline::Charsmap(base64(bytes), "map"); };
  const std::string good = small_map();
  AlignedText text("xay");
  make(good).apply(text);
  CHECK(text.text() == "xbcy");
  CHECK(text.original(1, 3) == TextSpan{1, 2});
  for (const char* bad : {"", "AAA", "AAAA", "A===", "AA=A", "!!!!", "AAAAAA=A", "AAAAAAE=AAAA", "AAAAAQ==AAAA"})
    CHECK_THROWS_AS(pipeline::Charsmap(bad, "map"), Error);
  for (std::size_t n = 0; n < 4100; n += n < 16 || n > 4000 ? 1 : 61) CHECK_THROWS_AS(make(good.substr(0, n)), Error);
  std::string not_text = good;
  not_text[good.size() - 2] = '\xFF';
  CHECK_THROWS_AS(make(not_text), Error);
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string changed = good;
    for (int k = 0; k < 3; ++k) {
      const std::size_t at = k == 0 ? 4 + 4 * (256 ^ 'a') + random() % 4 : 4 + random() % 4096;
      changed[at] = static_cast<char>(random() & 255);
    }
    try {
      const auto map = make(changed);
      AlignedText one("abc \u00E9a\u0301\r\n\u4E00\U0001F600a");
      map.apply(one);
    } catch (const Error& error) {
      CHECK(error.exit() == Exit::data);
      CHECK(says(error.what(), "map points to"));
      ++refused;
    }
  }
  CHECK(refused > 100);
}
