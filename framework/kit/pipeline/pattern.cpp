#include "kit/pipeline/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace xp::pipeline {
namespace {

constexpr std::uint32_t kMatchLimit = 10'000'000;        // steps back in one match
constexpr std::size_t kJitStack = std::size_t{8} << 20;  // bytes, grown as needed

std::string reason_text(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// What matching needs beside the expression; one a thread.
struct Matcher {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 << 10, kJitStack, nullptr);

  Matcher() {
    if (data == nullptr || context == nullptr) throw Error("there is no memory for matching patterns");
    pcre2_set_match_limit(context, kMatchLimit);
    // Without a stack of its own matching gives up earlier, with an error.
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Matcher() {
    pcre2_match_data_free(data), pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;
};

Matcher& matcher() {
  thread_local Matcher one;
  return one;
}

}  // namespace

struct Pattern::Compiled {
  std::string source;  // as the file has it
  pcre2_code* code = nullptr;
  ~Compiled() { pcre2_code_free(code); }
};

Pattern::Pattern(const std::string& pattern, bool literal, const std::string& place) : place_(place) {
  if (literal && !pattern.empty()) {
    literal_ = pattern;
    return;
  }
  compiled_ = std::make_unique<Compiled>();
  compiled_->source = pattern;
  const std::string ours = translated_pattern(pattern, place);
  const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int reason = 0;
  PCRE2_SIZE at = 0;
  compiled_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(), PCRE2_UTF | PCRE2_UCP,
                                  &reason, &at, context.get());
  if (compiled_->code == nullptr)
    throw Error(place + ": pattern " + backquoted(printable(pattern)) +
                    " cannot be matched here: " + reason_text(reason) + " (at byte " + std::to_string(at) + " of " +
                    backquoted(printable(ours)) + ")",
                Exit::data);
  // Without a compiler for this processor the interpreter matches the same.
  pcre2_jit_compile(compiled_->code, PCRE2_JIT_COMPLETE);
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

bool Pattern::Search::match(std::size_t from, TextSpan& found) const {
  if (!pattern_.literal_.empty()) {
    const std::size_t at = text_.find(pattern_.literal_, from);
    if (at == std::string_view::npos) return false;
    found = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + pattern_.literal_.size())};
    return true;
  }
  const Matcher& with = matcher();
  const int rc = pcre2_match(pattern_.compiled_->code, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), from,
                             PCRE2_NO_UTF_CHECK, with.data, with.context);
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0)
    throw Error(pattern_.place_ + ": matching " + backquoted(printable(pattern_.compiled_->source)) +
                    " gave up at byte " + std::to_string(from) + " of a text of " + count(text_.size(), "byte") +
                    ": " + reason_text(rc),
                Exit::data);
  const PCRE2_SIZE* span = pcre2_get_ovector_pointer(with.data);
  found = {static_cast<std::uint32_t>(span[0]), static_cast<std::uint32_t>(span[1])};
  return true;
}

bool Pattern::Search::next(TextSpan& found) {
  while (from_ <= text_.size() && match(from_, found)) {
    if (found.begin != found.end || found.end != last_end_) {
      from_ = last_end_ = found.end;
      return true;
    }
    // An empty match right behind another is none; the search goes on one character later.
    if (from_ >= text_.size()) break;
    next_char(text_, from_);
  }
  return false;
}

Pattern read_pattern(const Entry& step) {
  const Entry pattern = step.at("pattern");
  if (pattern.has("String")) return {pattern.text("String"), true, pattern.place()};
  if (pattern.has("Regex")) return {pattern.text("Regex"), false, pattern.place()};
  pattern.refuse("a pattern must be a table with `String` or `Regex`");
}

}  // namespace xp::pipeline
