#include "kit/files/gguf.h"

#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "base/file.h"
#include "hostile.h"
#include "kit/safetensors.h"

namespace xp::gguf_test {
namespace {

using Catch::Matchers::ContainsSubstring;

const std::filesystem::path kGolden = std::filesystem::path(XP_SOURCE_DIR) / "tests/golden/files";

std::vector<float> floats_of(const TensorBytes& tensor) {
  std::vector<float> numbers(tensor.size / 4);
  std::memcpy(numbers.data(), tensor.data, tensor.size);
  return numbers;
}

// How many differ in a bit; NaN is equal to NaN.
std::size_t differing(const std::vector<float>& a, const std::vector<float>& b) {
  std::size_t n = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]) &&
        !(std::isnan(a[i]) && std::isnan(b[i])))
      ++n;
  return n;
}

Bytes start(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
  return Bytes().raw("GGUF").number(version).number(tensors).number(values);
}

Bytes& tensor(Bytes& bytes, const std::string& name, std::uint64_t size, std::uint32_t type, std::uint64_t offset) {
  return bytes.text(name).number<std::uint32_t>(1).number(size).number(type).number(offset);
}

std::string padded(const Bytes& bytes, std::size_t data) {
  auto text = bytes.all();
  text.resize((text.size() + 31) / 32 * 32 + data);
  return text;
}

std::string said(const Scratch& scratch, const std::string& bytes) {
  put(scratch / "m.gguf", bytes);
  return refusal([&] { GgufFile{scratch / "m.gguf"}; });
}

}  // namespace

TEST_CASE("ggml blocks: the floats of every type are those of the Python package, bit for bit") {
  const SafetensorsFile golden(kGolden / "gguf_blocks.safetensors");
  std::size_t types = 0;
  for (std::uint32_t type = 0; type < 64; ++type) {
    const auto* layout = ggml_layout(type);
    const auto name = std::string(ggml_type_name(type));
    if (!layout || golden.tensors().count(name + ".blocks") == 0) continue;
    INFO(name);
    ++types;
    const auto& blocks = golden.at(name + ".blocks");
    const auto expected = floats_of(golden.at(name + ".numbers"));
    REQUIRE(blocks.size / layout->bytes * layout->block == expected.size());
    std::vector<float> read(expected.size());
    dequantise(layout->type, blocks.data, read.size(), read.data());
    CHECK(differing(read, expected) == 0);
    std::vector<float> streamed(expected.size());
    for (std::size_t at = 0, block = 0; at < streamed.size(); at += layout->block, ++block)
      dequantise(layout->type, blocks.data + block * layout->bytes, layout->block, streamed.data() + at);
    CHECK(differing(streamed, expected) == 0);
  }
  CHECK(types == 13);
}

TEST_CASE("ggml blocks: whole numbers, doubles and Q8_K") {
  float out[256];
  const auto read = [&](GgmlType type, const std::string& bytes, std::size_t count) {
    dequantise(type, reinterpret_cast<const std::byte*>(bytes.data()), count, out);
  };
  read(GgmlType::i8, "\xff\x05", 2);
  CHECK((out[0] == -1 && out[1] == 5));
  read(GgmlType::i16, Bytes().number<std::int16_t>(-300).all(), 1);
  CHECK(out[0] == -300);
  read(GgmlType::i32, Bytes().number<std::int32_t>(-70000).all(), 1);
  CHECK(out[0] == -70000);
  read(GgmlType::i64, Bytes().number<std::int64_t>(1ll << 40).all(), 1);
  CHECK(out[0] == 0x1p40f);
  read(GgmlType::f64, Bytes().number(0.1).all(), 1);
  CHECK(out[0] == 0.1f);
  std::string block = Bytes().number(0.5f).all();
  for (int i = 0; i < 256; ++i) block.push_back(static_cast<char>(i - 128));
  block.resize(292);
  read(GgmlType::q8_k, block, 256);
  CHECK((out[0] == -64 && out[128] == 0 && out[255] == 63.5f));
  CHECK_THROWS_AS(read(GgmlType::q8_k, block, 255), Error);
  CHECK_THROWS_AS(dequantise(static_cast<GgmlType>(17), nullptr, 0, out), Error);
  CHECK(ggml_type_name(17) == "IQ2_XS");
  CHECK(ggml_type_name(1000).empty());
}

