#pragma once
// Texts that hit the edges of steps and automata, and the check that ids without the steps are the ids of the steps.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <random>

#include "kit/pipeline/pipeline.h"
#include "kit/unicode.h"

namespace xp_test {

// Characters that patterns tell apart, any character, and pieces that stand in patterns.
class DrawnTexts {
 public:
  explicit DrawnTexts(unsigned seed) : random_(seed) {}

  std::string next() {
    std::string out;
    const auto kind = random_() % 5;
    if (kind == 4) return ascii();
    const auto length = random_() % 40;
    for (unsigned i = 0; i < length; ++i) {
      if (kind == 3 && random_() % 2 == 0)
        out += ' ';
      else if (random_() % 3 == 0)
        out += kPieces[random_() % std::size(kPieces)];
      else
        xp::append_char(out, kind == 0 ? character() : 'a' + random_() % 4);
    }
    return out;
  }

 private:
  // Long enough for classes of 64 bytes at once.
  std::string ascii() {
    static constexpr const char* kAscii[] = {" ",  " ",   " ",       "  ", "\n",  "\t", "\r\n", "'",
                                             "'s", "'re", "'LL",     "'v", "a",   "ab", "The",  "q",
                                             "12", "3",   "1234567", ".",  "...", "/",  "-",    "\x7F"};
    std::string out;
    for (auto left = random_() % 150; left > 0; --left) out += kAscii[random_() % std::size(kAscii)];
    if (random_() % 4 == 0) out.insert(random_() % (out.size() + 1), "\u00E9");
    return out;
  }

  char32_t character() {
    static constexpr char32_t kEnds[] = {0x80, 0x800, 0x3000, 0xA000, 0x10000, 0x1F000, 0x30000, 0x110000};
    const auto end = kEnds[random_() % std::size(kEnds)];
    const char32_t c = random_() % end;
    return c >= 0xD800 && c < 0xE000 ? 0xFFFD : c;
  }

  static constexpr const char* kPieces[] = {" ",
                                            "  ",
                                            "\n",
                                            "\r\n",
                                            "\t",
                                            " \n ",
                                            "\u00A0",
                                            "\u3000",
                                            "'",
                                            "'s",
                                            "'S",
                                            "'re",
                                            "'LL",
                                            "'\u017F",
                                            "ab",
                                            "The",
                                            "HELLO",
                                            "123",
                                            "1234567",
                                            "\u0661",
                                            "\u00B2",
                                            ".",
                                            "...",
                                            "!?\n",
                                            "\u00E9",
                                            "e\u0301",
                                            "\u0301",
                                            "\u0414\u0430",
                                            "\u4E2D\u6587",
                                            "\u3053\u3093",
                                            "\u0939\u093F",
                                            "\uFF21",
                                            "/",
                                            "\u2581",
                                            "<s>",
                                            "[MASK]",
                                            "\u200D",
                                            "\uFEFF",
                                            "\U0001F44D\U0001F3FD",
                                            "-",
                                            "_",
                                            "\u0130",
                                            "\uAC00",
                                            " \u0301",
                                            "\u304B\u3099",
                                            "\u0915\u094D\u0937",
                                            "\u1100",
                                            "\u1161",
                                            "\u0600",
                                            "\U000110BD",
                                            "\uFF5C",
                                            "|~|",
                                            "``",
                                            " \u2581",
                                            "\u2581\u2581",
                                            "<unk>",
                                            "\u00B4",
                                            "\u2028",
                                            "\uFB01",
                                            "\u0344",
                                            "\u1E9B\u0323",
                                            " the",
                                            "\u2026"};
  std::mt19937 random_;
};

inline std::vector<xp::TokenId> ids_by_steps(const xp::pipeline::Pipeline& pipeline, std::string_view text) {
  std::vector<xp::TokenId> out;
  for (const auto& token : pipeline.encode(text)) out.push_back(token.id);
  return out;
}

/// The first drawn text whose ids differ without the steps, as JSON; empty: none does.
inline std::string first_difference(const nlohmann::json& file, int texts, unsigned seed = 7) {
  const auto pipeline = xp::pipeline::read_pipeline(file.dump(), "file");
  if (!pipeline->ids_need_no_steps()) return "the steps are needed";
  DrawnTexts draw(seed);
  for (int i = 0; i < texts; ++i) {
    const auto text = draw.next();
    const auto expected = ids_by_steps(*pipeline, text);
    for (int again = 0; again < 2; ++again) {  // from the cache too
      std::vector<xp::TokenId> ids;
      pipeline->ids(text, ids, false);
      if (ids != expected) return nlohmann::json(text).dump(-1, ' ', true) + ", time " + std::to_string(again);
    }
  }
  return {};
}

inline nlohmann::json added_token(int id, const char* content, bool normalized) {
  return {{"id", id},        {"content", content},       {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", normalized}, {"special", true}};
}

}  // namespace xp_test
