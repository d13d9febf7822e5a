#include "kit/safetensors.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/file.h"
#include "hostile.h"
#include "testing/resident_pages.h"

namespace xp::safetensors_test {
namespace {

using Catch::Matchers::ContainsSubstring;

std::string with_header(const std::string& header, const std::string& data = "") {
  return Bytes().text(header).raw(data).all();
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& at) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + at + "}";
}

std::string said_of(const Scratch& scratch, const std::string& bytes) {
  const auto file = scratch / "m.safetensors";
  put(file, bytes);
  return refusal([&] { SafetensorsFile{file}; });
}

}  // namespace

TEST_CASE("safetensors: tensors of all kinds come back, aligned, also those without numbers") {
  const Scratch scratch;
  const float floats[] = {1.5f, -2.0f};
  const std::int64_t whole = 7;
  const std::uint8_t bytes[] = {1, 2, 3};
  const auto at = [](const auto& data) { return reinterpret_cast<const std::byte*>(&data); };
  const std::map<std::string, TensorBytes> tensors{{"a_bytes", {"U8", {3}, at(bytes), 3}},
                                                   {"b_floats", {"F32", {1, 2}, at(floats), 8}},
                                                   {"c_empty", {"F16", {0, 5}, nullptr, 0}},
                                                   {"d_eight", {"F8_E4M3", {3}, at(bytes), 3}},
                                                   {"e_scalar", {"I64", {}, at(whole), 8}}};
  write_safetensors(scratch / "m.safetensors", tensors, {{"format", "pt"}});
  CHECK(entries(scratch.path()) == 1);
  SafetensorsFile first(scratch / "m.safetensors");
  const SafetensorsFile file(std::move(first));
  REQUIRE(file.tensors().size() == 5);
  CHECK(file.metadata().at("format") == "pt");
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    const auto& read = file.at(name);
    CHECK(read.dtype == tensor.dtype);
    CHECK(read.shape == tensor.shape);
    REQUIRE(read.size == tensor.size);
    CHECK((read.size == 0 || std::memcmp(read.data, tensor.data, read.size) == 0));
    CHECK(reinterpret_cast<std::uintptr_t>(read.data) % dtype_size(read.dtype) == 0);
  }
  CHECK_THAT(refusal([&] { file.at("none"); }), ContainsSubstring("has no tensor `none`; there is `a_bytes`"));
}

