#include "kit/pipeline/decoder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "kit/byte_level.h"

namespace xp::pipeline {
namespace {

std::size_t total_size(const std::vector<std::string>& tokens) {
  std::size_t out = 0;
  for (const auto& token : tokens) out += token.size();
  return out;
}

/// Bytes that a step may still add.
class Room {
 public:
  Room(const std::vector<std::string>& tokens, std::size_t most, const std::string& place)
      : most_(most), left_(most - std::min(most, total_size(tokens))), place_(place) {}

  /// For `times` texts of `n` bytes.
  void take(std::size_t times, std::size_t n) {
    if (n > 0 && times > left_ / n) throw Error(place_ + ": " + TextTooLong(most_).what(), Exit::data);
    left_ -= times * n;
  }

 private:
  std::size_t most_, left_;
  const std::string& place_;
};

std::size_t occurrences(std::string_view text, std::string_view what) {
  std::size_t out = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++out;
  return out;
}

/// Each `from` becomes `to`, from left to right. An empty `from` stands between all characters, and at both ends.
/// `room`: null where the text cannot become longer.
void replace_all(std::string& text, std::string_view from, std::string_view to, Room* room = nullptr) {
  if (!from.empty() && text.find(from) == std::string::npos) return;
  if (room && to.size() > from.size())
    room->take(from.empty() ? text.size() + 1 : occurrences(text, from), to.size() - from.size());
  std::string out;
  out.reserve(text.size() + to.size());
  if (from.empty()) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      next_char(text, at);
      out.append(to).append(text, begin, at - begin);
    }
    out += to;
  } else {
    std::size_t done = 0;
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, done)) {
      out.append(text, done, at - done).append(to);
      done = at + from.size();
    }
    out.append(text, done);
  }
  text = std::move(out);
}

/// Takes back what tokenizing English put in.
void clean_up(std::string& text) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules{{{" .", "."},
                                                                                         {" ?", "?"},
                                                                                         {" !", "!"},
                                                                                         {" ,", ","},
                                                                                         {" ' ", "'"},
                                                                                         {" n't", "n't"},
                                                                                         {" 'm", "'m"},
                                                                                         {" do not", " don't"},
                                                                                         {" 's", "'s"},
                                                                                         {" 've", "'ve"},
                                                                                         {" 're", "'re"}}};
  if (text.find(' ') == std::string::npos) return;
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

std::string one_char(const Entry& entry, const char* key) {
  std::string text = entry.text(key);
  if (characters(text).size() != 1) entry.at(key).refuse(backquoted(printable(text)) + " is not one character");
  return text;
}

/// GPT-2's bytes as characters; a token with other characters stands for itself.
class ByteLevelDecoder final : public Decoder {
 public:
  // The settings belong to the pre-tokenizer, but must be there.
  explicit ByteLevelDecoder(const Entry& entry) {
    for (const char* key : {"add_prefix_space", "trim_offsets"}) entry.flag(key);
    if (entry.contains("use_regex")) entry.flag("use_regex");
  }
  void apply(std::vector<std::string>& tokens, std::size_t) const override {
    std::string bytes;
    for (const auto& token : tokens) {
      const auto plain = from_byte_level(token);
      bytes += plain ? *plain : token;
    }
    tokens.assign(1, repaired_utf8(bytes));
  }
  void describe(Spelling& spelling) const override { spelling.byte_level = true; }
};

class WordPieceDecoder final : public Decoder {
 public:
  explicit WordPieceDecoder(const Entry& entry) : prefix_(entry.text("prefix")), clean_(entry.flag("cleanup")) {}
  void apply(std::vector<std::string>& tokens, std::size_t) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      auto& token = tokens[i];
      if (i > 0) {
        if (token.starts_with(prefix_)) {
          token.erase(0, prefix_.size());
        } else {
          token.insert(0, 1, ' ');
        }
      }
      if (clean_) clean_up(token);
    }
  }
  void describe(Spelling& spelling) const override { spelling.word_pieces = true; }

 private:
  std::string prefix_;
  bool clean_;
};

/// A mark for spaces; the one at the start of the text is not part of it, unless the scheme is "never".
class MetaspaceDecoder final : public Decoder {
 public:
  explicit MetaspaceDecoder(const Entry& entry) : mark_(one_char(entry, "replacement")) {
    const std::string scheme = entry.text("prepend_scheme", "always");
    if (scheme != "always" && scheme != "first" && scheme != "never")
      entry.at("prepend_scheme")
          .refuse(backquoted(printable(scheme)) + " is not known; there are `always`, `first` and `never`");
    prepended_ = scheme != "never";
    if (!entry.flag("add_prefix_space", true) && prepended_)
      entry.at("add_prefix_space").refuse("false contradicts the prepend_scheme " + backquoted(scheme));
  }
  void apply(std::vector<std::string>& tokens, std::size_t) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], mark_, i == 0 && prepended_ ? "" : " ");
  }
  void describe(Spelling& spelling) const override { spelling.space = mark_; }

 private:
  std::string mark_;
  bool prepended_ = true;
};

/// A suffix that ends words.
class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(const Entry& entry) : place_(entry.place()), suffix_(entry.text("suffix")) {}
  void apply(std::vector<std::string>& tokens, std::size_t most) const override {
    Room room(tokens, most, place_);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ", &room);
  }
  void describe(Spelling&) const override {}

 private:
  std::string place_, suffix_;
};

