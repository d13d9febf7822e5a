#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"
#include "kit/pipeline/byte_map.h"
#include "kit/pipeline/charsmap.h"
#include "kit/pipeline/forms.h"
#include "kit/pipeline/pattern.h"
#include "kit/pipeline/steps.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {

Normalizer::~Normalizer() = default;

namespace {

constexpr int kMostNested = 64;  // sequences in sequences

// An editor that is made when something changes.
class Edits {
 public:
  explicit Edits(AlignedText& text) : text_(text) {}
  AlignedText::Editor& get() {
    if (!edit_) edit_.emplace(text_);
    return *edit_;
  }
  void drop(std::size_t begin, std::size_t end) { get().keep(begin), get().skip(end); }
  void replace(std::size_t begin, std::size_t end, std::string_view with) {
    get().keep(begin), get().replace(end, with);
  }
  void finish() {
    if (edit_) edit_->finish();
  }

 private:
  AlignedText& text_;
  std::optional<AlignedText::Editor> edit_;
};

// Visits the characters; visit(c, begin, end, edits) changes the one in bytes [begin, end) if it has to. `ascii`:
// those below 0x80 that are left alone without asking.
template <class Visit>
void rewrite(AlignedText& text, const std::array<bool, 128>& ascii, Visit visit) {
  const std::string& old = text.text();
  Edits edits(text);
  for (std::size_t at = 0; at < old.size();) {
    const auto byte = static_cast<unsigned char>(old[at]);
    if (byte < 0x80 && ascii[byte]) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    const char32_t c = next_char(old, at);
    visit(c, begin, at, edits);
  }
  edits.finish();
}

template <class Fits>
constexpr std::array<bool, 128> ascii_table(Fits fits) {
  std::array<bool, 128> out{};
  for (char32_t c = 0; c < 128; ++c) out[c] = fits(c);
  return out;
}

constexpr auto kAllAscii = ascii_table([](char32_t) { return true; });

void lowercase(AlignedText& text) {
  static constexpr auto kLower = ascii_table([](char32_t c) { return c < 'A' || c > 'Z'; });
  std::string lower;
  rewrite(text, kLower, [&](char32_t c, std::size_t begin, std::size_t end, Edits& edits) {
    if (c < 0x80) {
      const char small = static_cast<char>(c + 32);
      return edits.replace(begin, end, {&small, 1});
    }
    lower.clear();
    append_lower_17(lower, c);
    if (text.text().compare(begin, end - begin, lower) != 0) edits.replace(begin, end, lower);
  });
}

void drop_marks(AlignedText& text, std::uint8_t classes) {
  rewrite(text, kAllAscii, [&](char32_t c, std::size_t begin, std::size_t end, Edits& edits) {
    if (has_class(c, classes)) edits.drop(begin, end);
  });
}

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<const Normalizer>> steps) : steps_(std::move(steps)) {}
  void apply(AlignedText& text) const override {
    for (const auto& step : steps_) step->apply(text);
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> steps_;
};

class Bert final : public Normalizer {
 public:
  explicit Bert(const Entry& entry)
      : clean_(entry.flag("clean_text")),
        ideographs_(entry.flag("handle_chinese_chars")),
        lower_(entry.flag("lowercase")),
        strip_(entry.flag("strip_accents", lower_)) {}

  void apply(AlignedText& text) const override {
    if (clean_ || ideographs_) clean(text);
    if (strip_) normalise(text, Form::nfd), drop_marks(text, kNonspacing);
    if (lower_) lowercase(text);
  }

 private:
  void clean(AlignedText& text) const {
    static constexpr auto kClean = ascii_table([](char32_t c) { return c >= 0x20 && c != 0x7F; });
    rewrite(text, clean_ ? kClean : kAllAscii, [&](char32_t c, std::size_t begin, std::size_t end, Edits& edits) {
      if (clean_ && (c == 0 || c == 0xFFFD || has_class(c, kOther))) return edits.drop(begin, end);
      if (clean_ && has_class(c, kSpace)) return edits.replace(begin, end, " ");
      if (!ideographs_ || !is_cjk_ideograph(c)) return;
      std::array<char, 6> wide{' '};
      const std::size_t n = encode_char(c, wide.data() + 1);
      wide[n + 1] = ' ';
      edits.replace(begin, end, {wide.data(), n + 2});
    });
  }

  bool clean_, ideographs_, lower_, strip_;
};

class Lowercase final : public Normalizer {
 public:
  void apply(AlignedText& text) const override { lowercase(text); }
};

class Normalised final : public Normalizer {
 public:
  explicit Normalised(Form form) : form_(form) {}
  void apply(AlignedText& text) const override { normalise(text, form_); }

 private:
  Form form_;
};

class StripAccents final : public Normalizer {
 public:
  void apply(AlignedText& text) const override { drop_marks(text, kMark); }
};

class Nmt final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    static constexpr auto kKept = ascii_table([](char32_t c) { return (c >= 0x20 && c != 0x7F) || c == 0; });
    rewrite(text, kKept, [&](char32_t c, std::size_t begin, std::size_t end, Edits& edits) {
      if ((c < 0x20 && (c < '\t' || c == 0x0B || c > '\r')) || c == 0x7F || c == 0x8F || c == 0x9F)
        return edits.drop(begin, end);
      const bool blank = c < 0x20 || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                         c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      if (blank) edits.replace(begin, end, " ");
    });
  }
};

