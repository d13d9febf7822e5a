#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "api/dataset.h"
#include "base/file.h"
#include "testing/conformance_data.h"
#include "testing/testing.h"

namespace mail_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;

const std::string kOpening =
    "From ann@example.org  Thu Aug 22 12:36:23 2002\nFrom: Ann <ann@example.org>\nSubject: [list] Broken\n build\n"
    "List-Id: Users of it <users.example.org>\nDate: Fri, 01 Nov 2002 18:26:25 +0700\n\nIt says:\n\n"
    "    int x = 1;\n\tint y;\n\nWhy?\n-- \nAnn\n";
const std::string kReply =
    "Subject: Re: [list] broken build\nIn-Reply-To: <1@x>\nlist-id: users\nDate: Fri, 4 Oct 2002 08:00:00 GMT\n\n"
    "Hello Ann,\nAnn wrote:\n> It says:\n >     int x\nuse \"long\".\n______________________\nList footer\n";

Table settings(const testing::Scratch& scratch, const std::vector<std::string>& contents, Table more = {}) {
  List files;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const auto file = scratch / ("m" + std::to_string(i) + ".txt");
    write_file(file, contents[i]), files.push_back(Value(file.string()));
  }
  more["type"] = "mail", more["files"] = files;
  return more;
}

std::vector<Document> read(const std::vector<std::string>& contents, Table more = {}) {
  const testing::Scratch scratch;
  std::vector<Document> all;
  testing::registry()
      .make<DataSource>(settings(scratch, contents, std::move(more)))
      ->for_each([&](const Document& one) { all.push_back(one); });
  return all;
}

std::string text(const std::string& content) {
  const auto all = read({content});
  return all.empty() ? "none" : all.front().text;
}

TEST_CASE("mail: the body without quotes, signature and footer; code keeps its lines") {
  const auto all = read({kOpening, kReply});
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == "m0");
  CHECK(all[0].title == "[list] Broken build");
  CHECK(all[0].text == "It says:\n    int x = 1;\n\tint y;\nWhy?");
  REQUIRE(all[0].annotations.size() == 3);
  CHECK(all[0].text.substr(all[0].annotations[1].begin, all[0].annotations[1].end - all[0].annotations[1].begin) ==
        "    int x = 1;\n\tint y;");
  CHECK(all[1].text == "Hello Ann,\nuse \"long\".");
  CHECK(all[0].group == "broken build");
  CHECK(all[1].group == all[0].group);
  const auto whole = read({kReply}, {{"quotes", true}, {"signatures", true}});
  CHECK(whole[0].text ==
        "Hello Ann,\nAnn wrote:\n> It says:\n >     int x\nuse \"long\".\n______________________\nList footer");
  CHECK(read({kOpening, kReply}, {{"min_chars", 25}}).size() == 1);
}

TEST_CASE("mail: labels from the header, splits by date") {
  const auto lists = read({kOpening, kReply, "Subject: x\n\nNo list.\n"}, {{"label", "List-Id"}});
  REQUIRE(lists.size() == 2);
  CHECK(lists[0].fields.at("label") == "users.example.org");
  CHECK(lists[1].fields.at("label") == "users");
  const auto kinds = read({kOpening, kReply, "Subject: RE: x\n\nYes.\n"}, {{"label", "reply"}});
  CHECK(kinds[0].fields.at("label") == "opening");
  CHECK(kinds[1].fields.at("label") == "reply");
  CHECK(kinds[2].fields.at("label") == "reply");
  const Table days{{"dev_from", "2002-09-01"}, {"test_from", "2002-10-04"}};
  const auto dated = read({kOpening, kReply, "Date: 5 Sep 2002\n\nHi.\n"}, days);
  CHECK(dated[0].split == "train");  // the envelope says when it came, whatever Date says
  CHECK(dated[1].split == "test");
  CHECK(dated[2].split == "dev");
  CHECK(dated[0].group.empty());
}

TEST_CASE("mail: encodings and character sets") {
  const std::string latin = "Subject: x\nContent-Type: text/plain; charset=\"iso-8859-1\"\n";
  CHECK(text(latin + "\ncaf\xe9 \x96\n") == "caf\u00e9 \u2013");  // what calls itself Latin-1 is Windows-1252
  CHECK(text(latin + "Content-Transfer-Encoding: Quoted-Printable\n\nca=66=\n=E9=3D =zz=\n\n") == "caf\u00e9= =zz");
  CHECK(text("Content-Type: text/plain; format=flowed;\n charset=koi8-r\n\n\xf4\xc1\xcb\n") == "\u0422\u0430\u043a");
  CHECK(text("Subject: x\n\nna\u00efve \x01\x7f!\r\n") == "na\u00efve   !");
}

TEST_CASE("mail: of several parts the first plain one; none leaves the message out") {
  const auto parts = [](const std::string& first) {
    return "Content-Type: multipart/mixed; boundary=\"b=1\"\n\npreamble\n--b=1\n" + first +
           "--b=1\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: "
           "text/html\n\n<p>no</p>\n--c\n"
           "Content-Type: TEXT/Plain\n\nInner.\n--c--\n--b=1--\nepilogue\n";
  };
  CHECK(text(parts("Content-Type: image/png\n\nPNG\n")) == "Inner.");
  CHECK(text(parts("\nOuter.\n")) == "Outer.");
  CHECK(text(parts("Content-Transfer-Encoding: base64\n\nSGk=\n")) == "Inner.");
  CHECK(text("Content-Type: text/html\n\n<p>no</p>\n") == "none");
  CHECK(text("Content-Type: multipart/mixed\n\nno boundary\n") == "none");
}

TEST_CASE("mail: what is no message is refused") {
  CHECK_THROWS_WITH(read({"just text\n\nhere\n"}), ContainsSubstring(":1: no header field"));
  CHECK_THROWS_WITH(read({"Content-Type: text/plain; charset=martian\n\nx\n"}),
                    ContainsSubstring("the character set `martian` is not known"));
  const Table days{{"dev_from", "2002-09-01"}, {"test_from", "2002-10-04"}};
  CHECK_THROWS_WITH(read({"Subject: x\n\nHi.\n"}, days), ContainsSubstring("no date"));
  CHECK_THROWS_WITH(read({kReply}, {{"test_from", "2002-10-04"}}), ContainsSubstring("days in this order"));
  CHECK_THROWS_WITH(read({kReply}, {{"dev_from", "2002-11-01"}, {"test_from", "2002-10-04"}}),
                    ContainsSubstring("days in this order"));
}

TEST_CASE("mail keeps the contract of a source") {
  const testing::Scratch scratch;
  const auto plain = settings(scratch, {kOpening, kReply});
  auto changed = plain;
  changed["label"] = "reply";
  testing::check_data_source(testing::registry(), plain, changed);
}

}  // namespace mail_test
