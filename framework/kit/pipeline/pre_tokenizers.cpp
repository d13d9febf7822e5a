#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/byte_map.h"
#include "kit/pipeline/pattern.h"
#include "kit/pipeline/splitting.h"
#include "kit/pipeline/steps.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {

PreTokenizer::~PreTokenizer() = default;

Behavior read_behavior(const Entry& step, const char* key) {
  const std::string name = step.text(key);
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  step.at(key).refuse(
      "behavior " + backquoted(printable(name)) +
      " is not known; known are Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous");
}

namespace {

constexpr int kMostNestedSteps = 64;

// GPT-2's: contractions, letters, digits and other characters, each with a blank before it, and blanks.
constexpr const char* kByteLevelWords =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Replaces each word by those that cut(its text, where it begins, out) gives.
template <class Cut>
void cut_words(Words& words, Cut cut) {
  thread_local std::vector<TextSpan> out;
  out.clear();
  const std::string_view text = words.text.text();
  for (const TextSpan word : words.spans) cut(text.substr(word.begin, word.end - word.begin), word.begin, out);
  words.spans.swap(out);
  words.whole = false;
}

template <class Fits>
void split_characters(Words& words, Behavior behavior, Fits fits) {
  cut_words(words, [&](std::string_view text, std::uint32_t shift, std::vector<TextSpan>& out) {
    Splitter splitter(behavior, shift, out);
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      if (!fits(next_char(text, at))) continue;
      if (begin > done) splitter.piece(done, begin, false);
      splitter.piece(begin, at, true);
      done = at;
    }
    if (text.size() > done) splitter.piece(done, text.size(), false);
    splitter.finish();
  });
}

void split_pattern(Words& words, const Pattern& pattern, Behavior behavior, bool invert) {
  cut_words(words, [&](std::string_view text, std::uint32_t shift, std::vector<TextSpan>& out) {
    Splitter splitter(behavior, shift, out);
    pattern.split(
        text, [&](std::size_t begin, std::size_t end, bool match) { splitter.piece(begin, end, match != invert); });
    splitter.finish();
  });
}

// A step that neither cuts nor rewrites still drops what is empty.
void drop_empty(Words& words) {
  std::erase_if(words.spans, [](TextSpan word) { return word.begin == word.end; });
}

// Rewrites all words: write(word, its text, editor) leaves the editor at the word's end. What lies between is gone.
template <class Write>
void rewrite_words(Words& words, Write write) {
  const std::string_view text = words.text.text();
  AlignedText::Editor edit(words.text);
  for (TextSpan& word : words.spans) {
    const auto begin = static_cast<std::uint32_t>(edit.size());
    edit.skip(word.begin);
    write(word, text.substr(word.begin, word.end - word.begin), edit);
    word = {begin, static_cast<std::uint32_t>(edit.size())};
  }
  edit.finish_here();
}

// Puts `prefix` before a word, which stands for the word's first character.
void put_prefix(AlignedText::Editor& edit, std::string_view text, std::uint32_t at, std::string_view prefix) {
  std::size_t first = 0;
  next_char(text, first);
  edit.put(prefix, edit.origin(at, at + first));
}

class PreTokenizerSequence final : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(std::vector<std::unique_ptr<const PreTokenizer>> steps) : steps_(std::move(steps)) {}
  void apply(Words& words) const override {
    for (const auto& step : steps_) step->apply(words);
  }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> steps_;
};

class BertWords final : public PreTokenizer {
 public:
  void apply(Words& words) const override {
    cut_words(words, [&](std::string_view text, std::uint32_t shift, std::vector<TextSpan>& out) {
      std::size_t word = 0;  // where the open word begins
      const auto give = [&](std::size_t begin, std::size_t end) {
        if (begin < end)
          out.push_back({shift + static_cast<std::uint32_t>(begin), shift + static_cast<std::uint32_t>(end)});
      };
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        const std::uint8_t classes = char_classes(next_char(text, at));
        if ((classes & (kSpace | kPunctuation)) == 0) continue;
        give(word, begin);
        if ((classes & kSpace) == 0) give(begin, at);
        word = at;
      }
      give(word, text.size());
    });
  }
};

class ByteLevelWords final : public PreTokenizer {
 public:
  explicit ByteLevelWords(const Entry& entry)
      : prefix_(entry.flag("add_prefix_space")), split_(!entry.contains("use_regex") || entry.flag("use_regex")) {
    entry.flag("trim_offsets");  // belongs to the post-processor, but must be there
    if (split_) pattern_.emplace(kByteLevelWords, false, entry.place());
  }

