#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>

#include "../scratch.h"
#include "base/error.h"

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
namespace fs = std::filesystem;

namespace {

std::string zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const auto size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3);
  REQUIRE(!ZSTD_isError(size));
  out.resize(size);
  return out;
}

void gzip(const fs::path& file, const std::string& bytes, const char* mode = "wb") {
  gzFile out = gzopen(file.c_str(), mode);
  REQUIRE(out != nullptr);
  REQUIRE(gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size())) == static_cast<int>(bytes.size()));
  REQUIRE(gzclose(out) == Z_OK);
}

Exit exit_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.exit();
  }
  return Exit::ok;
}

}  // namespace

TEST_CASE("A file is written whole and read back, and replaces an older one") {
  const Scratch scratch;
  const std::string bytes("a\0b\nc", 5);
  write_file(scratch / "x", "old");
  write_file(scratch / "x", bytes);
  CHECK(read_file(scratch / "x") == bytes);
  CHECK(read_text_file(scratch / "x") == bytes);
  write_file(scratch / "empty", "");
  CHECK(read_file(scratch / "empty").empty());
  CHECK(entries(scratch.path()) == 2);  // no temporary file stayed
}

TEST_CASE("A name as long as a file system allows can be written") {
  const Scratch scratch;
  const std::string name(255, 'n');
  write_file(scratch / name, "x");
  CHECK(read_file(scratch / name) == "x");
}

TEST_CASE("A failed write leaves the old file and nothing else") {
  const Scratch scratch;
  CHECK_THROWS_MATCHES(write_file(scratch / "no/such/folder", "x"), Error,
                       MessageMatches(ContainsSubstring("no/such/folder") && ContainsSubstring("No such file")));
  fs::create_directory(scratch / "taken");
  write_file(scratch / "taken/old", "old");
  CHECK_THROWS_AS(write_file(scratch / "taken", "x"), Error);  // a folder cannot be replaced by a file
  CHECK(read_file(scratch / "taken/old") == "old");
  CHECK(entries(scratch.path()) == 1);
  CHECK_THROWS_AS(write_file("/proc/xp-test", "x"), Error);  // a folder where even root cannot write
}

