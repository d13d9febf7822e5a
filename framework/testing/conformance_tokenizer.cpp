#include "testing/conformance_tokenizer.h"

#include <catch2/catch_test_macros.hpp>

#include "api/tokenizer.h"
#include "base/text.h"
#include "testing/conformance_component.h"
#include "testing/toy_corpus.h"

namespace xp::testing {
namespace {

ToyCorpus corpus() {
  return ToyCorpus({"the sun rises over the harbour and the harbour wakes", "the wind sings, the wind sleeps; nobody counts it",
                    "numbers: 1 2 3 10 100 2000", "die Sonne geht \xC3\xBC"
                    "ber dem Hafen auf",
                    "the baker opens at six and the bread is warm until nine", "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xE3\x81\xAE \xE6\x96\x87"});
}

void check_tokens(const Encoder& encoder, const std::string& text) {
  std::uint32_t place = 0, word = 0;
  for (const auto& token : encoder.encode(text)) {
    CHECK(token.id >= 0);
    CHECK(token.id < encoder.size());
    CHECK(token.begin <= token.end);
    CHECK(token.end <= text.size());
    CHECK(token.begin >= place);
    CHECK(token.word >= word);
    place = token.begin, word = token.word;
  }
}

std::vector<TokenId> ids_of(const Encoder& encoder, const std::string& text) {
  std::vector<TokenId> out;
  for (const auto& token : encoder.encode(text)) out.push_back(token.id);
  return out;
}

void check_purposes(const Encoder& encoder) {
  for (const char* purpose : {"pad", "unk", "begin", "end", "mask", "sentinel"}) {
    INFO(purpose);
    const auto id = encoder.reserved(purpose, purpose == std::string_view("sentinel") ? 1 : 0);
    REQUIRE(id);
    CHECK(*id >= 0);
    CHECK(*id < encoder.size());
    CHECK(encoder.key(*id).kind == TokenKind::special);
    const std::vector<TokenId> alone{*id};
    CHECK(encoder.decode(alone).empty());
  }
  CHECK_FALSE(encoder.reserved("sentinel", 2));
  CHECK_FALSE(encoder.reserved("no_such_purpose"));
}

}  // namespace

const std::vector<std::string>& conformance_texts() {
  static const std::vector<std::string> all = {
      "", " ", "  two  blanks ", "\n\t\r\n", "tab\tand\nline", "e\xCC\x81 and \xC3\xA9",
      "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x81\xA7\xE3\x81\x99", "\xD8\xA7\xD9\x84\xD8\xB3\xD9\x84\xD8\xA7\xD9\x85",
      "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80", "[MASK] <s> </s> ##ing", std::string("nul\0inside", 10), "\x01\x7F",
      "\xFF\xFE", "cut \xE6\x97", "\xC0\x80", "\xED\xA0\x80", "don't 3.14 a_b", std::string(3000, 'x')};
  return all;
}

void check_tokenizer(const Registry& registry, const std::string& type) {
  check_component(registry, Tokenizer::kInterface, type);
  auto settings = default_settings(*registry.catalogue().find(Tokenizer::kInterface, type));
  if (settings.empty()) return;  // its own test knows what it requires
  INFO("tokenizer " << type);
  const auto tokenizer = registry.make<Tokenizer>(settings);
  const auto fit = [&] { return tokenizer->fit(corpus(), {{"sentinel", 2}}, RandomStreams(7)); };
  const auto encoder = fit();
  CHECK(fit()->json() == encoder->json());
  check_purposes(*encoder);
  const auto restored = tokenizer->restore(encoder->json(), encoder->purposes());
  REQUIRE(restored->size() == encoder->size());
  CHECK(restored->purposes() == encoder->purposes());
  CHECK(restored->json() == encoder->json());
  for (const auto& text : conformance_texts()) {
    INFO(printable(text.substr(0, 40)));
    check_tokens(*encoder, text);
    const auto ids = ids_of(*encoder, text);
    CHECK(ids_of(*restored, text) == ids);
    CHECK(restored->decode(ids) == encoder->decode(ids));
  }
  for (TokenId id = 0; id < encoder->size(); ++id) {
    CHECK(restored->text(id) == encoder->text(id));
    CHECK(restored->key(id) == encoder->key(id));
    for (const auto piece : encoder->pieces(encoder->key(id))) CHECK((piece >= 0 && piece < encoder->size()));
  }
  CHECK_THROWS_AS(tokenizer->restore("{\"model\": 3}", encoder->purposes()), Error);
  CHECK_THROWS_AS(tokenizer->restore("not json", encoder->purposes()), Error);
}

}  // namespace xp::testing