/// Connectionist temporal classification (Graves et al. 2006): repetitions and blanks go.
class CtcDecoder final : public Decoder {
 public:
  explicit CtcDecoder(const Entry& entry)
      : place_(entry.place()),
        pad_(entry.text("pad_token")),
        delimiter_(entry.text("word_delimiter_token")),
        clean_(entry.flag("cleanup")) {}
  void apply(std::vector<std::string>& tokens, std::size_t most) const override {
    Room room(tokens, most, place_);
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (auto& token : tokens) {
      replace_all(token, pad_, "");
      if (!clean_) continue;
      clean_up(token);
      replace_all(token, delimiter_, " ", &room);
    }
    std::erase_if(tokens, [](const std::string& token) { return token.empty(); });
  }
  void describe(Spelling& spelling) const override { spelling.space = delimiter_; }

 private:
  std::string place_, pad_, delimiter_;
  bool clean_;
};

/// The byte that a token "<0x0A>" names. A sign before one digit is read as the library reads it.
std::optional<char> named_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  for (std::size_t i = 3; i < 5; ++i) {
    const char c = token[i];
    if (i == 3 && c == '+') continue;
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return static_cast<char>(static_cast<unsigned char>(value));
}

/// Runs of byte tokens become text, or one U+FFFD for each byte if they are no UTF-8.
class ByteFallbackDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens, std::size_t) const override {
    std::vector<std::string> out;
    out.reserve(tokens.size());
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (is_utf8(bytes)) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (auto& token : tokens) {
      if (const auto byte = named_byte(token)) {
        bytes += *byte;
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }
  void describe(Spelling& spelling) const override { spelling.byte_tokens = true; }
};

class FuseDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens, std::size_t) const override { tokens.assign(1, join(tokens, "")); }
  void describe(Spelling&) const override {}
};

/// Takes up to so many of a character from both ends of each token.
class StripDecoder final : public Decoder {
 public:
  explicit StripDecoder(const Entry& entry)
      : what_(one_char(entry, "content")), start_(entry.number("start")), stop_(entry.number("stop")) {
    if (start_ < 0) entry.at("start").refuse(std::to_string(start_) + " is no number of characters");
    if (stop_ < 0) entry.at("stop").refuse(std::to_string(stop_) + " is no number of characters");
  }
  void apply(std::vector<std::string>& tokens, std::size_t) const override {
    for (auto& token : tokens) {
      std::string_view rest = token;
      for (std::int64_t i = 0; i < start_ && rest.starts_with(what_); ++i) rest.remove_prefix(what_.size());
      for (std::int64_t i = 0; i < stop_ && rest.ends_with(what_); ++i) rest.remove_suffix(what_.size());
      if (rest.size() != token.size()) token = std::string(rest);
    }
  }
  void describe(Spelling&) const override {}

 private:
  std::string what_;
  std::int64_t start_, stop_;
};

/// The normaliser of that name, on each token.
class ReplaceDecoder final : public Decoder {
 public:
  explicit ReplaceDecoder(const Entry& entry) : place_(entry.place()), to_(entry.text("content")) {
    const Entry pattern = entry.at("pattern");
    if (pattern.has("String")) {
      from_ = pattern.text("String");
    } else {
      regex_ = read_normalizer(entry);
    }
  }
  void apply(std::vector<std::string>& tokens, std::size_t most) const override {
    Room room(tokens, most, place_);
    for (auto& token : tokens) {
      if (token.empty()) continue;
      if (!regex_) {
        replace_all(token, from_, to_, &room);
        continue;
      }
      AlignedText text(token);
      regex_->apply(text);
      if (text.text().size() > token.size()) room.take(1, text.text().size() - token.size());
      token = text.text();
    }
  }
  void describe(Spelling& spelling) const override {
    if (to_ == " " && !from_.empty()) spelling.space = from_;
  }

 private:
  std::string place_, from_, to_;
  std::unique_ptr<const Normalizer> regex_;
};

class DecoderSequence final : public Decoder {
 public:
  explicit DecoderSequence(const Entry& entry) {
    for (const auto& item : entry.items("decoders")) {
      if (item.is_null()) item.refuse("a decoder is expected, not null");
      parts_.push_back(read_decoder(item));
    }
  }
  void apply(std::vector<std::string>& tokens, std::size_t most) const override {
    for (const auto& part : parts_) part->apply(tokens, most);
  }
  void describe(Spelling& spelling) const override {
    for (const auto& part : parts_) part->describe(spelling);
  }

 private:
  std::vector<std::unique_ptr<const Decoder>> parts_;
};

}  // namespace

Decoder::~Decoder() = default;

constexpr StepKeys kOldDecoders[] = {{"BPEDecoder", {"suffix"}},
                                     {"WordPiece", {"prefix", "cleanup"}},
                                     {"CTC", {"pad_token", "word_delimiter_token", "cleanup"}},
                                     {"Replace", {"pattern", "content"}},
                                     {"Strip", {"content", "start", "stop"}}};

std::unique_ptr<const Decoder> read_decoder(const Entry& entry) {
  if (entry.is_null()) return nullptr;
  const std::string type = entry.type(kOldDecoders);
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>(entry);
  if (type == "WordPiece") return std::make_unique<WordPieceDecoder>(entry);
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(entry);
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(entry);
  if (type == "CTC") return std::make_unique<CtcDecoder>(entry);
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return std::make_unique<StripDecoder>(entry);
  if (type == "Replace") return std::make_unique<ReplaceDecoder>(entry);
  if (type == "Sequence") return std::make_unique<DecoderSequence>(entry);
  entry.refuse(
      "a decoder of type " + backquoted(printable(type)) +
      " is not known; there are BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Sequence, "
      "Strip and WordPiece");
}

}  // namespace xp::pipeline
