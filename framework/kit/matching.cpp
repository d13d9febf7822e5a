#include "kit/matching.h"

#include <unicode/unistr.h>

#include <array>
#include <unordered_map>

#include "base/text.h"

namespace xp {
namespace {

constexpr TokenId kNone = -1;

/// Lowest source id of a text by word start, text tokens before byte tokens.
struct Homonyms {
  std::array<TokenId, 3> by_start{kNone, kNone, kNone};  ///< indexed by WordStart
  TokenId any = kNone;

  /// False if a token before has the same text and word start.
  bool add(TokenId id, WordStart start) {
    auto& own = by_start[static_cast<std::size_t>(start)];
    const bool first = own == kNone;
    if (first) own = id;
    if (any == kNone) any = id;
    return first;
  }
  TokenId exact(WordStart start) const {
    const auto own = by_start[static_cast<std::size_t>(start)];
    if (own != kNone) return own;
    if (start == WordStart::unknown) return any;
    return by_start[static_cast<std::size_t>(WordStart::unknown)];
  }
};

using Index = std::unordered_map<std::string, Homonyms>;

// A byte token and a text token of the same byte are different things.
std::string text_key(const TokenKey& key) { return (key.kind == TokenKind::byte ? "\x01" : "\x02") + key.bytes; }

std::string folded(const TokenKey& key) {
  if (key.kind == TokenKind::byte || !is_utf8(key.bytes)) return text_key(key);
  std::string out;
  icu::UnicodeString::fromUTF8(key.bytes).foldCase().toUTF8String(out);
  return "\x02" + out;
}

bool is_same(const TokenKey& a, const TokenKey& b) {
  return a.kind == b.kind && a.bytes == b.bytes && a.word_start == b.word_start;
}

TokenId look(const Index& index, const std::string& text, WordStart start, bool any_start) {
  const auto found = index.find(text);
  if (found == index.end()) return kNone;
  return any_start ? found->second.any : found->second.exact(start);
}

}  // namespace

std::string_view match_name(MatchLevel level) {
  switch (level) {
    case MatchLevel::exact: return "exact";
    case MatchLevel::word_start: return "word_start";
    case MatchLevel::casefold: return "casefold";
  }
  return {};
}

std::vector<std::optional<Match>> match_vocabularies(const Encoder& source, const Encoder& target,
                                                     const std::vector<MatchLevel>& levels) {
  Index plain, lower;
  // Tokens that only their spelling tells from one before, as with marks of a word's end: "a" and "a</w>".
  std::unordered_map<std::string, TokenId> spelt;
  for (TokenId id = 0; id < source.size(); ++id) {
    const auto key = source.key(id);
    if (key.kind == TokenKind::special) continue;
    if (!plain[text_key(key)].add(id, key.word_start)) spelt.emplace(source.text(id), id);
    lower[folded(key)].add(id, key.word_start);
  }
  std::vector<std::optional<Match>> out(static_cast<std::size_t>(target.size()));
  for (TokenId id = 0; id < target.size(); ++id) {
    const auto key = target.key(id);
    if (key.kind == TokenKind::special) continue;
    const auto alike = spelt.find(std::string(target.text(id)));
    const bool same = alike != spelt.end() && is_same(source.key(alike->second), key);
    for (const auto level : levels) {
      if (same && level == MatchLevel::exact) {
        out[static_cast<std::size_t>(id)] = Match{alike->second, level, false};
        break;
      }
      const bool fold = level == MatchLevel::casefold;
      const auto found =
          look(fold ? lower : plain, fold ? folded(key) : text_key(key), key.word_start, level != MatchLevel::exact);
      if (found == kNone) continue;
      out[static_cast<std::size_t>(id)] = Match{found, level, false};
      break;
    }
  }
  for (const auto& [purpose, id] : target.purposes())
    if (const auto found = source.purposes().find(purpose); found != source.purposes().end())
      out[static_cast<std::size_t>(id)] = Match{found->second, MatchLevel::exact, true};
  return out;
}

}  // namespace xp
