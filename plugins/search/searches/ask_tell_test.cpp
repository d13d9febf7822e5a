#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "study_fixture.h"

namespace ask_tell_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Matchers::ContainsSubstring;
using Texts = std::vector<std::string>;

const std::vector<SearchAxis> kAxes{listed("kind", {"plain", "deep", Table{{"type", "wide"}}}), range("rate", 0.5, 1),
                                    when(whole(log_range("depth", 1, 9)), "kind", {"deep"})};

/// A sweep whose optimiser has already written all of its answers.
struct Written {
  testing::Scratch scratch;
  std::unique_ptr<Search> search;

  explicit Written(const Texts& answers, bool higher = false, const std::vector<SearchAxis>& axes = kAxes) {
    std::ofstream(scratch / "answers") << join(answers, "\n") << (answers.empty() ? "" : "\n");
    search = testing::registry().make<Search>(
        {{"type", "ask_tell"}, {"ask", (scratch / "asked").string()}, {"tell", (scratch / "answers").string()}});
    search->start({.arm = "base", .axes = axes, .higher = higher});
  }
  Texts asked() const {
    auto lines = split(read_file(scratch / "asked"), '\n');
    lines.pop_back();
    return lines;
  }
};

std::string refusal(const std::string& answer) {
  Written one({answer});
  try {
    one.search->propose();
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::usage);
    CHECK_THAT(error.what(), ContainsSubstring(backquoted(printable(answer))));
    return error.what();
  }
  return "taken";
}

TEST_CASE("ask_tell describes itself") {
  testing::check_component(testing::registry(), "search", "ask_tell");
  CHECK(testing::registry().make<Search>({{"type", "ask_tell"}})->outside());
  CHECK_FALSE(testing::registry().make<Search>({{"type", "grid"}})->outside());
}

TEST_CASE("ask_tell: what is said, and what answers become") {
  Written one({R"({"values": {"kind": "deep", "depth": 3.0, "rate": 1}})",
               R"({"values": {"kind": {"type": "wide"}, "rate": 0.5}})", R"({"none": true})"},
              true);
  const auto first = one.search->propose(), second = one.search->propose();
  REQUIRE((first && second));
  CHECK(first->number == 0);
  CHECK(text(*first) == "depth=3 kind=\"deep\" rate=1.0");  // of the axes' own types
  CHECK(text(*second) == "kind={ type = \"wide\" } rate=0.5");
  one.search->tell({1, -0.75, true, 1});
  one.search->tell({0, 0, false, 0.25});
  CHECK_FALSE(one.search->finished());
  CHECK_FALSE(one.search->propose());
  CHECK(one.search->finished());
  CHECK_FALSE(one.search->propose());
  const auto ask = [](const char* n) {
    return R"({"ask":{"arm":"base","axes":[{"key":"kind","values":["plain","deep",{"type":"wide"}]},)"
           R"({"high":1.0,"key":"rate","log":false,"low":0.5,"whole":false},)"
           R"({"high":9.0,"key":"depth","log":true,"low":1.0,"when":{"kind":["deep"]},"whole":true}],"number":)" +
           std::string(n) + "}}";
  };
  CHECK(one.asked() == Texts{ask("0"), ask("1"),
                             R"({"tell":{"arm":"base","done":true,"goal":0.75,"number":1,"progress":1.0}})",
                             R"({"tell":{"arm":"base","done":false,"number":0,"progress":0.25}})", ask("2")});
}

TEST_CASE("ask_tell: goals that should be low are told as they are, and a journal's trials are known") {
  Written one({R"({"values": {"rate": 0.5}})"}, false, {range("rate", 0, 1)});
  one.search->adopt({0, {{"rate", 0.25}}});
  one.search->tell({0, -0.75, true, 1});
  CHECK(one.search->propose()->number == 1);
  try {
    one.search->adopt({1, {{"rate", 0.25}}});
    FAIL("adopted");
  } catch (const Error& error) {
    CHECK(error.exit() == Exit::verdict);
    CHECK(error.what() == std::string("the journal has trial 1 where trial 2 is next"));
  }
  const auto asked = one.asked();
  CHECK(asked[0] == R"({"known":{"arm":"base","number":0,"values":{"rate":0.25}}})");
  CHECK_THAT(asked[1], ContainsSubstring("\"goal\":-0.75"));
  CHECK_THAT(asked[2], ContainsSubstring("\"number\":1"));
}

TEST_CASE("ask_tell: answers that do not fit are refused with what would be right") {
  CHECK_THAT(refusal("hello"),
             ContainsSubstring("an answer is {\"values\": {\"KEY\": VALUE, ...}} or {\"none\": true}"));
  CHECK_THAT(refusal("[1]"), ContainsSubstring("an answer is"));
  CHECK_THAT(refusal("{}"), ContainsSubstring("an answer is"));
  CHECK_THAT(refusal(R"({"values": {}, "more": 1})"), ContainsSubstring("an answer is"));
  CHECK_THAT(refusal(R"({"values": [1]})"), ContainsSubstring("an answer is"));
  CHECK_THAT(refusal(R"({"none": false})"), ContainsSubstring("`none` is true or not there"));
  CHECK_THAT(refusal(R"({"values": {"kind": "plain"}})"), ContainsSubstring("`rate` needs a value"));
  CHECK_THAT(refusal(R"({"values": {"kind": "plane", "rate": 1}})"),
             ContainsSubstring("`kind` is one of [\"plain\","));
  CHECK_THAT(refusal(R"({"values": {"kind": "plain", "rate": 1.5}})"),
             ContainsSubstring("`rate` is a number from 0.5 to 1"));
  CHECK_THAT(refusal(R"({"values": {"kind": "plain", "rate": "1"}})"), ContainsSubstring("`rate` is a number"));
  CHECK_THAT(refusal(R"({"values": {"kind": "plain", "rate": {"$real": "nan"}}})"),
             ContainsSubstring("`rate` is a number"));
  CHECK_THAT(refusal(R"({"values": {"kind": "deep", "rate": 1, "depth": 2.5}})"),
             ContainsSubstring("`depth` is a whole number from 1 to 9"));
  CHECK_THAT(refusal(R"({"values": {"kind": "plain", "rate": 1, "depth": 2}})"),
             ContainsSubstring("`depth` has no value here"));
  CHECK_THAT(refusal(R"({"values": {"kind": "plain", "rate": 1, "width": 2}})"),
             ContainsSubstring("there is no axis `width`"));
  CHECK(refusal(R"({"values": {"kind": "plain", "rate": 1}})") == "taken");
}