class Strip final : public Normalizer {
 public:
  explicit Strip(const Entry& entry) : left_(entry.flag("strip_left")), right_(entry.flag("strip_right")) {}
  void apply(AlignedText& text) const override {
    const std::string& old = text.text();
    std::size_t begin = 0, end = old.size();
    for (std::size_t at = 0; left_ && at < old.size() && has_class(next_char(old, at), kSpace);) begin = at;
    while (right_ && end > begin) {
      std::size_t at = end - 1;
      while ((static_cast<unsigned char>(old[at]) & 0xC0) == 0x80) --at;
      std::size_t behind = at;
      if (!has_class(next_char(old, behind), kSpace)) break;
      end = at;
    }
    if (begin == 0 && end == old.size()) return;
    AlignedText::Editor edit(text);
    edit.skip(begin), edit.keep(end);
    edit.finish_here();
  }

 private:
  bool left_, right_;
};

class Replace final : public Normalizer {
 public:
  explicit Replace(const Entry& entry) : pattern_(read_pattern(entry)), content_(entry.text("content")) {}

  // What is put in stands for the last character of the match, or before an empty one.
  void apply(AlignedText& text) const override {
    const std::string& old = text.text();
    Edits edits(text);
    pattern_.split(old, [&](std::size_t begin, std::size_t end, bool match) {
      if (!match) return;
      auto& edit = edits.get();
      edit.keep(begin);
      std::size_t last = end;
      while (last > 0 && (static_cast<unsigned char>(old[--last]) & 0xC0) == 0x80) {
      }
      const auto place = [](std::size_t at) { return static_cast<std::uint32_t>(at); };
      const TextSpan from = end == 0      ? TextSpan{}
                            : begin < end ? edit.origin(last, end)
                                          : text.original(place(last), place(end));
      if (!content_.empty()) edit.put(content_, from);
      edit.skip(end);
    });
    edits.finish();
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(const Entry& entry) : prefix_(entry.text("prepend")) {}
  // The prefix stands for the first character; an empty one leaves that with no place at all.
  void apply(AlignedText& text) const override {
    const std::string& old = text.text();
    if (old.empty()) return;
    std::size_t end = 0;
    next_char(old, end);
    AlignedText::Editor edit(text);
    const TextSpan from = prefix_.empty() ? TextSpan{} : edit.origin(0, end);
    if (!prefix_.empty()) edit.put(prefix_, from);
    edit.put(std::string_view(old).substr(0, end), from);
    edit.skip(end);
    edit.finish();
  }

 private:
  std::string prefix_;
};

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(const Entry& entry)
      : map_(entry.text("precompiled_charsmap"), entry.at("precompiled_charsmap").place()) {}
  void apply(AlignedText& text) const override { map_.apply(text); }

 private:
  Charsmap map_;
};

class ByteLevelNormalizer final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    AlignedText::Editor edit(text);
    put_bytes(edit, text.text(), text.text().size());
    edit.finish();
  }
};

// A step whose file says how long a text becomes; an error of that names the step.
class Named final : public Normalizer {
 public:
  Named(const Entry& entry, std::unique_ptr<const Normalizer> step) : place_(entry.place()), step_(std::move(step)) {}
  void apply(AlignedText& text) const override {
    try {
      step_->apply(text);
    } catch (const TextTooLong& problem) {
      throw Error(place_ + ": " + problem.what(), Exit::data);
    }
  }

 private:
  std::string place_;
  std::unique_ptr<const Normalizer> step_;
};

constexpr StepKeys kOldNormalizers[] = {{"BertNormalizer", {"clean_text", "handle_chinese_chars", "lowercase"}},
                                        {"Strip", {"strip_left", "strip_right"}},
                                        {"Sequence", {"normalizers"}},
                                        {"Precompiled", {"precompiled_charsmap"}},
                                        {"Replace", {"pattern", "content"}},
                                        {"Prepend", {"prepend"}}};

std::unique_ptr<const Normalizer> read(const Entry& entry, int nested) {
  const std::string type = entry.type(kOldNormalizers);
  if (type == "Sequence") {
    if (nested >= kMostNested)
      entry.refuse("sequences are nested more than " + std::to_string(kMostNested) + " deep");
    std::vector<std::unique_ptr<const Normalizer>> steps;
    for (const auto& item : entry.items("normalizers")) steps.push_back(read(item, nested + 1));
    return std::make_unique<Sequence>(std::move(steps));
  }
  if (type == "BertNormalizer") return std::make_unique<Bert>(entry);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "NFC") return std::make_unique<Normalised>(Form::nfc);
  if (type == "NFD") return std::make_unique<Normalised>(Form::nfd);
  if (type == "NFKC") return std::make_unique<Normalised>(Form::nfkc);
  if (type == "NFKD") return std::make_unique<Normalised>(Form::nfkd);
  if (type == "Nmt") return std::make_unique<Nmt>();
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "Strip") return std::make_unique<Strip>(entry);
  if (type == "Replace") return std::make_unique<Named>(entry, std::make_unique<Replace>(entry));
  if (type == "Prepend") return std::make_unique<Named>(entry, std::make_unique<Prepend>(entry));
  if (type == "Precompiled") return std::make_unique<Named>(entry, std::make_unique<Precompiled>(entry));
  if (type == "ByteLevel") return std::make_unique<Named>(entry, std::make_unique<ByteLevelNormalizer>());
  entry.refuse("normalizer type " + backquoted(printable(type)) +
               " is not known; known are BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, "
               "Precompiled, Prepend, Replace, Sequence, Strip and StripAccents");
}

}  // namespace

std::unique_ptr<const Normalizer> read_normalizer(const Entry& entry) {
  return entry.is_null() ? nullptr : read(entry, 0);
}

}  // namespace xp::pipeline