TEST_CASE("Reading says what is wrong with a file") {
  const Scratch scratch;
  CHECK_THROWS_MATCHES(read_file(scratch / "none"), Error, MessageMatches(ContainsSubstring("No such file")));
  CHECK_THROWS_MATCHES(read_file(scratch.path()), Error, MessageMatches(ContainsSubstring("it is a folder")));
  CHECK(exit_of([&] { read_file(scratch / "none"); }) == Exit::data);
  REQUIRE(::mkfifo((scratch / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_MATCHES(read_file(scratch / "pipe"), Error, MessageMatches(ContainsSubstring("it is not a file")));
  write_file(scratch / "ten", "0123456789");
  CHECK(read_file(scratch / "ten", 10).size() == 10);
  CHECK_THROWS_MATCHES(read_file(scratch / "ten", 9), Error,
                       MessageMatches(ContainsSubstring("larger than the limit of 9 bytes")));
  CHECK_THROWS_AS(read_file("/dev/zero", 1 << 20), Error);  // a size that the file does not state
}

TEST_CASE("zstd files are read, also of several frames; a bomb stops at the limit") {
  const Scratch scratch;
  std::string text;
  for (int i = 0; i < 200000; ++i) text += std::to_string(i * 7919 % 10007) + "\n";
  write_file(scratch / "a.zst", zstd(text));
  write_file(scratch / "both.zst", zstd(text) + zstd("tail"));
  write_file(scratch / "cut.zst", zstd(text).substr(0, 2000));
  CHECK(read_text_file(scratch / "a.zst") == text);
  CHECK(read_text_file(scratch / "both.zst") == text + "tail");
  CHECK_THROWS_MATCHES(read_text_file(scratch / "cut.zst"), Error,
                       MessageMatches(ContainsSubstring("ends too early")));
  write_file(scratch / "bomb.zst", zstd(std::string(300'000'000, '\0')));
  CHECK(fs::file_size(scratch / "bomb.zst") < 100000);
  CHECK_THROWS_MATCHES(read_text_file(scratch / "bomb.zst", 1 << 20), Error,
                       MessageMatches(ContainsSubstring("larger than the limit of 1048576 bytes")));
  write_file(scratch / "not.zst", "plain text that is no frame");
  CHECK_THROWS_MATCHES(read_text_file(scratch / "not.zst"), Error, MessageMatches(ContainsSubstring("zstd")));
  write_file(scratch / "empty.zst", "");
  CHECK_THROWS_AS(read_text_file(scratch / "empty.zst"), Error);
}

TEST_CASE("gzip files are read, also of several members; damage is found") {
  const Scratch scratch;
  const std::string text(1 << 20, 'x');
  gzip(scratch / "a.gz", text);
  CHECK(read_text_file(scratch / "a.gz") == text);
  gzip(scratch / "a.gz", "tail", "ab");
  CHECK(read_text_file(scratch / "a.gz") == text + "tail");
  CHECK_THROWS_AS(read_text_file(scratch / "a.gz", 1000), Error);
  auto bytes = read_file(scratch / "a.gz");
  write_file(scratch / "cut.gz", bytes.substr(0, bytes.size() - 6));
  CHECK_THROWS_MATCHES(read_text_file(scratch / "cut.gz"), Error,
                       MessageMatches(ContainsSubstring("ends too early")));
  bytes[bytes.size() - 6] ^= 1;  // of the check sum
  write_file(scratch / "damaged.gz", bytes);
  CHECK_THROWS_MATCHES(read_text_file(scratch / "damaged.gz"), Error, MessageMatches(ContainsSubstring("gzip")));
}

TEST_CASE("glob: a star stays within one name, order is fixed, hidden files are skipped") {
  const Scratch scratch;
  fs::create_directories(scratch / "a/deep");
  fs::create_directories(scratch / "b");
  for (const auto* name : {"a/2.txt", "a/1.txt", "a/deep/3.txt", "b/1.txt", "b/1.md", "a/.4.txt"})
    write_file(scratch / name, "");
  const auto found = [&](std::string_view pattern) {
    std::string out;
    for (const auto& path : glob(scratch.path(), pattern))
      out += path.lexically_relative(scratch.path()).string() + " ";
    return out;
  };
  CHECK(found("a/*.txt") == "a/1.txt a/2.txt ");
  CHECK(found("*/1.*") == "a/1.txt b/1.md b/1.txt ");
  CHECK(found("*/*/*") == "a/deep/3.txt ");
  CHECK(found("a/.*") == "a/.4.txt ");
  CHECK(found("*").empty());  // folders are no files
  CHECK(found("b/1.md") == "b/1.md ");
  CHECK(found("none/*").empty());
  CHECK(found("../*/nothing").empty());
  fs::create_directory_symlink("..", scratch / "a/round");
  CHECK(found("**/*.txt") == "a/1.txt a/2.txt a/deep/3.txt b/1.txt ");
  CHECK(found("a/**/3.txt") == "a/deep/3.txt ");
  CHECK(found("a/**/**/3.txt") == "a/deep/3.txt ");
  CHECK(found("a/**") == "a/1.txt a/2.txt a/deep/3.txt ");
  CHECK(found("b/**/1.md") == "b/1.md ");  // no folder is some folders
  CHECK(glob(scratch / "nowhere", "*").empty());
  CHECK(glob("elsewhere", (scratch / "a/*.txt").string()).size() == 2);  // an absolute pattern ignores the root
}

TEST_CASE("Scratch folders are new and made with their parents") {
  const Scratch scratch;
  const auto one = make_scratch(scratch / "x/y", "run-");
  const auto two = make_scratch(scratch / "x/y", "run-");
  CHECK(one != two);
  CHECK(fs::is_directory(one));
  CHECK(one.filename().string().starts_with("run-"));
  CHECK_THROWS_AS(make_scratch("/proc/xp", "a"), Error);
}

TEST_CASE("A lock keeps other processes out and ends with its holder") {
  const Scratch scratch;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock(scratch / "lock");
    const bool told = ::write(ready[1], "1", 1) == 1;
    ::usleep(200000);
    ::close(::open((scratch / "left").c_str(), O_CREAT | O_WRONLY, 0600));
    ::_exit(told ? 0 : 1);  // the lock goes with the process, no destructor runs
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const FileLock lock(scratch / "lock");
  CHECK(fs::exists(scratch / "left"));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("what is no file is written to and stays what it is") {
  const Scratch scratch;
  const auto pipe = scratch / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  write_file(pipe, "through");
  char text[16] = {};
  CHECK(::read(reader, text, sizeof text) == 7);
  ::close(reader);
  CHECK(std::string(text) == "through");
  CHECK(fs::is_fifo(pipe));
  write_file("/dev/null", "gone");
  CHECK(fs::is_character_file("/dev/null"));
}
