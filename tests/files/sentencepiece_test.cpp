#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "hostile.h"
#include "kit/files/base64.h"
#include "kit/files/sentencepiece_model.h"

namespace xp::sentencepiece_test {
namespace {

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}

std::string number(std::uint32_t field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string text(std::uint32_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}

std::string piece(const std::string& token, float score = 0, int type = 0) {
  auto inner = text(1, token) + varint(2 << 3 | 5) + Bytes().number(score).all();
  if (type > 0) inner += number(3, static_cast<std::uint64_t>(type));
  return text(1, inner);
}

const std::string kReserved = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
const std::string kPieces = kReserved + piece("▁", -3) + piece("a", -4) + piece("▁a", -2) + piece("aa", -5);

std::string trainer(const std::string& inner) { return text(2, inner); }
std::string normalizer(const std::string& inner) { return text(3, inner); }

SentencePieceModel read(const std::string& bytes) {
  const Scratch scratch;
  put(scratch / "m.model", bytes);
  return read_sentencepiece(scratch / "m.model");
}

json converted(const std::string& bytes) { return json::parse(sentencepiece_tokenizer_json(read(bytes), "here")); }

std::string said(const std::string& bytes) {
  return refusal([&] { converted(bytes); });
}

}  // namespace

TEST_CASE("sentencepiece: what the message says, and what it leaves out") {
  const auto plain = read(kPieces);
  CHECK(plain.pieces.size() == 7);
  CHECK((plain.pieces[5].text == "▁a" && plain.pieces[5].score == -2 && plain.pieces[5].type == PieceType::normal));
  CHECK(plain.pieces[1].type == PieceType::control);
  CHECK(plain.kind == SentencePieceModel::Kind::unigram);
  CHECK((plain.dummy_prefix && plain.remove_extra_whitespaces && plain.escape_whitespaces));
  CHECK((plain.unk == 0 && plain.bos == 1 && plain.eos == 2 && plain.pad == -1));
  const auto bytes = kPieces +
                     trainer(number(3, 2) + number(35, 1) + number(43, ~std::uint64_t{0}) + text(1, "en.txt") +
                             varint(10 << 3 | 5) + "abcd" + varint(99 << 3 | 1) + "abcdefgh") +
                     normalizer(text(2, std::string("\0\1", 2)) + number(3, 0) + number(4, 0)) + text(4, "tests");
  const auto full = read(bytes);
  CHECK(full.kind == SentencePieceModel::Kind::bpe);
  CHECK(full.byte_fallback);
  CHECK(full.charsmap == std::string("\0\1", 2));
  CHECK((!full.dummy_prefix && !full.remove_extra_whitespaces && full.pad == -1));
}

TEST_CASE("sentencepiece: a Unigram model as tokenizer.json") {
  const auto file = converted(kPieces + piece("<x>", 0, 4) + normalizer(text(2, "map")));
  CHECK(file["model"]["type"] == "Unigram");
  CHECK(file["model"]["unk_id"] == 0);
  CHECK(file["model"]["vocab"][5] == json::parse(R"(["▁a",-2.0])"));
  CHECK(std::abs(file["model"]["vocab"][7][1].get<double>() + 0.1) < 1e-6);  // what a user defined always wins
  REQUIRE(file["added_tokens"].size() == 3);
  CHECK(file["added_tokens"][1]["content"] == "<s>");
  const auto& steps = file["normalizer"]["normalizers"];
  REQUIRE(steps.size() == 5);
  CHECK(from_base64(steps[0]["precompiled_charsmap"].get<std::string>()) == "map");
  CHECK(steps[3]["prepend"] == "▁");
  CHECK(file["pre_tokenizer"]["prepend_scheme"] == "never");
  CHECK(file["post_processor"].is_null());
  // A piece that goes over a space forbids to cut at spaces.
  CHECK(converted(kPieces + piece("a▁a", -1))["pre_tokenizer"].is_null());
}

TEST_CASE("sentencepiece: a BPE model as tokenizer.json") {
  const auto bpe = trainer(number(3, 2) + number(35, 1));
  const auto file = converted(kPieces + bpe + normalizer(number(4, 0)));
  CHECK(file["model"]["merges"] == json::parse(R"([["▁","a"],["a","a"]])"));
  CHECK((file["model"]["byte_fallback"] == true && file["model"]["unk_token"] == "<unk>"));
  CHECK(file["normalizer"]["normalizers"].size() == 2);
  CHECK(file["pre_tokenizer"].is_null());
  CHECK(file["decoder"]["decoders"].size() == 4);
  const auto own = converted(kPieces + piece("<x>", 0, 4) + bpe);
  CHECK(own["pre_tokenizer"]["prepend_scheme"] == "first");
  CHECK((own["added_tokens"][3]["content"] == "<x>" && own["added_tokens"][3]["special"] == false));
  const auto bare = converted(kPieces + bpe + normalizer(number(3, 0) + number(4, 0)));
  CHECK(bare["normalizer"]["type"] == "Replace");
  CHECK(bare["decoder"]["decoders"].size() == 3);
}

TEST_CASE("sentencepiece: what lies or cannot be said is refused") {
  CHECK_THAT(said(""), ContainsSubstring("it has no piece"));
  CHECK_THAT(said(varint(1 << 3 | 2) + varint(std::uint64_t{1} << 63)),
             ContainsSubstring("a field needs 9223372036854775808 bytes where 0 are left"));
  CHECK_THAT(said(std::string(11, '\xff')), ContainsSubstring("more than ten bytes"));
  CHECK_THAT(said(varint(5)), ContainsSubstring("a field has the number 0"));
  CHECK_THAT(said(varint(9 << 3 | 3)), ContainsSubstring("field 9 has the wire type 3"));
  CHECK_THAT(said(number(1, 7)), ContainsSubstring("its piece has the wire type 0"));
  CHECK_THAT(said(kReserved + piece("\xff")), ContainsSubstring("its piece 3 is empty or not UTF-8"));
  CHECK_THAT(said(kReserved + piece("")), ContainsSubstring("its piece 3 is empty or not UTF-8"));
  CHECK_THAT(said(kReserved + piece("a", std::nanf(""))), ContainsSubstring("score of its piece 3 is no number"));
  CHECK_THAT(said(kReserved + piece("a", 0, 7)), ContainsSubstring("its piece 3 has the type 7"));
  CHECK_THAT(said(kReserved + piece("<s>")), ContainsSubstring("its piece 3, `<s>`, is there twice"));
  CHECK_THAT(said(piece("a")), ContainsSubstring("0 unknown pieces instead of 1"));
  CHECK_THAT(said(piece("a") + kReserved), ContainsSubstring("its unknown piece is 1 and its unk_id 0"));
  CHECK_THAT(said(kReserved + trainer(number(41, 3))), ContainsSubstring("its bos_id is 3 of 3 pieces"));
  CHECK_THAT(said(kReserved + trainer(number(3, 9))), ContainsSubstring("its model_type is 9"));
  CHECK_THAT(said(kReserved + trainer(text(3, "x"))), ContainsSubstring("its model_type has the wire type 2"));
  CHECK_THAT(said(kReserved + trainer(number(3, 3))),
             ContainsSubstring("here: it is a model of words or characters"));
  CHECK_THAT(said(kReserved + trainer(number(24, 1))), ContainsSubstring("it marks the end of words"));
  CHECK_THAT(said(kReserved + normalizer(number(5, 0))), ContainsSubstring("it keeps spaces as they are"));
}

TEST_CASE("sentencepiece: a file cut or changed anywhere is refused or read, never more") {
  const Scratch scratch;
  const auto bytes = kPieces + trainer(number(3, 2) + number(35, 1)) + normalizer(text(2, "map"));
  const auto open = [](const std::filesystem::path& file) {
    sentencepiece_tokenizer_json(read_sentencepiece(file), file.string());
  };
  every_change(scratch / "m.model", bytes, open);
  // A cut between fields leaves a whole message: all others must be refused.
  for (std::size_t size = kPieces.size() + 1; size < bytes.size(); ++size) {
    if (size == kPieces.size() + trainer(number(3, 2) + number(35, 1)).size()) continue;
    put(scratch / "m.model", bytes.substr(0, size));
    INFO(size);
    CHECK_THAT(refusal([&] { open(scratch / "m.model"); }), ContainsSubstring("m.model is not a readable"));
  }
}

}  // namespace xp::sentencepiece_test
