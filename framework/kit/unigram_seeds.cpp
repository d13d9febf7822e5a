#include "kit/unigram_seeds.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "kit/unicode.h"

namespace xp {
namespace {

// Kinds of characters that never meet in one piece; scripts are numbers >= 0.
constexpr int kDigits = -2, kOther = -3, kCommonLetters = -4, kOpen = -5;

int kind_of(char32_t c, int before) {
  const bool joiner = c == 0x200C || c == 0x200D;
  if (is_mark(c) || joiner) return before == kOpen ? kCommonLetters : before;
  if (is_letter(c)) {
    const int script = script_of(c);
    if (script >= 0) return script;
    return before >= 0 ? before : kCommonLetters;
  }
  return is_number(c) ? kDigits : kOther;
}

using Numbers = std::unordered_map<char32_t, std::uint32_t>;

// Most frequent characters up to the coverage, but no more than half of the pieces; numbered by code point.
Numbers alphabet_of(const std::vector<WordCount>& words, const UnigramSettings& settings, UnigramText& out) {
  const char32_t mark = characters(settings.mark).at(0);
  auto counts = count_chars(words);
  std::erase_if(counts, [&](const CharCount& one) { return one.c == mark; });
  double total = 0, covered = 0;
  for (const auto& one : counts) total += static_cast<double>(one.count);
  out.alphabet = {mark};
  const std::size_t most = std::max<std::size_t>(1, settings.pieces / 2);
  for (const auto& one : counts) {
    if (covered >= settings.coverage * total || out.alphabet.size() >= most) break;
    covered += static_cast<double>(one.count);
    out.alphabet.push_back(one.c);
  }
  out.dropped_chars = counts.size() + 1 - out.alphabet.size();
  std::sort(out.alphabet.begin(), out.alphabet.end());
  Numbers numbers;
  for (std::size_t i = 0; i < out.alphabet.size(); ++i)
    numbers.emplace(out.alphabet[i], static_cast<std::uint32_t>(i));
  return numbers;
}

}  // namespace

UnigramText stretches_of(const std::vector<WordCount>& words, const UnigramSettings& settings) {
  UnigramText out;
  const Numbers numbers = alphabet_of(words, settings, out);
  const char32_t mark = characters(settings.mark).at(0);
  std::unordered_map<std::string_view, std::int64_t> stretches;
  for (const auto& [word, count] : words) {
    const std::string_view text = word;
    std::size_t begin = 0;
    int kind = kOpen;
    const auto close = [&](std::size_t end) {
      if (end > begin) stretches[text.substr(begin, end - begin)] += count;
      begin = end;
    };
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t from = at;
      const char32_t c = next_char(text, at);
      if (!numbers.contains(c)) {
        close(from), begin = at, kind = kOpen;
      } else if (c == mark) {
        close(from), kind = kOpen;
      } else if (const int now = settings.split_kinds ? kind_of(c, kind) : kOther; now != kind) {
        if (kind != kOpen) close(from);
        kind = now;
      }
    }
    close(text.size());
  }
  std::vector<std::pair<std::string_view, std::int64_t>> sorted(stretches.begin(), stretches.end());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [text, count] : sorted) {
    out.begins.push_back(static_cast<std::uint32_t>(out.chars.size()));
    out.counts.push_back(count);
    for (std::size_t at = 0; at < text.size();) out.chars.push_back(numbers.at(next_char(text, at)));
    if (out.chars.size() > std::numeric_limits<std::uint32_t>::max() / 2)
      throw Error("the corpus has more than 2^31 characters in distinct words; fit on a sample of it", Exit::data);
  }
  out.begins.push_back(static_cast<std::uint32_t>(out.chars.size()));
  return out;
}

namespace {

constexpr int kCharsPerKey = 3, kBitsPerChar = 21;

// All places of the text sorted by the (at most max_chars) characters that follow in their stretch.
class SortedPlaces {
 public:
  SortedPlaces(const UnigramText& text, std::uint32_t max_chars) : text_(text), room_(text.chars.size()) {
    for (std::size_t s = 0; s + 1 < text.begins.size(); ++s)
      for (std::uint32_t i = text.begins[s]; i < text.begins[s + 1]; ++i)
        room_[i] = std::min(max_chars, text.begins[s + 1] - i);
    places_.resize(text.chars.size());
    for (std::uint32_t i = 0; i < places_.size(); ++i) places_[i] = {key(i, 0), i};
    sort(0, places_.size(), 0);
  }

  std::size_t size() const { return places_.size(); }
  std::uint32_t place(std::size_t i) const { return places_[i].place; }
  std::uint32_t room(std::uint32_t place) const { return room_[place]; }
  std::uint32_t common(std::uint32_t a, std::uint32_t b) const {
    const std::uint32_t most = std::min(room_[a], room_[b]);
    std::uint32_t n = 0;
    while (n < most && text_.chars[a + n] == text_.chars[b + n]) ++n;
    return n;
  }

 private:
  struct Place {
    std::uint64_t key;
    std::uint32_t place;
    bool operator<(const Place& other) const { return key != other.key ? key < other.key : place < other.place; }
  };

  std::uint64_t key(std::uint32_t place, std::uint32_t depth) const {
    std::uint64_t out = 0;
    for (std::uint32_t i = depth; i < depth + kCharsPerKey; ++i)
      out = out << kBitsPerChar | (i < room_[place] ? text_.chars[place + i] + 1 : 0);
    return out;
  }

