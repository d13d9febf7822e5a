#include "kit/pretokenize.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/byte_level_words.h"

namespace xp {

namespace {

enum class Ascii : std::uint8_t { word, alone, space };

std::array<Ascii, 128> ascii_classes() {
  std::array<Ascii, 128> out{};
  for (char32_t c = 0; c < out.size(); ++c)
    out[c] = is_punctuation(c) ? Ascii::alone : is_white_space(c) ? Ascii::space : Ascii::word;
  return out;
}

}  // namespace

void split_words_and_punctuation(std::string_view text, bool ideographs, const VisitWord& visit) {
  static const auto kAscii = ascii_classes();
  std::size_t word = 0;  // where the open word begins
  const auto close = [&](std::size_t end) {
    if (end > word) visit({static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(end)});
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    bool alone = false, space = false;
    if (const auto byte = static_cast<unsigned char>(text[at]); byte < 0x80) {
      alone = kAscii[byte] == Ascii::alone, space = kAscii[byte] == Ascii::space, ++at;
    } else {
      const char32_t c = next_char(text, at);
      alone = is_punctuation(c) || (ideographs && is_cjk_ideograph(c)), space = !alone && is_white_space(c);
    }
    if (!alone && !space) continue;
    close(begin);
    if (alone) visit({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at)});
    word = at;
  }
  close(text.size());
}

void split_gpt2_words(std::string_view text, const VisitWord& visit) {
  static const pipeline::Gpt2Words<false> kScan;
  const char* const start = text.data();
  pipeline::each_word(kScan, start, start + text.size(), [&](const char* from, const char* to) {
    visit({static_cast<std::uint32_t>(from - start), static_cast<std::uint32_t>(to - start)});
  });
}

void split_before(std::string_view text, std::string_view mark, const VisitWord& visit) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(mark, begin + 1), text.size());
    visit({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    begin = end;
  }
}

struct WordPattern::Impl {
  pcre2_code* code = nullptr;
  bool compiled = false;  // to machine code
  ~Impl() { pcre2_code_free(code); }
};

WordPattern::WordPattern(const std::string& pattern) : impl_(std::make_unique<Impl>()) {
  int reason = 0;
  PCRE2_SIZE place = 0;
  impl_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                              &reason, &place, nullptr);
  if (impl_->code == nullptr) {
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(reason, text.data(), text.size());
    throw Error("pattern " + backquoted(pattern) + " does not compile at character " + std::to_string(place) + ": " +
                    reinterpret_cast<const char*>(text.data()),
                Exit::usage);
  }
  // Without a compiler for this processor the interpreter matches the same.
  impl_->compiled = pcre2_jit_compile(impl_->code, PCRE2_JIT_COMPLETE) == 0;
}

WordPattern::~WordPattern() = default;
WordPattern::WordPattern(WordPattern&&) noexcept = default;

void WordPattern::split(std::string_view text, const VisitWord& visit) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match(
      pcre2_match_data_create_from_pattern(impl_->code, nullptr), pcre2_match_data_free);
  const auto gap = [&](std::size_t from, std::size_t to) {
    if (to > from) visit({static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to)});
  };
  // The direct way leaves out checks that valid text and a place between characters have passed.
  const auto run = impl_->compiled ? pcre2_jit_match : pcre2_match;
  std::size_t done = 0;
  while (done < text.size()) {
    const int rc = run(impl_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), done,
                       PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match.get(), nullptr);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      std::array<PCRE2_UCHAR, 256> reason{};
      pcre2_get_error_message(rc, reason.data(), reason.size());
      throw Error("splitting a text into words failed at byte " + std::to_string(done) + ": " +
                      reinterpret_cast<const char*>(reason.data()),
                  Exit::data);
    }
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match.get());
    gap(done, span[0]);
    gap(span[0], span[1]);
    done = span[1];
  }
  gap(done, text.size());
}

}  // namespace xp