TEST_CASE("safetensors: what does not fit its shape is not written") {
  const Scratch scratch;
  const std::byte data[8]{};
  const auto wrong = [&](const TensorBytes& tensor, const std::string& name) {
    try {
      write_safetensors(scratch / "m.safetensors", {{name, tensor}});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(wrong({"F32", {3}, data, 8}, "t"), ContainsSubstring("`t` has 8 bytes"));
  CHECK_THAT(wrong({"F33", {2}, data, 8}, "t"), ContainsSubstring("no number type `F33`"));
  CHECK_THAT(wrong({"F32", {-2}, data, 8}, "t"), ContainsSubstring("`t` has 8 bytes"));
  CHECK_THAT(wrong({"F32", {2}, data, 8}, "\xff"), ContainsSubstring("no tensor of the name"));
  CHECK(entries(scratch.path()) == 0);
}

TEST_CASE("safetensors: headers that lie are refused") {
  const Scratch scratch;
  const auto said = [&](const std::string& header, const std::string& data = "") {
    return said_of(scratch, with_header(header, data));
  };
  CHECK_THAT(said_of(scratch, ""), ContainsSubstring("it has 0 bytes"));
  CHECK_THAT(said_of(scratch, Bytes().number(std::uint64_t{1} << 63).raw("{}").all()),
             ContainsSubstring("header claims 9223372036854775808 of 10 bytes"));
  CHECK_THAT(said_of(scratch, Bytes().number(~std::uint64_t{0}).raw("{}").all()), ContainsSubstring("header claims"));
  CHECK_THAT(said("[]"), ContainsSubstring("not a JSON object"));
  CHECK_THAT(said("{"), ContainsSubstring("not JSON"));
  CHECK_THAT(said(std::string(10'000, '[') + std::string(10'000, ']')), ContainsSubstring("deeper than 8 levels"));
  CHECK_THAT(said("{\"a\":NaN}"), ContainsSubstring("not JSON"));
  CHECK_THAT(said("{\"a\":1e999}"), ContainsSubstring("not JSON"));
  CHECK_THAT(said("{" + entry("t", "U8", "[1]", "[0,1]") + "," + entry("t", "U8", "[1]", "[0,1]") + "}", "x"),
             ContainsSubstring("the key `t` twice"));
  CHECK_THAT(said("{\"__metadata__\":{\"a\":1}}"), ContainsSubstring("metadata `a` are not a text"));
  CHECK_THAT(said("{" + entry("t", "F4", "[1]", "[0,1]") + "}", "x"), ContainsSubstring("unknown dtype `F4`"));
  CHECK_THAT(said("{" + entry("t", "U8", "[1.0]", "[0,1]") + "}", "x"), ContainsSubstring("not whole numbers"));
  CHECK_THAT(said("{" + entry("t", "U8", "[-1]", "[0,1]") + "}", "x"), ContainsSubstring("not whole numbers"));
  CHECK_THAT(said("{" + entry("t", "U8", "[4611686018427387904]", "[0,1]") + "}", "x"),
             ContainsSubstring("beyond any file"));
  CHECK_THAT(said("{" + entry("t", "U8", "[1099511627776,1099511627776]", "[0,0]") + "}"),
             ContainsSubstring("beyond any file"));
  CHECK_THAT(said("{" + entry("t", "F32", "[1]", "[0,2]") + "}", "xxxx"), ContainsSubstring("needs 4 bytes"));
  CHECK_THAT(said("{" + entry("t", "U8", "[1]", "[1,0]") + "}", "x"), ContainsSubstring("claims [1, 0)"));
  CHECK_THAT(said("{" + entry("t", "U8", "[2]", "[0,2]") + "}", "x"), ContainsSubstring("of 1"));
}

TEST_CASE("safetensors: tensors neither overlap nor leave bytes out") {
  const Scratch scratch;
  const auto two = [&](const std::string& a, const std::string& b, const std::string& data) {
    return said_of(scratch,
                   with_header("{" + entry("a", "U8", "[2]", a) + "," + entry("b", "U8", "[2]", b) + "}", data));
  };
  CHECK_THAT(two("[0,2]", "[1,3]", "xxx"), ContainsSubstring("they overlap"));
  CHECK_THAT(two("[0,2]", "[0,2]", "xx"), ContainsSubstring("they overlap"));
  CHECK_THAT(two("[0,2]", "[3,5]", "xxxxx"), ContainsSubstring("bytes between are lost"));
  CHECK_THAT(two("[1,3]", "[3,5]", "xxxxx"), ContainsSubstring("bytes between are lost"));
  CHECK_THAT(two("[0,2]", "[2,4]", "xxxxx"), ContainsSubstring("end at 4 of 5 bytes"));
}

TEST_CASE("safetensors: numbers at odd places are read where they are") {
  const Scratch scratch;
  const auto data = Bytes().raw("x").number(2.5f).all();
  put(scratch / "m.safetensors",
      with_header("{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("b", "F32", "[1]", "[1,5]") + "}", data));
  const SafetensorsFile file(scratch / "m.safetensors");
  float number = 0;
  std::memcpy(&number, file.at("b").data, 4);
  CHECK(number == 2.5f);
}

TEST_CASE("safetensors: a file cut or changed anywhere is refused or read, never more") {
  const Scratch scratch;
  const auto bytes =
      with_header("{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("b", "F32", "[1,1]", "[1,5]") + "}", "xabcd");
  const auto open = [](const std::filesystem::path& file) { SafetensorsFile{file}; };
  every_cut(scratch / "m.safetensors", bytes, open);
  every_change(scratch / "m.safetensors", bytes, open);
}

TEST_CASE("a mapped file is a regular one") {
  const Scratch scratch;
  CHECK_THAT(refusal([&] { MappedFile{scratch.path()}; }), ContainsSubstring("not a regular file"));
  CHECK_THAT(refusal([&] { MappedFile{scratch / "none"}; }), ContainsSubstring("cannot open"));
  put(scratch / "empty", "");
  CHECK(MappedFile(scratch / "empty").size() == 0);
}

TEST_CASE("pages of a map are given back, and nothing else is") {
  const Scratch scratch;
  constexpr std::size_t kSize = (std::size_t{1} << 20) + 100;
  put(scratch / "file", std::string(kSize, 'x'));
  const MappedFile map(scratch / "file");
  const auto bytes = map.bytes();
  const auto sum = [&] {
    std::size_t all = 0;
    for (const auto byte : bytes) all += static_cast<std::size_t>(byte);
    return all;
  };
  const auto whole = sum();
  REQUIRE(testing::resident_pages(bytes.data(), kSize) == kSize / 4096 + 1);
  drop_mapped_pages(bytes.data() + 1, 4096 * 10);  // nine whole pages
  CHECK(testing::resident_pages(bytes.data(), kSize) == kSize / 4096 + 1 - 9);
  drop_mapped_pages(bytes.data(), kSize + 1);  // not all of it is the map's
  CHECK(testing::resident_pages(bytes.data(), kSize) == kSize / 4096 + 1 - 9);
  drop_mapped_pages(bytes.data(), kSize);
  CHECK(testing::resident_pages(bytes.data(), kSize) == 0);
  CHECK(sum() == whole);

  std::vector<char> own(kSize, 'y');
  drop_mapped_pages(own.data(), own.size());
  CHECK(std::count(own.begin(), own.end(), 'y') == static_cast<std::ptrdiff_t>(kSize));

  // What is written from a map to a file is not in memory afterwards.
  PendingFile copy(scratch / "copy");
  copy.write(bytes.data(), bytes.size());
  CHECK(testing::resident_pages(bytes.data(), kSize) == 0);
  copy.sync();
  copy.publish();
  CHECK(read_file(scratch / "copy") == map.text());
}

}  // namespace xp::safetensors_test
