#include "base/digest.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "../scratch.h"
#include "base/error.h"

using namespace xp;

namespace {

// FIPS 180-2, appendix B.1.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class CacheHome {
 public:
  explicit CacheHome(const std::string& path) { ::setenv("XDG_CACHE_HOME", path.c_str(), 1); }
  ~CacheHome() { ::unsetenv("XDG_CACHE_HOME"); }
};

// Old enough that its next change must move the clock.
void age(const std::filesystem::path& file, time_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 0}};
  REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("SHA-256 of bytes and files") {
  const Scratch scratch;
  CHECK(sha256("abc") == kAbc);
  write_file(scratch / "abc", "abc");
  CHECK(sha256_file(scratch / "abc") == kAbc);
  CHECK_THROWS_AS(sha256_file(scratch / "none"), Error);
  CHECK_THROWS_AS(sha256_file(scratch.path()), Error);
}

TEST_CASE("Parts are framed") {
  CHECK(Digest().add("ab").add("c").hex() != Digest().add("a").add("bc").hex());
  CHECK(Digest().add("").hex() != Digest().hex());
  CHECK(Digest().add(12).hex() == Digest().add("12").hex());
  CHECK(Digest().add("abc").hex() == sha256("3:abc"));
}

TEST_CASE("A remembered digest follows every change of the file") {
  const Scratch scratch;
  const CacheHome home((scratch / "cache").string());
  const auto file = scratch / "data";
  write_file(file, "abc");
  CHECK(sha256_file_cached(file) == kAbc);
  CHECK(!std::filesystem::exists(user_cache() / "file_digests"));  // too young: it could change unseen
  ::usleep(2100000);
  CHECK(sha256_file_cached(file) == kAbc);
  const auto entries = glob(user_cache() / "file_digests", "*/*");
  REQUIRE(entries.size() == 1);
  const auto link = scratch / "link";  // a name that this process has not asked for
  std::filesystem::create_symlink(file, link);

  SECTION("what is remembered is used") {
    auto line = read_file(entries[0]);
    line[line.size() - 2] = line[line.size() - 2] == '0' ? '1' : '0';
    write_file(entries[0], line);
    CHECK(sha256_file_cached(link) != kAbc);
    CHECK(sha256_file_cached(file) == kAbc);  // a process asks once for each name
  }
  SECTION("same size and time, other content") {
    struct stat before {};
    REQUIRE(::stat(file.c_str(), &before) == 0);
    write_file(file, "abd");
    age(file, before.st_mtim.tv_sec);
    CHECK(sha256_file_cached(file) == sha256("abd"));
  }
  SECTION("a damaged entry is not believed") {
    write_file(entries[0], "rubbish");
    CHECK(sha256_file_cached(link) == kAbc);
    CHECK(read_file(entries[0]).size() > 64);
  }
  SECTION("another name for the same file is the same entry") {
    CHECK(sha256_file_cached(link) == kAbc);
    CHECK(glob(user_cache() / "file_digests", "*/*").size() == 1);
  }
}

TEST_CASE("A cache that cannot be written costs time only") {
  const Scratch scratch;
  write_file(scratch / "file", "");
  write_file(scratch / "abc", "abc");
  const CacheHome home((scratch / "file").string());  // a file where the folder should be
  ::usleep(2100000);
  CHECK(sha256_file_cached(scratch / "abc") == kAbc);
}

TEST_CASE("Processes that hash the same file at once agree") {
  const Scratch scratch;
  const CacheHome home((scratch / "cache").string());
  write_file(scratch / "abc", "abc");
  ::usleep(2100000);
  pid_t children[4];
  for (auto& child : children) {
    child = ::fork();
    if (child == 0) ::_exit(sha256_file_cached(scratch / "abc") == kAbc ? 0 : 1);
  }
  for (const auto child : children) {
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  CHECK(sha256_file_cached(scratch / "abc") == kAbc);
  CHECK(glob(user_cache() / "file_digests", "*/*").size() == 1);
}
