// Ids that the Hugging Face library gave for vocabularies fitted here; tools/parity/tokenizers_small.py writes them.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "testing/tokenizer_checks.h"

namespace golden_test {

using namespace xp;

const std::map<std::string, TokenId, std::less<>> kPurposes{
    {"pad", 0}, {"unk", 1}, {"begin", 2}, {"end", 3}, {"mask", 4}};

/// The encoder in the golden file, checked against the library's ids of every text.
std::unique_ptr<const Encoder> check_golden(const std::string& type, const std::string& name) {
  auto encoder = testing::make_tokenizer(type)->restore(testing::golden_tokenizer(name + ".json"), kPurposes);
  const auto rows = nlohmann::json::parse(testing::golden_tokenizer(name + ".ids.json"));
  CHECK(rows.size() > 20);
  for (const auto& row : rows) {
    INFO(row[0].dump());
    CHECK(testing::ids_of(encoder->encode(row[0].get<std::string>())) == row[1].get<std::vector<TokenId>>());
  }
  return encoder;
}

/// Lines of the corpus that the golden vocabularies were fitted on.
std::vector<std::string> corpus() {
  return testing::shipped_text({"udhr/en", "udhr/ru", "udhr/hi", "udhr/ja"}, 4000);
}

Table table(Table more = {}) {
  more["vocab_size"] = Value(std::int64_t{600});
  return more;
}

TEST_CASE("wordpiece gives the library's ids") {
  const auto encoder = check_golden("wordpiece", "wordpiece");
  CHECK(testing::fit(*testing::make_tokenizer("wordpiece", table({{"lowercase", Value(true)}})), corpus())->json() ==
        encoder->json());
}

TEST_CASE("bpe gives the library's ids") {
  const auto encoder = check_golden("bpe", "bpe");
  CHECK(testing::fit(*testing::make_tokenizer("bpe", table()), corpus())->json() == encoder->json());
  const auto chars = check_golden("bpe", "bpe_chars");
  const Table settings = table({{"byte_level", Value(false)}, {"pattern", Value("whitespace")}});
  CHECK(testing::fit(*testing::make_tokenizer("bpe", settings), corpus())->json() == chars->json());
}

TEST_CASE("unigram gives the library's ids") {
  check_golden("unigram", "unigram");
  check_golden("unigram", "unigram_bytes");
}

TEST_CASE("bytes gives the library's ids") { check_golden("bytes", "bytes"); }

}  // namespace golden_test
