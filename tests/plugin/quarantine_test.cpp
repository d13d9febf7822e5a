// Each library that is broken in one way is refused with its reason, while a good one in the same folder works.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <map>

#include "api/vocab_initializer.h"
#include "base/digest.h"
#include "base/file.h"
#include "plugin/build_stamp.h"
#include "plugin/loader.h"
#include "testing/testing.h"

namespace fs = std::filesystem;
using xp::testing::Scratch;

namespace {

/// A folder for plugins and a cache of its own, so that nothing is remembered from other tests.
class Folder {
 public:
  Folder() {
    if (const char* old = std::getenv("XDG_CACHE_HOME")) before_ = old;
    ::setenv("XDG_CACHE_HOME", (scratch_ / "cache").c_str(), 1);
    fs::create_directory(path());
    fs::permissions(path(), fs::perms::owner_all);
  }
  ~Folder() {
    if (before_)
      ::setenv("XDG_CACHE_HOME", before_->c_str(), 1);
    else
      ::unsetenv("XDG_CACHE_HOME");
  }

  fs::path path() const { return scratch_ / "plugins"; }
  fs::path cache() const { return scratch_ / "cache"; }
  fs::path add(const std::string& fixture) const {
    const auto to = path() / (fixture + ".so");
    fs::copy_file(fs::path(XP_FIXTURES) / (fixture + ".so"), to);
    fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write);
    return fs::canonical(to);
  }
  fs::path write(const std::string& name, std::string_view bytes) const {
    xp::write_file(path() / name, bytes);
    fs::permissions(path() / name, fs::perms::owner_read | fs::perms::owner_write);
    return fs::canonical(path() / name);
  }
  xp::Catalogue read(std::chrono::milliseconds limit = std::chrono::seconds(20)) const {
    return xp::read_catalogue({path()}, xp::describer_path(), limit);
  }

 private:
  Scratch scratch_;
  std::optional<std::string> before_;
};

/// Made and run: the good plugin fills every row.
void check_good_works(const xp::Catalogue& catalogue, const fs::path& good) {
  REQUIRE(catalogue.find("vocab_initializer", "one_row"));
  CHECK(catalogue.find("vocab_initializer", "one_row")->hash == xp::sha256_file(good));
  xp::Registry registry;
  xp::load_plugins(registry, catalogue, {good.string()});
  xp::Table settings;
  settings["type"] = "one_row", settings["row"] = 3;
  const auto made = registry.make<xp::VocabInitializer>(settings);
  xp::MixPlan plan(5, 2);
  // The fixture reads nothing of the setting, so encoders that are never called will do.
  struct NoEncoder final : xp::Encoder {
    std::int64_t size() const override { return 0; }
    std::vector<xp::Token> encode(std::string_view) const override { return {}; }
    std::string decode(std::span<const xp::TokenId>) const override { return {}; }
    std::string text(xp::TokenId) const override { return {}; }
    xp::TokenKey key(xp::TokenId) const override { return {}; }
    std::vector<xp::TokenId> pieces(const xp::TokenKey&) const override { return {}; }
    const std::map<std::string, xp::TokenId, std::less<>>& purposes() const override { return none; }
    std::string json() const override { return {}; }
    std::map<std::string, xp::TokenId, std::less<>> none;
  } none;
  made->plan({.source = none, .target = none, .random = xp::RandomStreams(1)}, plan);
  REQUIRE(plan.open_rows().empty());
  CHECK(plan.rows()[1].parts.at(0).source == 3);
}

/// The reason for one broken fixture beside the good one.
std::string reason_for(const std::string& fixture, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const Folder folder;
  const auto good = folder.add("good"), bad = folder.add(fixture);
  const auto catalogue = folder.read(limit);
  check_good_works(catalogue, good);
  CHECK(catalogue.list().size() == 1);
  REQUIRE(catalogue.quarantined.size() == 1);
  CHECK(catalogue.quarantined[0].library == bad.string());
  CHECK(catalogue.quarantined[0].plugin == fixture);
  return catalogue.quarantined[0].reason;
}

}  // namespace

TEST_CASE("a library of another ABI is refused without loading it") {
  CHECK(reason_for("wrong_abi") ==
        "was built for plugin ABI 7, this program has ABI 1; build it again against this version");
}

TEST_CASE("a library that was built before a header changed is refused") {
  const std::string stamp = XP_BUILD_STAMP;
  CHECK(reason_for("stale_stamp") == "was built with `headers 0000000000000000`, this program with `" +
                                         stamp.substr(stamp.find("headers ")) + "`; build it again");
}

TEST_CASE("a library without an entry, with two, or with another name is refused") {
  CHECK(reason_for("no_entry") == "is not a plugin: it exports no symbol xp_plugin_abi*");
  CHECK(reason_for("wrong_name") ==
        "names itself `right_name`; its file would have to be `right_name.so`, not `wrong_name.so`");
  const auto two = reason_for("two_entries");
  CHECK(two.starts_with("has 2 entries instead of one: "));
  CHECK(two.find("`xp_plugin_abi1_second_entry`") != std::string::npos);
  CHECK(reason_for("adds_nothing") == "adds no component");
}