TEST_CASE("ask_tell: an end without an answer, endless lines and files that are not there are errors") {
  CHECK_THROWS_WITH(
      Written({}).search->propose(),
      ContainsSubstring("answers ended where the optimiser was to answer; it ends a sweep by the line"));
  CHECK_THROWS_WITH(Written({std::string(1'000'001, ' ')}).search->propose(), ContainsSubstring("longer than 1 MB"));
  const auto lost = testing::registry().make<Search>({{"type", "ask_tell"}, {"ask", "/no/such/folder/asked"}});
  lost->start({});
  CHECK_THROWS_WITH(lost->propose(), ContainsSubstring("/no/such/folder/asked cannot be opened to write"));
  CHECK_THROWS_WITH(Written({}, false, {zipped("a", {1}, "z")}), ContainsSubstring("`a` has a `zip`"));
}

TEST_CASE("ask_tell: whoever only follows the journal says nothing") {
  const Written one({}, false, {range("rate", 0, 1)});
  one.search->adopt({0, {{"rate", 0.25}}});
  one.search->tell({0, 1.0, true, 1});
  CHECK_FALSE(std::filesystem::exists(one.scratch / "asked"));
}

TEST_CASE("ask_tell: an optimiser that has no more trials need not wait for results") {
  const testing::Scratch scratch;
  const auto ask = (scratch / "ask").string(), tell = (scratch / "tell").string();
  REQUIRE(mkfifo(ask.c_str(), 0600) == 0);
  std::ofstream(tell) << "{\"none\": true}\n";
  std::thread optimiser([&] {
    std::string line;
    std::ifstream questions(ask);
    for (int i = 0; i < 2; ++i) std::getline(questions, line);  // what is known, and the question
  });
  const auto search = study({{"type", "ask_tell"}, {"ask", ask}, {"tell", tell}}, {listed("a", {1})});
  search->adopt({0, {{"a", 1}}});
  CHECK_FALSE(search->propose());
  optimiser.join();
  search->tell({0, 1.0, true, 1});
}

TEST_CASE("ask_tell: two arms share their pipes, and an optimiser that went away is an error") {
  const testing::Scratch scratch;
  const auto ask = (scratch / "ask").string(), tell = (scratch / "tell").string();
  REQUIRE((mkfifo(ask.c_str(), 0600) == 0 && mkfifo(tell.c_str(), 0600) == 0));
  std::thread optimiser([&] {
    std::ifstream questions(ask);
    std::ofstream answers(tell);
    // An answer ahead of its question must be there for whoever asks next.
    answers << "{\"values\": {\"a\": 1}}\n{\"values\": {\"a\": 2}}\n{\"values\": {\"a\": 3}}\n" << std::flush;
    std::string line;
    for (int i = 0; i < 3; ++i) std::getline(questions, line);
  });
  const Table settings{{"type", "ask_tell"}, {"ask", ask}, {"tell", tell}};
  const auto one = study(settings, {listed("a", {1, 2, 3})}), two = study(settings, {listed("a", {1, 2, 3})});
  CHECK(text(*one->propose()) == "a=1");
  CHECK(text(*two->propose()) == "a=2");
  CHECK(text(*one->propose()) == "a=3");
  optimiser.join();
  CHECK_THROWS_WITH(one->tell({0, 1.0, true, 1}),
                    ContainsSubstring("the optimiser does not listen any more on " + ask));
}

TEST_CASE("ask_tell: standard output and standard input, where nothing else is named") {
  int answers[2], questions[2];
  REQUIRE((pipe(answers) == 0 && pipe(questions) == 0));
  const std::string line = "{\"values\": {\"a\": 2}}\n";
  REQUIRE(write(answers[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()));
  std::fflush(stdout);
  const int in = dup(STDIN_FILENO), out = dup(STDOUT_FILENO);
  dup2(answers[0], STDIN_FILENO), dup2(questions[1], STDOUT_FILENO);
  std::optional<Trial> trial;
  std::string failure;
  try {
    const auto search = study({{"type", "ask_tell"}}, {listed("a", {1, 2})});
    trial = search->propose();
  } catch (const Error& error) {
    failure = error.what();
  }
  const bool open = fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDOUT_FILENO, F_GETFD) >= 0;
  dup2(in, STDIN_FILENO), dup2(out, STDOUT_FILENO);
  char asked[200] = {};
  CHECK(read(questions[0], asked, sizeof asked - 1) > 0);
  for (const int one : {in, out, answers[0], answers[1], questions[0], questions[1]}) close(one);
  CHECK(failure.empty());
  CHECK(open);  // its end closes what it opened, and no more
  REQUIRE(trial);
  CHECK(text(*trial) == "a=2");
  CHECK(asked ==
        std::string("{\"ask\":{\"arm\":\"base\",\"axes\":[{\"key\":\"a\",\"values\":[1,2]}],\"number\":0}}\n"));
}

}  // namespace ask_tell_test
