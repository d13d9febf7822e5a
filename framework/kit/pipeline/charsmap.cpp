#include "kit/pipeline/charsmap.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "kit/pipeline/forms.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

// One unit of the double array: label and value share the low bits with flags, as Darts packs them.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFF; }
std::uint32_t label(std::uint32_t unit) { return unit & 0x800000FF; }
std::size_t offset(std::uint32_t unit) { return std::size_t{unit >> 10} << ((unit & 0x200) >> 6); }

constexpr std::size_t kClusterBytes = 6;  // longer clusters are looked up character by character

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Strictly as RFC 4648 has it: no blanks, padded, no bits left over. Gives false for anything else.
bool decode_base64(std::string_view text, std::string& out) {
  if (text.size() % 4 != 0) return false;
  std::size_t digits = text.size();
  while (digits > 0 && text.size() - digits < 2 && text[digits - 1] == '=') --digits;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text.substr(0, digits)) {
    const int digit = base64_digit(c);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(digit), held += 6;
    if (held >= 8) held -= 8, out += static_cast<char>(static_cast<unsigned char>(bits >> held & 0xFF));
  }
  return (bits & ((1U << held) - 1)) == 0;
}

int count_characters(std::string_view text) {
  int n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

// Writes what replacements take of the old text. The library counts a removed character to the last one that was
// written, so that one is held back; before the first there is none, and then every later character takes the place
// of an earlier one.
class Rewriter {
 public:
  explicit Rewriter(AlignedText& text) : text_(text), out_(text) {}

  // Bytes [begin, end) stay.
  void keep(std::size_t begin, std::size_t end) {
    if (begin == end) return;
    flush();
    if (out_.edit().at() == begin) {
      out_.keep(end);
    } else {
      for (std::size_t at = begin; at < end;) out_.put(next_char(text_.text(), at), 0);
    }
    last_ = Last::kept;
  }
  void replace(std::string_view before, std::string_view after) {
    const int old_count = count_characters(before), new_count = count_characters(after);
    int n = 0;
    for (std::size_t at = 0; at < after.size(); ++n) {
      flush();
      held_ = next_char(after, at), change_ = n >= old_count ? 1 : 0, last_ = Last::held;
    }
    if (new_count >= old_count) return;
    if (last_ == Last::held) change_ += new_count - old_count;
    if (last_ == Last::kept) out_.skip_characters(old_count - new_count);
  }
  // The old text's rest that no character took is gone.
  void finish() {
    flush();
    out_.edit().finish_here();
  }

 private:
  void flush() {
    if (last_ == Last::held) out_.put(held_, change_), last_ = Last::kept;
  }

  AlignedText& text_;
  Replay out_;
  enum class Last { none, held, kept } last_ = Last::none;
  char32_t held_ = 0;
  int change_ = 0;
};

}  // namespace

Charsmap::Charsmap(const std::string& base64, std::string place) : place_(std::move(place)) {
  std::string bytes;
  if (!decode_base64(base64, bytes)) broken("is not base64");
  if (bytes.size() < 4) broken("has " + count(bytes.size(), "byte") + "; it must begin with a size of 4 bytes");
  const auto word = [&](std::size_t at) {
    std::uint32_t out = 0;
    for (std::size_t i = 4; i-- > 0;) out = out << 8 | static_cast<unsigned char>(bytes[at + i]);
    return out;
  };
  const std::size_t units = word(0) / 4;
  if (units > (bytes.size() - 4) / 4)
    broken("says that its array has " + count(units, "unit") + ", but " + count(bytes.size() - 4, "byte") +
           " follow");
  if (units == 0) broken("has an empty array");
  units_.reserve(units);
  for (std::size_t i = 0; i < units; ++i) units_.push_back(word(4 + 4 * i));
  replacements_ = bytes.substr(4 + 4 * units);
  if (!is_utf8(replacements_)) broken("has replacements that are not UTF-8");
  for (int c = 0; c < 128; ++c) {
    const char one = static_cast<char>(c);
    plain_[c] = c != '\r' && !find({&one, 1});
  }
}

void Charsmap::broken(const std::string& what) const { throw Error(place_ + " " + what, Exit::data); }

std::string_view Charsmap::replacement(std::size_t at) const {
  if (at > replacements_.size() || (at < replacements_.size() && (replacements_[at] & '\xC0') == '\x80'))
    broken("points to byte " + std::to_string(at) + " of " + std::to_string(replacements_.size()) +
           " of its replacements");
  const std::string_view rest = std::string_view(replacements_).substr(at);
  return rest.substr(0, rest.find('\0'));
}

std::optional<std::string_view> Charsmap::find(std::string_view chunk) const {
  const auto unit = [&](std::size_t node) {
    if (node >= units_.size())
      broken("points to unit " + std::to_string(node) + " of " + std::to_string(units_.size()));
    return units_[node];
  };
  std::size_t node = offset(units_[0]);
  for (const char c : chunk) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    node ^= byte;
    const std::uint32_t here = unit(node);
    if (label(here) != byte) break;
    node ^= offset(here);
    if (has_leaf(here)) return replacement(value(unit(node)));
  }
  return std::nullopt;
}

bool Charsmap::begins(std::string_view text) const {
  std::size_t node = offset(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) return false;
    if (has_leaf(units_[node])) return true;
    node ^= offset(units_[node]);
  }
  return true;
}

void Charsmap::apply(AlignedText& text) const {
  const std::string_view old = text.text();
  std::optional<Rewriter> out;
  std::size_t kept = 0;  // before it everything is written
  const auto replace = [&](std::size_t begin, std::size_t end, std::string_view with) {
    if (!out) out.emplace(text);
    out->keep(kept, begin);
    out->replace(old.substr(begin, end - begin), with);
    kept = end;
  };
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(old[i]); };
  for (std::size_t at = 0; at < old.size();) {
    // ASCII before ASCII is a cluster of its own.
    if (is_plain(byte(at)) && (at + 1 == old.size() || byte(at + 1) < 0x80)) {
      ++at;
      continue;
    }
    const std::size_t end = cluster_end(old, at);
    if (end - at < kClusterBytes) {
      if (const auto with = find(old.substr(at, end - at))) {
        replace(at, end, *with), at = end;
        continue;
      }
    }
    while (at < end) {
      const std::size_t begin = at;
      next_char(old, at);
      if (const auto with = find(old.substr(begin, at - begin))) replace(begin, at, *with);
    }
  }
  if (!out) return;
  out->keep(kept, old.size());
  out->finish();
}

}  // namespace xp::pipeline
