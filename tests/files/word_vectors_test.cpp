#include "kit/files/word_vectors.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/file.h"
#include "base/text.h"
#include "hostile.h"
#include "kit/safetensors.h"

namespace xp::word_vectors_test {
namespace {

using Catch::Matchers::ContainsSubstring;

const std::filesystem::path kGolden = std::filesystem::path(XP_SOURCE_DIR) / "tests/golden/files/vectors";

std::vector<float> vector_of(const WordVectors& vectors, const std::string& word) {
  std::vector<float> numbers(vectors.width());
  vectors.vector(word, numbers.data());
  return numbers;
}

std::string said(const std::string& bytes, VectorFormat format) {
  const Scratch scratch;
  put(scratch / "v", bytes);
  return refusal([&] { WordVectors(scratch / "v", format); });
}

void ask_all(const std::filesystem::path& file, VectorFormat format) {
  const WordVectors vectors(file, format);
  std::vector<float> numbers(vectors.width());
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors.copy(i, numbers.data());
  vectors.vector("unseen", numbers.data());
}

}  // namespace

TEST_CASE("word vectors: of every format those that its own library gives, bit for bit") {
  const SafetensorsFile expected(kGolden / "expected.safetensors");
  const auto words = split(std::string(trim(read_file(kGolden / "words.txt"))), '\n');
  CHECK(expected.tensors().size() == 6);
  for (const auto& [name, rows] : expected.tensors()) {
    const WordVectors vectors(kGolden / name);
    REQUIRE(rows.shape == std::vector<std::int64_t>{static_cast<std::int64_t>(words.size()),
                                                    static_cast<std::int64_t>(vectors.width())});
    for (std::size_t i = 0; i < words.size(); ++i) {
      INFO(name << " " << words[i]);
      const auto numbers = vector_of(vectors, words[i]);
      CHECK(std::memcmp(numbers.data(), rows.data + i * numbers.size() * 4, numbers.size() * 4) == 0);
    }
  }
}

TEST_CASE("word vectors: what a file is shows at its beginning") {
  CHECK(vector_format_of(kGolden / "skipgram.bin") == VectorFormat::fasttext);
  CHECK(vector_format_of(kGolden / "pruned.ftz") == VectorFormat::fasttext);
  CHECK(vector_format_of(kGolden / "skipgram.vec") == VectorFormat::word2vec_text);
  CHECK(vector_format_of(kGolden / "word2vec.bin") == VectorFormat::word2vec_binary);
  CHECK(vector_format_of(kGolden / "glove.txt") == VectorFormat::glove);
}

TEST_CASE("word vectors: words are found by their text") {
  const WordVectors vectors(kGolden / "glove.txt");
  const auto place = vectors.find("Katze");
  REQUIRE(place);
  CHECK(vectors.word(*place) == "Katze");
  CHECK(vectors.find("Katzen") == std::nullopt);
  std::vector<float> numbers(vectors.width(), 7);
  CHECK_FALSE(vectors.vector("Katzen", numbers.data()));
  CHECK(numbers == std::vector<float>(vectors.width()));
  const Scratch scratch;
  // Without a header the first line tells the width, so its word can have no space.
  put(scratch / "v", ". . . 1 2\n");
  CHECK_THAT(refusal([&] { WordVectors(scratch / "v", VectorFormat::glove); }), ContainsSubstring("line 1 has `.`"));
  put(scratch / "v", "3 2\n. . . 1 2\na 3 4\r\na 5 6 \n");
  const WordVectors headed(scratch / "v");
  CHECK(headed.word(0) == ". . .");
  CHECK(headed.size() == 3);
  CHECK(vector_of(headed, "a") == std::vector<float>{3, 4});
}

TEST_CASE("word vectors: texts that do not fit are named with the line") {
  const auto headed = [](const std::string& text) { return said(text, VectorFormat::word2vec_text); };
  CHECK_THAT(headed("2 2\na 1 2\nb 1\n"), ContainsSubstring("line 3 has not a word and 2 numbers"));
  CHECK_THAT(headed("2 2\na 1 2\nb 1 x\n"), ContainsSubstring("line 3 has `x` where a number is expected"));
  CHECK_THAT(headed("1 2\na 1 nan\n"), ContainsSubstring("line 2 has `nan`"));
  CHECK_THAT(headed("1 2\na 1 1e39\n"), ContainsSubstring("line 2 has `1e39`"));
  CHECK_THAT(headed("1 2\na 1 0x1\n"), ContainsSubstring("line 2 has `0x1`"));
  CHECK_THAT(headed("1 2\n 1 2\n"), ContainsSubstring("line 2 has not a word"));
  CHECK_THAT(headed("2 2\na 1 2\n"), ContainsSubstring("tells of 2 words, there are 1"));
  CHECK_THAT(headed("1 2\na 1 2\nb 1 2\n"), ContainsSubstring("tells of 1 words, there are 2"));
  CHECK_THAT(headed("4611686018427387904 2\na 1 2\n"), ContainsSubstring("tells of 4611686018427387904 words"));
  CHECK_THAT(headed("1 4611686018427387904\na 1 2\n"), ContainsSubstring("of 4611686018427387904 dimensions"));
  CHECK_THAT(headed("1 0\na\n"), ContainsSubstring("of 0 dimensions"));
  CHECK_THAT(headed("a b\n"), ContainsSubstring("line 1 is not the numbers"));
  CHECK_THAT(said("", VectorFormat::glove), ContainsSubstring("line 1"));
  CHECK_THAT(said("a\n", VectorFormat::glove), ContainsSubstring("of 0 dimensions"));
}

TEST_CASE("word vectors: binary files that do not fit are refused") {
  const auto binary = [](const std::string& text) { return said(text, VectorFormat::word2vec_binary); };
  CHECK_THAT(binary("1 1\na xxxxyyy"), ContainsSubstring("more than its first line tells of"));
  CHECK_THAT(binary("1 1\na xxx"), ContainsSubstring("a vector needs 4 bytes"));
  CHECK_THAT(binary("1 1\nabcdefgh"), ContainsSubstring("a word does not end"));
  CHECK_THAT(binary("1 1"), ContainsSubstring("the first line does not end"));
  CHECK_THAT(binary("4611686018427387904 1\na xxxx"), ContainsSubstring("claims 4611686018427387904 words"));
  CHECK_THAT(binary("1 1048577\na xxxx"), ContainsSubstring("not the numbers of words"));
  CHECK_THAT(binary("0 1\n"), ContainsSubstring("it has no word"));
  CHECK_THAT(said("abcd", VectorFormat::fasttext), ContainsSubstring("does not start with the mark"));
  const auto start = Bytes().number<std::int32_t>(793712314).number<std::int32_t>(13).all();
  CHECK_THAT(said(start, VectorFormat::fasttext), ContainsSubstring("its version is 13"));
}

TEST_CASE("word vectors: a model cut or changed anywhere is refused or read, never more") {
  const Scratch scratch;
  const auto open = [](const std::filesystem::path& file) { ask_all(file, VectorFormat::fasttext); };
  for (const auto* name : {"skipgram.bin", "pruned.ftz"}) {
    INFO(name);
    const auto bytes = read_file(kGolden / name);
    // Behind the input matrix stands the one of outputs, which is not read; the first part has all kinds of fields.
    for (std::size_t size = 0; size < 1500; size += 7) {
      put(scratch / "v", bytes.substr(0, size));
      CHECK_THAT(refusal([&] { open(scratch / "v"); }), ContainsSubstring("no readable fastText model"));
    }
    every_change(scratch / "v", bytes, open);
  }
  const auto tables = [](const std::filesystem::path& file) { ask_all(file, vector_format_of(file)); };
  every_change(scratch / "v", read_file(kGolden / "word2vec.bin"), tables);
  every_change(scratch / "v", read_file(kGolden / "skipgram.vec"), tables);
}

}  // namespace xp::word_vectors_test
