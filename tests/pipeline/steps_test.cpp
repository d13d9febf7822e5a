// Normalizers and pre-tokenizers against what the Hugging Face library gives (tools/parity/pipeline_steps.py).
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>

#include "base/digest.h"
#include "base/file.h"
#include "kit/pipeline/pattern.h"
#include "kit/pipeline/steps.h"

using namespace xp;
using pipeline::Json;

namespace {

constexpr std::size_t kGroup = 64;  // texts that share a digest

struct Steps {
  std::unique_ptr<const pipeline::Normalizer> normalizer;
  std::unique_ptr<const pipeline::PreTokenizer> pre_tokenizer;

  explicit Steps(const Json& file)
      : normalizer(pipeline::read_normalizer({file.at("normalizer"), "normalizer"})),
        pre_tokenizer(pipeline::read_pre_tokenizer({file.at("pre_tokenizer"), "pre_tokenizer"})) {}

  pipeline::Words words(const std::string& text) const {
    AlignedText aligned(text);
    if (normalizer) normalizer->apply(aligned);
    const auto size = static_cast<std::uint32_t>(aligned.text().size());
    pipeline::Words out{std::move(aligned), {{0, size}}};
    if (pre_tokenizer) pre_tokenizer->apply(out);
    std::erase_if(out.spans, [](TextSpan word) { return word.begin == word.end; });
    return out;
  }
};

Json word_list(const pipeline::Words& words) {
  Json out = Json::array();
  for (const TextSpan word : words.spans) {
    const TextSpan from = words.text.original(word.begin, word.end);
    out.push_back({words.text.text().substr(word.begin, word.end - word.begin), from.begin, from.end});
  }
  return out;
}

void add_to(std::string& digested, const pipeline::Words& words) {
  for (const TextSpan word : words.spans) {
    const TextSpan from = words.text.original(word.begin, word.end);
    digested.append(words.text.text(), word.begin, word.end - word.begin) += '\0';
    digested += std::to_string(from.begin) + " " + std::to_string(from.end) + "\n";
  }
  digested += "\n";
}

Json golden(const char* name) {
  return Json::parse(read_file(std::string(XP_SOURCE_DIR "/tests/golden/pipeline/") + name));
}

std::string every_character() {
  std::string out;
  for (char32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c >= 0xE000) append_char(out, c);
  return out;
}

}  // namespace

TEST_CASE("normalizers and pre-tokenizers give the library's words and places") {
  const auto texts = golden("texts.json").get<std::vector<std::string>>();
  const Json rows = golden("steps.json");
  REQUIRE(texts.size() > 2000);
  REQUIRE(rows.size() > 150);
  for (const auto& row : rows) {
    INFO(row["normalizer"].dump().substr(0, 300) << " " << row["pre_tokenizer"].dump());
    const Steps steps(row);
    for (std::size_t i = 0; i < row["words"].size(); ++i)
      CHECK(word_list(steps.words(texts[1 + 9 * i])) == row["words"][i]);
    std::string digests;
    for (std::size_t begin = 0; begin < texts.size(); begin += kGroup) {
      std::string digested;
      for (std::size_t i = begin; i < std::min(begin + kGroup, texts.size()); ++i)
        add_to(digested, steps.words(texts[i]));
      digests += (digests.empty() ? "" : " ") + sha256(digested).substr(0, 12);
    }
    CHECK(digests == row["digests"].get<std::string>());
  }
}

TEST_CASE("patterns match the library's characters") {
  const std::string everything = every_character();
  for (const auto& row : golden("classes.json")) {
    INFO(row.dump());
    const pipeline::Pattern pattern(row[0].get<std::string>(), false, "test");
    std::string left;
    pattern.split(everything, [&](std::size_t begin, std::size_t end, bool match) {
      if (!match) left.append(everything, begin, end - begin);
    });
    CHECK(sha256(left).substr(0, 16) == row[1].get<std::string>());
  }
}

// Run by tools/parity/pipeline_steps.py --program: reads settings and cases, writes a line of words for each.
TEST_CASE("words of given cases", "[.differential]") {
  const char *source = std::getenv("XP_PIPELINE_CASES"), *target = std::getenv("XP_PIPELINE_WORDS");
  REQUIRE(source != nullptr);
  REQUIRE(target != nullptr);
  std::ifstream in(source);
  std::ofstream out(target);
  std::string line;
  REQUIRE(std::getline(in, line));
  const Json settings = Json::parse(line);
  std::vector<Steps> steps;
  for (const auto& one : settings) steps.emplace_back(one);
  while (std::getline(in, line)) {
    const Json read = Json::parse(line);
    out << word_list(steps.at(read[0].get<std::size_t>()).words(read[1].get<std::string>())).dump() << "\n";
  }
  out.flush();
  REQUIRE(out.good());
}
