#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace html_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kSaving = R"(<!DOCTYPE html>
<html lang="en-GB"><head><title>Saving &amp; closing</title><style>p { color: red }</style></head>
<body><header><p id="top">Help</p></header>
<div id="content"><h1 id="h">Saving</h1>
<p id="a">Press <b>Ctrl+S</b>,<br>or choose
   <i>File&nbsp;- Save</i>.<script>var x = "no text";</script>
<p id="b">Caf&eacute; &#x2014; <span>done</span>
<p>Related topics</p>
<table><tr><td id="cell"><p id="inner">In a cell</p></td></tr></table></div>
<footer><p id="end">Bye</p></footer></body></html>)";

constexpr const char* kIndex = R"(var bookmarks = [
{url:"en/text/a/save.html?DbPAR=WRITER#bm_1", app:"WRITER", text:"saving -- documents"},
{url:"en/text/b/print.html#bm_2", app:"WRITER", text:"prints &amp; copies"},
{url:"en/text/a/save.html#bm_3", app:"CALC", text:"saving -- documents"},
{url:"en/text/b/print.html#bm_4", app:"CALC", text:"saving -- \"documents\""},
{url:"en/text/none.html", app:"CALC", text:"a page that is not read"},
];
)";

struct Folder {
  Folder() {
    std::filesystem::create_directories(scratch / "en/text/a");
    std::filesystem::create_directories(scratch / "en/text/b");
    write_file(scratch / "en/text/a/save.html", kSaving);
    write_file(scratch / "en/text/b/print.html", "<p id=one>Printing<p>twice");
    write_file(scratch / "index.js", kIndex);
  }
  std::unique_ptr<DataSource> source(Table more = {}) const {
    more.insert_or_assign("type", "html");
    more.emplace("files", List{Value((scratch / "en/text/a/save.html").string()),
                               Value((scratch / "en/text/b/print.html").string())});
    return testing::registry().make<DataSource>(more);
  }
  Value index() const { return Value(List{Value((scratch / "index.js").string())}); }
  std::vector<Document> read(Table more = {}) const {
    std::vector<Document> out;
    source(std::move(more))->for_each([&](const Document& one) { out.push_back(one); });
    return out;
  }
  testing::Scratch scratch;
};

std::vector<std::string> paragraphs(const Document& one) {
  std::vector<std::string> out;
  for (const auto& mark : one.annotations) out.push_back(one.text.substr(mark.begin, mark.end - mark.begin));
  return out;
}

TEST_CASE("html: a page gives its blocks, a paragraph each, without markup") {
  const Folder folder;
  const auto all = folder.read();
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == "a/save.html");
  CHECK(all[0].title == "Saving & closing");
  CHECK(all[0].language == "en-GB");
  CHECK(all[0].script == "Latn");
  CHECK(paragraphs(all[0]) == std::vector<std::string>{"Help", "Saving", "Press Ctrl+S, or choose File - Save.",
                                                       "Café — done", "Related topics", "In a cell", "Bye"});
  CHECK(all[1].text == "Printing\ntwice");
  CHECK(all[1].language.empty());
}

TEST_CASE("html: an element's id and the blocks' own choose text") {
  const Folder folder;
  const List one{Value((folder.scratch / "en/text/a/save.html").string())};
  const auto chosen = folder.read({{"files", one}, {"below", "content"}, {"with_id", true}});
  REQUIRE(chosen.size() == 1);
  CHECK(chosen[0].text == "Saving\nPress Ctrl+S, or choose File - Save.\nCafé — done\nIn a cell");
  CHECK(folder.read({{"files", one}, {"blocks", List{Value("h1")}}}).at(0).text == "Saving");
  CHECK(folder.read({{"blocks", List{Value("h6")}}}).empty());
  CHECK_THROWS_WITH(folder.read({{"below", "content"}}),
                    ContainsSubstring("print.html: no element has the id `content`"));
}

