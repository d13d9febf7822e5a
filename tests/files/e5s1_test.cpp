#include "kit/files/e5s1.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>

#include "hostile.h"

namespace xp::e5s1_test {
namespace {

using Catch::Matchers::ContainsSubstring;

struct Place {
  std::uint8_t type;
  std::uint32_t count;
  std::uint64_t offset, bytes;
};

// Four pieces, one normalizer entry and two tensors: 2 floats, then a block of Q4_0.
std::string small(std::uint32_t version = 1, std::int32_t block = 32, std::int32_t pieces = 4, std::int32_t pad = 1,
                  std::uint32_t last_offset = 9, std::optional<Place> second = {}) {
  Bytes bytes;
  bytes.raw("E5S1").number(version);
  for (const std::int32_t n : {32, 1, 2, 64, 6, 16, 1}) bytes.number(n);
  bytes.number(1e-12f).number(block).number(pieces);
  for (const std::int32_t id : {0, 2, pad, 3}) bytes.number(id);
  bytes.number<std::uint64_t>(9);
  for (const std::uint32_t offset : {0u, 3u, 6u, 6u, last_offset}) bytes.number(offset);
  for (const float score : {0.0f, -1.5f, -2.0f, -3.0f}) bytes.number(score);
  bytes.raw("<s>▁abc");
  bytes.number<std::int32_t>(1).number<std::uint32_t>(9).number<std::uint32_t>('A').raw("\1").number<std::uint32_t>(
      'a');
  bytes.number<std::int32_t>(2);
  const std::uint64_t data = bytes.all().size() + 2 * (2 + 1 + 1 + 4 + 8 + 8);
  bytes.number<std::uint16_t>(1).raw("b").number<std::uint8_t>(0).number(2u).number(data).number<std::uint64_t>(8);
  const auto place = second.value_or(Place{1, 32, data + 8, 18});
  bytes.number<std::uint16_t>(1).raw("w").number(place.type).number(place.count);
  bytes.number(place.offset).number(place.bytes);
  bytes.number(0.5f).number(-4.0f).number<std::uint16_t>(0x3C00).raw(std::string(16, '\x9F'));
  return bytes.all();
}

std::string said(const Scratch& scratch, const std::string& bytes) {
  put(scratch / "m.bin", bytes);
  return refusal([&] { E5s1File{scratch / "m.bin"}; });
}

}  // namespace

TEST_CASE("e5s1: header, pieces and tensors of a small file") {
  const Scratch scratch;
  put(scratch / "m.bin", small());
  const E5s1File file(scratch / "m.bin");
  CHECK(file.header().hidden == 32);
  CHECK(file.header().feed_forward == 64);
  CHECK(file.header().layer_norm_epsilon == 1e-12f);
  CHECK((file.header().bos == 0 && file.header().eos == 2 && file.header().pad == 1 && file.header().unk == 3));
  CHECK(file.pieces().size() == 4);
  CHECK((file.pieces()[0] == "<s>" && file.pieces()[2].empty()));
  CHECK(file.scores() == std::vector<float>{0, -1.5f, -2, -3});
  float numbers[32];
  const auto& floats = file.at("b");
  REQUIRE(floats.count == 2);
  dequantise(floats.type, floats.data.data(), 2, numbers);
  CHECK((numbers[0] == 0.5f && numbers[1] == -4));
  const auto& blocks = file.at("w");
  REQUIRE((blocks.type == GgmlType::q4_0 && blocks.count == 32));
  dequantise(blocks.type, blocks.data.data(), 32, numbers);
  CHECK((numbers[0] == 7 && numbers[16] == 1));
  CHECK_THAT(refusal([&] { file.at("none"); }), ContainsSubstring("has no tensor `none`; there is `b` and `w`"));
}

TEST_CASE("e5s1: what lies is refused") {
  const Scratch scratch;
  CHECK_THAT(said(scratch, "E5S2"), ContainsSubstring("does not start with E5S1"));
  CHECK_THAT(said(scratch, small(2)), ContainsSubstring("its version is 2"));
  CHECK_THAT(said(scratch, small(1, 64)), ContainsSubstring("64 numbers instead of 32"));
  CHECK_THAT(said(scratch, small(1, 32, 2'000'000'000)), ContainsSubstring("2000000000 pieces"));
  CHECK_THAT(said(scratch, small(1, 32, -1)), ContainsSubstring("number of pieces is -1"));
  CHECK_THAT(said(scratch, small(1, 32, 4, 4)), ContainsSubstring("reserved id is 4 of 4"));
  CHECK_THAT(said(scratch, small(1, 32, 4, 1, 8)), ContainsSubstring("do not ascend from 0 to 9"));
  CHECK_THAT(said(scratch, small(1, 32, 4, 1, 4)), ContainsSubstring("do not ascend from 0 to 9"));
  const auto data = small().size() - 26;
  const auto second = [&](const Place& place) { return said(scratch, small(1, 32, 4, 1, 9, place)); };
  CHECK_THAT(second({2, 32, data + 8, 18}), ContainsSubstring("`w` has the type 2"));
  CHECK_THAT(second({1, 31, data + 8, 18}), ContainsSubstring("18 bytes for 31 numbers"));
  CHECK_THAT(second({1, 32, data + 9, 18}), ContainsSubstring("18 bytes from"));
  CHECK_THAT(second({1, 32, ~std::uint64_t{0}, 18}), ContainsSubstring("from 18446744073709551615"));
  CHECK_THAT(second({1, 32, data + 7, 18}), ContainsSubstring("`w` overlaps `b`"));
  CHECK_THAT(second({1, 32, 0, 18}), ContainsSubstring("`w` overlaps the header"));
  CHECK_THAT(second({0, 4294967295u, data, 4294967295ull * 4}), ContainsSubstring("17179869180 bytes from"));
}

TEST_CASE("e5s1: a file cut or changed anywhere is refused or read, never more") {
  const Scratch scratch;
  const auto open = [](const std::filesystem::path& file) { E5s1File{file}; };
  every_cut(scratch / "m.bin", small(), open);
  every_change(scratch / "m.bin", small(), open);
}

}  // namespace xp::e5s1_test
