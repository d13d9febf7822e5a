#include "kit/matching.h"

#include <unicode/unistr.h>

#include <array>
#include <unordered_map>
#include <unordered_set>

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
  /// `apart`: the target, too, has a token for the text alone beside those for the text at a word's start or inside.
  TokenId exact(WordStart start, bool apart) const {
    const auto own = by_start[static_cast<std::size_t>(start)];
    const auto alone = by_start[static_cast<std::size_t>(WordStart::unknown)];
    // A source that splits a text off writes it so wherever it stands, its "##," never.
    if (alone != kNone && !apart) return alone;
    if (own != kNone) return own;
    return start == WordStart::unknown ? any : alone;
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

TokenId look(const Index& index, const std::string& text, WordStart start, bool apart, bool any_start) {
  const auto found = index.find(text);
  if (found == index.end()) return kNone;
  const auto exact = found->second.exact(start, apart);
  return exact == kNone && any_start ? found->second.any : exact;
}

/// Texts that a vocabulary has a token for without saying whether it begins a word.
std::unordered_set<std::string> alone_in(const Encoder& encoder) {
  std::unordered_set<std::string> out;
  for (TokenId id = 0; id < encoder.size(); ++id)
    if (const auto key = encoder.key(id); key.kind != TokenKind::special && key.word_start == WordStart::unknown)
      out.insert(text_key(key));
  return out;
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
  std::unordered_map<std::string, TokenId> reserved;  // specials without a purpose that is known, by their text
  for (TokenId id = 0; id < source.size(); ++id) {
    const auto key = source.key(id);
    if (key.kind == TokenKind::special) {
      if (key.purpose.empty()) reserved.emplace(key.bytes, id);
      continue;
    }
    if (!plain[text_key(key)].add(id, key.word_start)) spelt.emplace(source.text(id), id);
    lower[folded(key)].add(id, key.word_start);
  }
  const auto alone = alone_in(target);
  std::vector<std::optional<Match>> out(static_cast<std::size_t>(target.size()));
  for (TokenId id = 0; id < target.size(); ++id) {
    const auto key = target.key(id);
    if (key.kind == TokenKind::special) {
      // "<s>" may serve for anything, but "<repo_name>", whose purpose nobody knows, is what it is called.
      const auto same = reserved.find(key.bytes);
      if (key.purpose.empty() && same != reserved.end())
        out[static_cast<std::size_t>(id)] = Match{same->second, MatchLevel::exact, false};
      continue;
    }
    const auto text = text_key(key);
    const bool apart = alone.contains(text);
    const auto alike = spelt.find(std::string(target.text(id)));
    const bool same = alike != spelt.end() && is_same(source.key(alike->second), key);
    for (const auto level : levels) {
      if (same && level == MatchLevel::exact) {
        out[static_cast<std::size_t>(id)] = Match{alike->second, level, false};
        break;
      }
      const bool fold = level == MatchLevel::casefold;
      const auto found =
          look(fold ? lower : plain, fold ? folded(key) : text, key.word_start, apart, level != MatchLevel::exact);
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