  void apply(Words& words) const override {
    drop_empty(words);
    if (prefix_ && lacks_prefix(words)) {
      rewrite_words(words, [](TextSpan word, std::string_view text, AlignedText::Editor& edit) {
        if (text[0] != ' ') put_prefix(edit, text, word.begin, " ");
        edit.keep(word.end);
      });
    }
    if (split_) split_pattern(words, *pattern_, Behavior::isolated, false);
    const std::string& old = words.text.text();
    rewrite_words(
        words, [&](TextSpan word, std::string_view, AlignedText::Editor& edit) { put_bytes(edit, old, word.end); });
  }

 private:
  static bool lacks_prefix(const Words& words) {
    for (const TextSpan word : words.spans)
      if (words.text.text()[word.begin] != ' ') return true;
    return false;
  }
  bool prefix_, split_;
  std::optional<Pattern> pattern_;
};

// Runs of word characters and of others that are no white space, which is left out.
class WordsAndSymbols final : public PreTokenizer {
 public:
  void apply(Words& words) const override {
    cut_words(words, [&](std::string_view text, std::uint32_t shift, std::vector<TextSpan>& out) {
      std::uint8_t last = kSpace;  // the kind of the open run; white space: none is open
      for (std::size_t at = 0; at < text.size();) {
        const auto begin = shift + static_cast<std::uint32_t>(at);
        const auto kind = static_cast<std::uint8_t>(char_classes(next_char(text, at)) & (kSpace | kWord));
        const auto end = shift + static_cast<std::uint32_t>(at);
        if (kind == kSpace) {
        } else if (kind == last) {
          out.back().end = end;
        } else {
          out.push_back({begin, end});
        }
        last = kind;
      }
    });
  }
};

class SpaceSplit final : public PreTokenizer {
 public:
  void apply(Words& words) const override {
    split_characters(words, Behavior::removed, [](char32_t c) { return has_class(c, kSpace); });
  }
};

class Digits final : public PreTokenizer {
 public:
  explicit Digits(const Entry& entry)
      : behavior_(entry.flag("individual_digits") ? Behavior::isolated : Behavior::contiguous) {}
  void apply(Words& words) const override {
    split_characters(words, behavior_, [](char32_t c) { return has_class(c, kNumber); });
  }

 private:
  Behavior behavior_;
};

class Punctuation final : public PreTokenizer {
 public:
  explicit Punctuation(const Entry& entry)
      : behavior_(entry.json().contains("behavior") ? read_behavior(entry, "behavior") : Behavior::isolated) {}
  void apply(Words& words) const override {
    split_characters(words, behavior_, [](char32_t c) { return has_class(c, kPunctuation); });
  }

 private:
  Behavior behavior_;
};

std::string one_character(const Entry& entry, const char* key) {
  std::string out = entry.text(key);
  if (!is_utf8(out) || characters(out).size() != 1)
    entry.at(key).refuse(backquoted(printable(out)) + " must be one character");
  return out;
}

class DelimiterSplit final : public PreTokenizer {
 public:
  explicit DelimiterSplit(const Entry& entry) : pattern_(one_character(entry, "delimiter"), true, entry.place()) {}
  void apply(Words& words) const override { split_pattern(words, pattern_, Behavior::removed, false); }

 private:
  Pattern pattern_;
};

class Split final : public PreTokenizer {
 public:
  explicit Split(const Entry& entry)
      : pattern_(read_pattern(entry)), behavior_(read_behavior(entry, "behavior")), invert_(entry.flag("invert")) {}
  void apply(Words& words) const override { split_pattern(words, pattern_, behavior_, invert_); }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

class Metaspace final : public PreTokenizer {
 public:
  explicit Metaspace(const Entry& entry)
      : mark_(one_character(entry, "replacement")),
        pattern_(mark_, true, entry.place()),
        split_(entry.flag("split", true)) {
    const std::string scheme = entry.json().contains("prepend_scheme") ? entry.text("prepend_scheme") : "always";
    if (scheme != "always" && scheme != "first" && scheme != "never")
      entry.at("prepend_scheme").refuse(backquoted(printable(scheme)) + " must be always, first or never");
    always_ = scheme == "always", first_ = scheme == "first";
    if (!entry.flag("add_prefix_space", true) && scheme != "never")
      entry.refuse("`add_prefix_space` is false, but `prepend_scheme` is " + scheme + ", not never");
    entry.text("str_rep", "");  // an old file's copy of `replacement`, which decides
  }

  void apply(Words& words) const override {
    drop_empty(words);
    if (needs_rewriting(words)) {
      rewrite_words(words, [&](TextSpan word, std::string_view text, AlignedText::Editor& edit) {
        if (wants_prefix(words, word, text, edit)) put_prefix(edit, text, word.begin, mark_);
        for (std::size_t at = text.find(' '); at != std::string_view::npos; at = text.find(' ', at + 1)) {
          edit.keep(word.begin + at);
          edit.replace(word.begin + at + 1, mark_);
        }
        edit.keep(word.end);
      });
    }
    if (split_) split_pattern(words, pattern_, Behavior::merged_with_next, false);
  }