TEST_CASE("gguf: a file of the Python package's writer") {
  const GgufFile file(kGolden / "small.gguf");
  CHECK(file.version() == 3);
  CHECK(file.text("general.architecture") == "llama");
  CHECK(file.integer("general.alignment") == 64);
  CHECK(file.integer("t.u8") == 200);
  CHECK(file.integer("t.i8") == -100);
  CHECK(file.integer("t.u16") == 60000);
  CHECK(file.integer("t.i16") == -30000);
  CHECK(file.integer("t.u32") == 4000000000);
  CHECK(file.integer("t.i32") == -2000000000);
  CHECK(file.integer("t.u64") == std::numeric_limits<std::int64_t>::max());
  CHECK(std::get<std::uint64_t>(file.metadata().at("t.u64")) == std::uint64_t{1} << 63);
  CHECK(file.integer("t.i64") == -(1ll << 62));
  CHECK(file.real("t.f32") == 0.5);
  CHECK(file.real("t.f64") == 0.1);
  CHECK(file.real("t.i8") == -100);
  CHECK(file.flag("t.yes") == true);
  CHECK(file.text("t.text") == "Zwölf");
  REQUIRE(file.array("t.words"));
  CHECK(file.array("t.words")->texts == std::vector<std::string_view>{"a", "", "漢字"});
  REQUIRE(file.array("t.numbers"));
  CHECK((file.array("t.numbers")->count == 3 && file.array("t.numbers")->integer(1) == -2));
  CHECK((file.array("t.reals")->real(1) == -1.5 && !file.array("t.reals")->whole_numbers()));
  REQUIRE(file.array("t.lists")->arrays.size() == 2);
  CHECK((file.array("t.lists")->arrays[0].integer(1) == 2 && file.array("t.lists")->arrays[1].count == 1));
  CHECK(file.text("none") == std::nullopt);
  CHECK(file.array("none") == nullptr);
  CHECK_THAT(refusal([&] { file.text("t.u8"); }), ContainsSubstring("metadata `t.u8` are not a text"));
  CHECK_THAT(refusal([&] { file.integer("t.text"); }), ContainsSubstring("not a whole number"));
  CHECK_THAT(refusal([&] { file.array("t.text"); }), ContainsSubstring("not a list"));

  const SafetensorsFile same(kGolden / "small.safetensors");
  REQUIRE(file.tensors().size() == same.tensors().size());
  for (const auto& [name, tensor] : file.tensors()) {
    INFO(name);
    CHECK(tensor.shape == same.at(name).shape);
    std::vector<float> numbers(tensor.count);
    dequantise(tensor.type, tensor.data.data(), tensor.count, numbers.data());
    CHECK(differing(numbers, floats_of(same.at(name))) == 0);
  }
  CHECK_THAT(refusal([&] { file.at("none"); }), ContainsSubstring("has no tensor `none`"));
}

TEST_CASE("gguf: a file cut or changed anywhere is refused or read, never more") {
  const Scratch scratch;
  const auto bytes = read_file(kGolden / "small.gguf");
  const auto open = [](const std::filesystem::path& path) {
    const GgufFile file(path);
    for (const auto& [name, tensor] : file.tensors()) {
      std::vector<float> numbers(tensor.count);
      dequantise(tensor.type, tensor.data.data(), tensor.count, numbers.data());
    }
  };
  // The last tensor is padded to the alignment: what the padding lacks is no loss.
  const auto end = GgufFile(kGolden / "small.gguf").at("bytes").data;
  const auto whole = static_cast<std::size_t>(
      bytes.size() / 64 * 64 == bytes.size() ? (bytes.size() / 64 - 1) * 64 + end.size() % 64 : bytes.size());
  every_cut(scratch / "m.gguf", bytes.substr(0, whole), open);
  every_change(scratch / "m.gguf", bytes.substr(0, whole), open);
}