  void sort(std::size_t from, std::size_t to, std::uint32_t depth) {
    const auto at = [&](std::size_t i) { return places_.begin() + static_cast<std::ptrdiff_t>(i); };
    std::sort(at(from), at(to));
    for (std::size_t i = from; i < to;) {
      std::size_t end = i + 1;
      while (end < to && places_[end].key == places_[i].key) ++end;
      const bool ended = (places_[i].key & ((1u << kBitsPerChar) - 1)) == 0;
      if (end - i > 1 && !ended) {
        for (std::size_t k = i; k < end; ++k) places_[k].key = key(places_[k].place, depth + kCharsPerKey);
        sort(i, end, depth + kCharsPerKey);
      }
      i = end;
    }
  }

  const UnigramText& text_;
  std::vector<std::uint32_t> room_;
  std::vector<Place> places_;
};

// A substring that is followed by different things (or ends): a node of the suffix tree.
struct Interval {
  std::uint32_t from, to;  // of sorted places
  std::uint32_t length;
  std::int64_t count;
};

std::vector<std::int64_t> counts_by_place(const UnigramText& text) {
  std::vector<std::int64_t> out(text.chars.size());
  for (std::size_t s = 0; s + 1 < text.begins.size(); ++s)
    for (std::uint32_t i = text.begins[s]; i < text.begins[s + 1]; ++i) out[i] = text.counts[s];
  return out;
}

std::vector<Interval> repeated(const UnigramText& text, const SortedPlaces& sorted) {
  const auto counts = counts_by_place(text);
  std::vector<Interval> open, out;
  const auto size = static_cast<std::uint32_t>(sorted.size());
  for (std::uint32_t i = 0; i <= size; ++i) {
    const std::uint32_t common = i > 0 && i < size ? sorted.common(sorted.place(i - 1), sorted.place(i)) : 0;
    std::uint32_t from = i;
    std::int64_t count = 0;
    while (!open.empty() && open.back().length > common) {
      auto closed = open.back();
      open.pop_back();
      closed.to = i, closed.count += count;
      from = closed.from, count = closed.count;
      if (closed.count >= 2 && closed.length >= 2) out.push_back(closed);
    }
    if (i == size) break;
    if (!open.empty() && open.back().length == common) {
      open.back().count += count;
    } else if (common > 0) {
      open.push_back({from, 0, common, count});
    }
    const std::uint32_t room = sorted.room(sorted.place(i));
    if (!open.empty() && open.back().length == room) {
      open.back().count += counts[sorted.place(i)];
    } else {
      open.push_back({i, 0, room, counts[sorted.place(i)]});
    }
  }
  return out;
}

// The `most` of them with the highest counts times lengths, in the order of their texts.
void select(std::vector<Interval>& found, std::size_t most) {
  const auto weight = [](const Interval& one) { return static_cast<double>(one.count) * one.length; };
  const auto by_text = [](const Interval& a, const Interval& b) {
    return a.from != b.from ? a.from < b.from : a.length < b.length;
  };
  if (found.size() > most) {
    std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(most), found.end(),
                     [&](const Interval& a, const Interval& b) {
                       return weight(a) != weight(b) ? weight(a) > weight(b) : by_text(a, b);
                     });
    found.resize(most);
  }
  std::sort(found.begin(), found.end(), by_text);
}

// visit(i, numbers) for each sorted place with the intervals that it lies in, the shortest first: one lies within the
// other.
template <class Visit>
void each_place(const std::vector<Interval>& found, std::size_t places, Visit visit) {
  std::vector<std::uint32_t> open;
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < places; ++i) {
    while (!open.empty() && found[open.back()].to <= i) open.pop_back();
    while (next < found.size() && found[next].from == i) open.push_back(next++);
    visit(i, open);
  }
}

}  // namespace

UnigramLattice seeds_of(const UnigramText& text, const UnigramSettings& settings) {
  const SortedPlaces sorted(text, static_cast<std::uint32_t>(settings.max_chars));
  auto found = repeated(text, sorted);
  select(found, std::min(settings.seeds, kMostUnigramSeeds));

  UnigramLattice out;
  const auto singles = static_cast<std::uint32_t>(text.alphabet.size());
  out.seeds.resize(singles);
  for (std::size_t s = 0; s + 1 < text.begins.size(); ++s)
    for (std::uint32_t i = text.begins[s]; i < text.begins[s + 1]; ++i) {
      auto& seed = out.seeds[text.chars[i]];
      seed.at = i, seed.length = 1, seed.weight += static_cast<double>(text.counts[s]);
    }
  for (const auto& one : found)
    out.seeds.push_back({sorted.place(one.from), one.length, static_cast<double>(one.count) * one.length});
  out.first.assign(text.chars.size() + 1, 0);
  each_place(found, sorted.size(),
             [&](std::size_t i, const auto& open) { out.first[sorted.place(i) + 1] = 1 + open.size(); });
  for (std::size_t i = 1; i < out.first.size(); ++i) out.first[i] += out.first[i - 1];
  out.edges.resize(out.first.back());
  each_place(found, sorted.size(), [&](std::size_t i, const auto& open) {
    constexpr std::size_t kAhead = 8;  // sorted places lie all over the text
    if (i + 2 * kAhead < sorted.size()) {
      __builtin_prefetch(&out.first[sorted.place(i + 2 * kAhead)]);
      __builtin_prefetch(&out.edges[out.first[sorted.place(i + kAhead)]], 1);
    }
    const std::uint32_t place = sorted.place(i);
    auto* to = &out.edges[out.first[place]];
    *to++ = {text.chars[place], 1};
    for (const std::uint32_t one : open) *to++ = {singles + one, found[one].length};
  });
  return out;
}

}  // namespace xp