 private:
  bool needs_rewriting(const Words& words) const {
    if (always_ || first_) return true;
    const std::string_view text = words.text.text();
    for (const TextSpan word : words.spans)
      if (text.substr(word.begin, word.end - word.begin).find(' ') != std::string_view::npos) return true;
    return false;
  }
  bool wants_prefix(const Words& words, TextSpan word, std::string_view text, AlignedText::Editor& edit) const {
    if (text[0] == ' ' || text.substr(0, mark_.size()) == mark_) return false;
    if (always_) return true;
    if (!first_ || !words.at_start) return false;
    // As long as nothing was cut, the stretch begins where the input does even if its first characters are gone.
    std::size_t first = 0;
    next_char(text, first);
    return words.whole || edit.origin(word.begin, word.begin + first).begin == 0;
  }

  std::string mark_;
  Pattern pattern_;
  bool split_, always_ = false, first_ = false;
};

class ScriptSplit final : public PreTokenizer {
 public:
  // What stands before the first character with a script is left out.
  void apply(Words& words) const override {
    cut_words(words, [&](std::string_view text, std::uint32_t shift, std::vector<TextSpan>& out) {
      std::uint8_t last = 0;
      std::size_t begin = 0;
      const auto give = [&](std::size_t end) {
        if (last != 0)
          out.push_back({shift + static_cast<std::uint32_t>(begin), shift + static_cast<std::uint32_t>(end)});
        begin = end;
      };
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t here = at;
        const std::uint8_t script = sentencepiece_script(next_char(text, at));
        if (script == 0 || script == last) continue;
        give(here);
        last = script;
      }
      give(text.size());
    });
  }
};

class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(const Entry& entry) : length_(entry.json().contains("length") ? entry.number("length") : 5) {
    if (length_ < 1) entry.at("length").refuse("a length must be at least 1, not " + std::to_string(length_));
  }
  void apply(Words& words) const override {
    cut_words(words, [&](std::string_view text, std::uint32_t shift, std::vector<TextSpan>& out) {
      for (std::size_t at = 0; at < text.size();) {
        const auto begin = shift + static_cast<std::uint32_t>(at);
        for (std::int64_t n = 0; n < length_ && at < text.size(); ++n) next_char(text, at);
        out.push_back({begin, shift + static_cast<std::uint32_t>(at)});
      }
    });
  }

 private:
  std::int64_t length_;
};

// A step that makes texts longer; an error of that names the step.
class NamedStep final : public PreTokenizer {
 public:
  NamedStep(const Entry& entry, std::unique_ptr<const PreTokenizer> step)
      : place_(entry.place()), step_(std::move(step)) {}
  void apply(Words& words) const override {
    try {
      step_->apply(words);
    } catch (const TextTooLong& problem) {
      throw Error(place_ + ": " + problem.what(), Exit::data);
    }
  }

 private:
  std::string place_;
  std::unique_ptr<const PreTokenizer> step_;
};

std::unique_ptr<const PreTokenizer> read_step(const Entry& entry, int nested) {
  const std::string type = entry.type();
  if (type == "Sequence") {
    if (nested >= kMostNestedSteps)
      entry.refuse("sequences are nested more than " + std::to_string(kMostNestedSteps) + " deep");
    std::vector<std::unique_ptr<const PreTokenizer>> steps;
    for (const auto& item : entry.items("pretokenizers")) steps.push_back(read_step(item, nested + 1));
    return std::make_unique<PreTokenizerSequence>(std::move(steps));
  }
  if (type == "BertPreTokenizer") return std::make_unique<BertWords>();
  if (type == "ByteLevel") return std::make_unique<NamedStep>(entry, std::make_unique<ByteLevelWords>(entry));
  if (type == "Whitespace") return std::make_unique<WordsAndSymbols>();
  if (type == "WhitespaceSplit") return std::make_unique<SpaceSplit>();
  if (type == "CharDelimiterSplit") return std::make_unique<DelimiterSplit>(entry);
  if (type == "Metaspace") return std::make_unique<NamedStep>(entry, std::make_unique<Metaspace>(entry));
  if (type == "Split") return std::make_unique<Split>(entry);
  if (type == "Punctuation") return std::make_unique<Punctuation>(entry);
  if (type == "Digits") return std::make_unique<Digits>(entry);
  if (type == "UnicodeScripts") return std::make_unique<ScriptSplit>();
  if (type == "FixedLength") return std::make_unique<FixedLength>(entry);
  entry.refuse("pre-tokenizer type " + backquoted(printable(type)) +
               " is not known; known are BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, "
               "Metaspace, Punctuation, Sequence, Split, UnicodeScripts, Whitespace and WhitespaceSplit");
}

}  // namespace

std::unique_ptr<const PreTokenizer> read_pre_tokenizer(const Entry& entry) {
  return entry.is_null() ? nullptr : read_step(entry, 0);
}

}  // namespace xp::pipeline