TEST_CASE("gguf: headers that lie are refused") {
  const Scratch scratch;
  CHECK_THAT(said(scratch, "GGML"), ContainsSubstring("does not start with GGUF"));
  CHECK_THAT(said(scratch, Bytes().raw("GGUF").raw(std::string("\0\0\0\3", 4)).all()),
             ContainsSubstring("big-endian"));
  CHECK_THAT(said(scratch, start(0, 0, 1).all()), ContainsSubstring("its version is 1"));
  CHECK_THAT(said(scratch, start(0, std::uint64_t{1} << 62).all()),
             ContainsSubstring("4611686018427387904 metadata"));
  CHECK_THAT(said(scratch, start(std::uint64_t{1} << 62, 0).all()), ContainsSubstring("4611686018427387904 tensors"));
  CHECK_THAT(said(scratch, start(0, 1).number(std::uint64_t{1} << 63).raw("xxxxxxxx").all()),
             ContainsSubstring("a key of the metadata needs 9223372036854775808 bytes"));
  const auto value = [&](std::uint32_t type) { return start(0, 1).text("k").number(type); };
  CHECK_THAT(said(scratch, value(13).raw("xxxxxxxx").all()), ContainsSubstring("types are 0 to 12"));
  CHECK_THAT(said(scratch, value(7).raw("\2").all()), ContainsSubstring("is 2 instead of 0 or 1"));
  for (const std::uint32_t of : {0u, 8u, 9u, 12u}) {
    INFO(of);
    CHECK_THAT(said(scratch, value(9).number(of).number(std::uint64_t{1} << 62).raw("xxxxxxxxxxxx").all()),
               ContainsSubstring("claims 4611686018427387904"));
  }
  auto deep = value(9);
  for (int i = 0; i < 10'000; ++i) deep.number<std::uint32_t>(9).number<std::uint64_t>(1);
  CHECK_THAT(said(scratch, deep.all()), ContainsSubstring("nest deeper than 8"));
  CHECK_THAT(said(scratch, start(0, 2).text("k").number(0u).raw("a").text("k").number(0u).raw("a").all()),
             ContainsSubstring("the key `k` twice"));
  CHECK_THAT(said(scratch, start(0, 1).text("general.alignment").number(4u).number(48u).all()),
             ContainsSubstring("alignment is 48"));
  CHECK_THAT(said(scratch, start(0, 1).text("general.alignment").number(4u).number(0u).all()),
             ContainsSubstring("alignment is 0"));
}

TEST_CASE("gguf: tensors that lie are refused") {
  const Scratch scratch;
  const auto one = [&](std::uint64_t size, std::uint32_t type, std::uint64_t offset, std::size_t data) {
    auto bytes = start(1, 0);
    return said(scratch, padded(tensor(bytes, "t", size, type, offset), data));
  };
  CHECK_THAT(one(33, 2, 0, 100), ContainsSubstring("no whole blocks of Q4_0 (32)"));
  CHECK_THAT(one(32, 20, 0, 100), ContainsSubstring("number type 20 (IQ4_NL), which cannot be read"));
  CHECK_THAT(one(32, 77, 0, 100), ContainsSubstring("number type 77 that nobody knows"));
  CHECK_THAT(one(8, 0, 0, 31), ContainsSubstring("needs 32 bytes from 0 of the 31 that follow"));
  CHECK_THAT(one(8, 0, 64, 64), ContainsSubstring("from 64 of the 64"));
  CHECK_THAT(one(8, 0, 4, 64), ContainsSubstring("at a multiple of 32"));
  CHECK_THAT(one(8, 0, ~std::uint64_t{0} - 31, 64), ContainsSubstring("from 18446744073709551584"));
  CHECK_THAT(one(std::uint64_t{1} << 62, 0, 0, 64), ContainsSubstring("beyond any file"));
  auto axes = start(1, 0);
  axes.text("t").number<std::uint32_t>(5);
  for (int i = 0; i < 5; ++i) axes.number<std::uint64_t>(1);
  CHECK_THAT(said(scratch, padded(axes, 64)), ContainsSubstring("has 5 axes"));
  auto twice = start(2, 0);
  CHECK_THAT(said(scratch, padded(tensor(tensor(twice, "t", 8, 0, 0), "t", 8, 0, 32), 64)),
             ContainsSubstring("the tensor `t` twice"));
  auto over = start(2, 0);
  CHECK_THAT(said(scratch, padded(tensor(tensor(over, "a", 16, 0, 0), "b", 8, 0, 32), 64)),
             ContainsSubstring("the tensors `a` and `b` overlap"));
}

TEST_CASE("gguf: a tensor of nothing needs no place in the file") {
  const Scratch scratch;
  auto bytes = start(1, 0);
  put(scratch / "m.gguf", tensor(bytes, "t", 0, 0, 0).all());  // the data would begin behind the file's end
  const GgufFile file(scratch / "m.gguf");
  CHECK(file.at("t").data.empty());
}

}  // namespace xp::gguf_test
