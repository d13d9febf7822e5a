#include "base/text.h"

#include <rapidcheck.h>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

using namespace xp;

TEST_CASE("nearest finds typing mistakes and nothing else") {
  const std::vector<std::string> names{"linear", "cosine", "warmup_cosine", "lr", "step"};
  CHECK(nearest("liner", names) == "linear");
  CHECK(nearest("cosien", names) == "cosine");  // two neighbours swapped
  CHECK(nearest("b", {"a"}) == std::nullopt);   // everything differs: no typing mistake
  CHECK(nearest("lrr", names) == "lr");
  CHECK(nearest("polynomial", names) == std::nullopt);
  CHECK(nearest("x", {}) == std::nullopt);
}

TEST_CASE("Patterns fit runs of characters") {
  CHECK(fits("tuned[a]", "tuned[*]"));
  CHECK(fits("", "*"));
  CHECK(fits("abcabc", "*abc"));
  CHECK(fits("a/b", "a*b"));
  CHECK_FALSE(fits("abc", "ab"));
  CHECK_FALSE(fits("ab", "abc"));
  CHECK_FALSE(fits("abc", "*b"));
}

TEST_CASE("Lists in messages") {
  CHECK(listed({}) == "nothing");
  CHECK(listed({"a"}) == "`a`");
  CHECK(listed({"a", "b", "c"}) == "`a`, `b` and `c`");
  CHECK(listed({"a", "b", "c", "d"}, 2) == "`a`, `b` and 2 more");
}

TEST_CASE("Splitting keeps empty parts and joining undoes it") {
  CHECK(split("a,,b,", ',') == std::vector<std::string>{"a", "", "b", ""});
  CHECK(split("", ',') == std::vector<std::string>{""});
  CHECK(
      rc::check("join(split(x)) == x", [](const std::string& text) { return join(split(text, 'a'), "a") == text; }));
}

TEST_CASE("UTF-8 that is none is refused") {
  CHECK(is_utf8("naïve 漢字 \xF0\x9F\x98\x80"));
  CHECK_FALSE(is_utf8("\xC0\xAF"));          // overlong
  CHECK_FALSE(is_utf8("\xE0\x80\x80"));      // overlong
  CHECK_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  CHECK_FALSE(is_utf8("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  CHECK_FALSE(is_utf8("\xE6\xBC"));          // cut
  CHECK_FALSE(is_utf8("\x80"));              // a continuation alone
  CHECK(display_width("naïve") == 5);
  CHECK(utf8_slice("a漢字b", 1, 2) == "漢字");
  CHECK(utf8_slice("a漢字b", 3, 9) == "b");
  CHECK(utf8_slice("ab", 5, 1).empty());
}

TEST_CASE("Control characters and broken bytes are shown, not sent to the terminal") {
  CHECK(printable("a\x1B[31m\n漢\xFF") == "a\\x1b[31m\\n漢\\xff");
}

TEST_CASE("Names") {
  CHECK(is_name("adamw"));
  CHECK(is_name("S07_ofa-2"));
  CHECK_FALSE(is_name("2x"));
  CHECK_FALSE(is_name(""));
  CHECK_FALSE(is_name("a.b"));
  CHECK_FALSE(is_name("ä"));
  CHECK(is_name(std::string(64, 'a')));
  CHECK_FALSE(is_name(std::string(65, 'a')));
}

TEST_CASE("Numbers read back as the same double") {
  CHECK(number_text(1.0) == "1");
  CHECK(number_text(1.0, true) == "1.0");
  CHECK(number_text(0.1, true) == "0.1");
  CHECK(number_text(1e300, true) == "1e+300");
  CHECK(number_text(-std::numeric_limits<double>::infinity(), true) == "-inf");
  CHECK(rc::check("strtod(number_text(x)) == x", [](double x) {
    RC_PRE(std::isfinite(x));
    return std::strtod(number_text(x).c_str(), nullptr) == x &&
           std::strtod(number_text(x, true).c_str(), nullptr) == x;
  }));
}

TEST_CASE("Numbers for people") {
  CHECK(short_number(1234567) == "1.23M");
  CHECK(short_number(0.00012) == "0.00012");
  CHECK(duration_text(93784) == "26 h 3 min");
  CHECK(bytes_text(1536) == "1.54 kB");
  CHECK(count(1, "error") == "1 error");
  CHECK(count(0, "error") == "0 errors");
}
