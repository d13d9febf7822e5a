#include "kit/text_files.h"

#include <zlib.h>
#include <zstd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "../scratch.h"
#include "base/random.h"

namespace xp {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

using Lines = std::vector<std::pair<std::int64_t, std::string>>;

Lines lines_of(const std::filesystem::path& file) {
  Lines out;
  for_each_line({file.string(), file.filename().string(), ""},
                [&](std::string_view line, std::int64_t number) { out.emplace_back(number, line); });
  return out;
}

void write_compressed(const Scratch& scratch, const std::string& content) {
  write_file(scratch / "a.txt", content);
  std::string packed(ZSTD_compressBound(content.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), 3));
  write_file(scratch / "a.txt.zst", packed);
  const gzFile out = gzopen((scratch / "a.txt.gz").c_str(), "wb");
  REQUIRE(gzwrite(out, content.data(), static_cast<unsigned>(content.size())) == static_cast<int>(content.size()));
  REQUIRE(gzclose(out) == Z_OK);
}

// Some longer than what is read at once, and with its borders at every place of a line's end.
Lines many_lines(RandomStream& draws) {
  Lines out;
  for (std::int64_t number = 1; number <= 200; ++number) {
    const auto size = draws.below(20) == 0 ? draws.below(600000) : draws.below(3000);
    out.emplace_back(number, std::string(size, static_cast<char>('a' + draws.below(26))));
  }
  out.emplace_back(201, "the end");
  return out;
}

TEST_CASE("lines come whole, whatever is read at once and however the file is packed") {
  RandomStream draws(7);
  for (int round = 0; round < 5; ++round) {
    const Scratch scratch;
    const auto lines = many_lines(draws);
    std::string content = round % 2 ? "\xEF\xBB\xBF" : "";
    for (const auto& [number, line] : lines) content += line + (number == 201 ? "" : number % 2 ? "\n" : "\r\n");
    write_compressed(scratch, content);
    for (const char* name : {"a.txt", "a.txt.zst", "a.txt.gz"}) CHECK(lines_of(scratch / name) == lines);
  }
}

TEST_CASE("files without text have no lines, an empty line is one") {
  const Scratch scratch;
  const auto of = [&](const std::string& content) {
    write_file(scratch / "a.txt", content);
    return lines_of(scratch / "a.txt");
  };
  CHECK(of("").empty());
  CHECK(of("\xEF\xBB\xBF").empty());
  CHECK(of("\n") == Lines{{1, ""}});
  CHECK(of("\xEF\xBB\xBF\n\r\n") == Lines{{1, ""}, {2, ""}});
  CHECK(of("a\n\nb") == Lines{{1, "a"}, {2, ""}, {3, "b"}});
}

TEST_CASE("a bad line is named by its number, behind lines longer than what is read at once") {
  const Scratch scratch;
  const std::string front = std::string(700000, 'x') + "\n" + std::string(300000, 'y') + "\n";
  write_file(scratch / "a.txt", front + "z\xFF\n");
  CHECK_THROWS_MATCHES(lines_of(scratch / "a.txt"), Error,
                       MessageMatches(ContainsSubstring("a.txt:3: invalid UTF-8")));
  write_file(scratch / "a.txt", front + "\x07");
  CHECK_THROWS_MATCHES(lines_of(scratch / "a.txt"), Error, MessageMatches(ContainsSubstring("a.txt:3: control")));
}

}  // namespace
}  // namespace xp