TEST_CASE("a type that another plugin offers is refused, and the whole plugin with it") {
  const Folder folder;
  const auto good = folder.add("good");
  const auto bad = folder.add("duplicate_type");
  const auto catalogue = folder.read();
  // `duplicate_type` sorts before `good`, so it is the good one that comes too late.
  REQUIRE(catalogue.quarantined.size() == 1);
  CHECK(catalogue.quarantined[0].library == good.string());
  CHECK(catalogue.quarantined[0].reason == "vocab_initializer `one_row` of plugin `good` (" + good.string() +
                                               ") is already offered by plugin `duplicate_type` (" + bad.string() +
                                               ")");
  CHECK(catalogue.find("vocab_initializer", "a_new_one"));
}

TEST_CASE("a plugin that adds one type twice is refused") {
  const auto reason = reason_for("twice_in_one");
  CHECK(
      reason.starts_with("threw while adding its components: vocab_initializer `twice` of plugin `twice_in_one` ("));
}

TEST_CASE("a plugin that throws is refused with what it threw") {
  CHECK(reason_for("throws_in_add") == "threw while adding its components: no licence file");
  CHECK(reason_for("throws_other_in_add") ==
        "threw while adding its components: something that is no std::exception");
}

TEST_CASE("a plugin that ends its process is refused and the host lives") {
  CHECK(reason_for("aborts_in_add") ==
        "crashed with signal 6 (SIGABRT) while being described (its last words: an assertion of a library)");
  CHECK(reason_for("segfault_in_static_constructor") == "crashed with signal 11 (SIGSEGV) while being described");
  CHECK(reason_for("crashes_at_exit") == "crashed with signal 11 (SIGSEGV) while being described");
  CHECK(reason_for("exits_in_static_constructor") == "ended the process without describing itself");
}

TEST_CASE("a plugin that hangs is refused, once") {
  const Folder folder;
  const auto good = folder.add("good");
  folder.add("hangs");
  const auto first = folder.read(std::chrono::seconds(2));
  check_good_works(first, good);
  REQUIRE(first.quarantined.size() == 1);
  CHECK(first.quarantined[0].reason == "did not finish within 2 s while being described");
  // With a limit that it cannot meet either, only what was remembered gives the old text.
  const auto second = folder.read(std::chrono::seconds(3));
  REQUIRE(second.quarantined.size() == 1);
  CHECK(second.quarantined[0].reason == "did not finish within 2 s while being described");
}

TEST_CASE("a library that needs what is not there is refused with the loader's words") {
  const auto reason = reason_for("missing_symbol");
  CHECK(reason.starts_with("cannot be loaded: "));
  CHECK(reason.find("xp_test_is_nowhere") != std::string::npos);
}

TEST_CASE("what is no library at all is refused") {
  const Folder folder;
  const auto good = folder.add("good");
  folder.write("empty.so", "");
  folder.write("text.so", "INPUT(libc.so.6)\n");
  const auto whole = xp::read_file(good);
  folder.write("truncated.so", std::string_view(whole).substr(0, whole.size() / 2));
  folder.write("header_only.so", std::string_view(whole).substr(0, 64));
  fs::create_directory(folder.path() / "folder.so");
  fs::create_symlink("nowhere.so", folder.path() / "dangling.so");
  const auto catalogue = folder.read();
  check_good_works(catalogue, good);
  std::map<std::string, std::string> reasons;
  for (const auto& one : catalogue.quarantined) reasons[one.plugin] = one.reason;
  REQUIRE(reasons.size() == 6);
  CHECK(reasons["empty"] == "is not a shared library: it has 0 bytes");
  CHECK(reasons["text"] == "is not a shared library: it does not start with an ELF header");
  CHECK(reasons["truncated"].starts_with("is cut short or damaged: its table of sections should lie at bytes "));
  CHECK(reasons["truncated"].ends_with("the file has " + std::to_string(whole.size() / 2)));
  CHECK(reasons["header_only"].starts_with("is cut short or damaged: "));
  CHECK(reasons["folder"] == "is not a file");
  CHECK(reasons["dangling"].find("No such file or directory") != std::string::npos);
}

TEST_CASE("what others can write is refused") {
  Folder folder;
  const auto good = folder.add("good");
  SECTION("the library") {
    fs::permissions(good, fs::perms::others_write, fs::perm_options::add);
    const auto catalogue = folder.read();
    REQUIRE(catalogue.quarantined.size() == 1);
    CHECK(catalogue.quarantined[0].reason ==
          "can be written by others than its owner (mode 0602); `chmod go-w` makes it usable");
  }
  SECTION("the folder, sticky or not, for any library in it") {
    ::chmod(folder.path().c_str(), 01777);
    const auto catalogue = folder.read();
    REQUIRE(catalogue.quarantined.size() == 1);
    CHECK(catalogue.quarantined[0].library == good.string());
    CHECK(catalogue.quarantined[0].reason ==
          "lies in a folder that can be written by others than its owner (mode 1777); `chmod go-w` makes it usable");
  }
  SECTION("a link into such a folder") {
    const Folder other;
    fs::create_symlink(good, other.path() / "good.so");
    fs::permissions(folder.path(), fs::perms::group_write, fs::perm_options::add);
    const auto catalogue = other.read();
    REQUIRE(catalogue.quarantined.size() == 1);
    CHECK(catalogue.quarantined[0].reason.starts_with("lies in a folder that can be written by others"));
  }
  SECTION("a library of another user") {
    if (::geteuid() != 0) SKIP("only root can give a file away");
    REQUIRE(::chown(good.c_str(), 54321, 54321) == 0);
    const auto catalogue = folder.read();
    REQUIRE(catalogue.quarantined.size() == 1);
    CHECK(catalogue.quarantined[0].reason ==
          "belongs to user 54321, who is neither you nor root nor the owner of this program");
  }
}
