#include "testing/conformance_tokenizer.h"

#include <catch2/catch_test_macros.hpp>

#include "base/file.h"
#include "kit/counting_tokenizer.h"
#include "testing/conformance_component.h"
#include "testing/tokenizer_checks.h"

namespace xp::testing {
namespace {

const std::vector<std::string> kTexts = {"the sun rises over the harbour and the harbour wakes",
                                         "the wind sings, the wind sleeps; nobody counts it",
                                         "numbers: 1 2 3 10 100 2000",
                                         "die Sonne geht \u00fcber dem Hafen auf",
                                         "the baker opens at six and the bread is warm until nine",
                                         "\u65e5\u672c\u8a9e \u306e \u6587"};

void check_purposes(const Encoder& encoder) {
  for (const auto& [purpose, index] : std::vector<std::pair<std::string, int>>{
           {"pad", 0}, {"unk", 0}, {"begin", 0}, {"end", 0}, {"mask", 0}, {"sentinel", 0}, {"sentinel", 1}}) {
    INFO(purpose << " " << index);
    const auto id = encoder.reserved(purpose, index);
    REQUIRE(id);
    REQUIRE((*id >= 0 && *id < encoder.size()));
    CHECK(encoder.key(*id).kind == TokenKind::special);
    const std::vector<TokenId> alone{*id};
    CHECK(encoder.decode(alone).empty());
  }
  CHECK_FALSE(encoder.reserved("sentinel", 2));
  CHECK_FALSE(encoder.reserved("no_such_purpose"));
}

// Counts are kept as they are, give the same vocabulary, and say how many tokens there are.
void check_counts(const CountingTokenizer& tokenizer, const Reserve& reserve) {
  auto texts = nasty_texts();
  texts.insert(texts.end(), kTexts.begin(), kTexts.end());
  const auto words = tokenizer.count(TextSource(texts));
  const auto folder = make_scratch(std::filesystem::temp_directory_path(), "xp-counts-");
  write_counts(folder, {words, 7, 12345});
  const auto read = read_counts(folder);
  std::filesystem::remove_all(folder);
  CHECK(read.words == words);
  CHECK((read.documents == 7 && read.bytes == 12345));
  const auto encoder = tokenizer.fit(words, reserve);
  CHECK(encoder->json() == fit(tokenizer, texts, reserve)->json());
  std::int64_t tokens = 0;
  for (const auto& text : texts) tokens += std::ssize(encoder->encode(text));
  CHECK(encoder->tokens_of(words, 2) == tokens);
}

}  // namespace

void check_tokenizer(const Registry& registry, const std::string& type) {
  check_component(registry, Tokenizer::kInterface, type);
  const auto settings = default_settings(*registry.catalogue().find(Tokenizer::kInterface, type));
  if (settings.empty()) return;  // its own test knows what it requires
  INFO("tokenizer " << type);
  const auto tokenizer = registry.make<Tokenizer>(settings);
  const auto encoder = fit(*tokenizer, kTexts, {{"sentinel", 2}});
  CHECK(fit(*tokenizer, kTexts, {{"sentinel", 2}})->json() == encoder->json());
  check_purposes(*encoder);
  if (const auto* counting = dynamic_cast<const CountingTokenizer*>(tokenizer.get()))
    check_counts(*counting, {{"sentinel", 2}});
  for (const auto& text : nasty_texts()) CHECK(broken_rule(*encoder, text).empty());
  CHECK(broken_key(*encoder).empty());
  CHECK(broken_restore(*tokenizer, *encoder, nasty_texts()).empty());
  CHECK_THROWS_AS(tokenizer->restore("{\"model\": 3}", encoder->purposes()), Error);
  CHECK_THROWS_AS(tokenizer->restore("not json", encoder->purposes()), Error);
}

}  // namespace xp::testing