TEST_CASE("html: an index gives pairs of its texts and the pages that they lead to") {
  const Folder folder;
  const auto all = folder.read({{"index", folder.index()}, {"language", "en"}});
  REQUIRE(all.size() == 3);  // two places of one page are one pair, a page that is not read is none
  CHECK(all[0].text == "saving -- documents");
  CHECK(all[0].fields.at("text_b").starts_with("Help\nSaving\n"));
  CHECK(all[0].title == "Saving & closing");
  CHECK(all[1].text == "prints & copies");
  CHECK(all[1].fields.at("text_b") == "Printing\ntwice");
  CHECK(all[2].text == "saving -- \"documents\"");
  CHECK(all[2].split == "test");
  CHECK(folder.read({{"index", folder.index()}, {"held_out", 0.0}}).at(0).split == "train");
}

TEST_CASE("html: one text that leads to two pages is one group") {
  const Folder folder;
  write_file(folder.scratch / "index.js",
             R"([{"url": "a/save.html", "text": "one"}, {"text": "one", "url": "b/print.html"}])");
  const auto all = folder.read({{"index", folder.index()}});
  REQUIRE(all.size() == 2);
  CHECK(all[0].group == all[1].group);
  CHECK(all[0].id != all[1].id);
}

TEST_CASE("html: what is broken is refused with its place") {
  const Folder folder;
  const auto refused = [&](const std::string& index) {
    write_file(folder.scratch / "index.js", index);
    return [&folder] { folder.read({{"index", folder.index()}}); };
  };
  CHECK_THROWS_WITH(refused("var x = 1;")(), ContainsSubstring("index.js has no list of entries"));
  CHECK_THROWS_WITH(refused("[{url: 'a', text: 'b'}]")(), ContainsSubstring("index.js is no list of objects"));
  CHECK_THROWS_WITH(refused("[{url:\"a/save.html\"}]")(), ContainsSubstring("entry 1 has no text `text`"));
  CHECK_THROWS_WITH(refused("[{url:\"#x\", text:\"a\"}]")(), ContainsSubstring("entry 1 has an empty `url`"));
  CHECK_THROWS_WITH(refused("[]")(), ContainsSubstring("index.js has no entries"));
  CHECK_THROWS_WITH(refused("[{url:\"none.html\", text:\"a\"}]")(),
                    ContainsSubstring("leads to none of the 2 pages"));
  CHECK_THROWS_WITH(refused("[{url:\"a/save.html\", text:\"a")(), ContainsSubstring("index.js"));
  write_file(folder.scratch / "en/text/b/print.html", "<p>\xFF</p>");
  CHECK_THROWS_WITH(folder.read(), ContainsSubstring("print.html: invalid UTF-8"));
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<div>";
  write_file(folder.scratch / "en/text/b/print.html", deep + "<p>lost");
  CHECK_THROWS_WITH(folder.read(), ContainsSubstring("nested more than 250 deep"));
  CHECK_THROWS_WITH(folder.read({{"blocks", List{}}}), ContainsSubstring("`blocks` names no element"));
}

TEST_CASE("html: an end of a path that two files have is refused") {
  const Folder folder;
  write_file(folder.scratch / "en/text/b/save.html", "<p>other");
  write_file(folder.scratch / "index.js", R"([{"url": "save.html", "text": "one"}])");
  const List both{Value((folder.scratch / "en/text/a/save.html").string()),
                  Value((folder.scratch / "en/text/b/save.html").string())};
  CHECK_THROWS_WITH(folder.read({{"files", both}, {"index", folder.index()}}),
                    ContainsSubstring("several of the files end in `save.html`"));
}

TEST_CASE("html keeps the contract of a source") {
  const Folder folder;
  Table settings{{"type", "html"},
                 {"files", List{Value((folder.scratch / "en/text/a/save.html").string()),
                                Value((folder.scratch / "en/text/b/print.html").string())}}};
  auto changed = settings;
  changed["blocks"] = List{Value("h1")};
  testing::check_data_source(testing::registry(), settings, changed);
  settings["index"] = folder.index();
  testing::check_data_source(testing::registry(), settings, changed);
}

}  // namespace html_test
