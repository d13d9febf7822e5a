#include "corpus.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "api/tokenizer.h"
#include "base/text.h"
#include "kit/unicode.h"

namespace xp::skipgram {
namespace {

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using Numbers = std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>>;
using Groups = std::map<std::string, std::vector<std::int32_t>>;

/// Words in order of appearance, and how often each was seen.
struct Seen {
  std::vector<const std::string*> words;
  std::vector<std::int64_t> counts;
};

void read_texts(Corpus& corpus, const DataSource& source, const Encoder* encoder, Numbers& numbers, Seen& seen,
                Groups& by_group) {
  source.for_each([&](const Document& document) {
    Text text{.words = {}, .group = -1, .language = document.language};
    const auto add = [&](std::string_view word) {
      auto at = numbers.find(word);
      if (at == numbers.end()) {
        at = numbers.emplace(word, static_cast<std::int32_t>(numbers.size())).first;
        seen.words.push_back(&at->first), seen.counts.push_back(0);
      }
      ++seen.counts[static_cast<std::size_t>(at->second)];
      text.words.push_back(at->second);
    };
    if (encoder)
      for (const auto& token : encoder->encode(document.text)) add(encoder->text(token.id));
    else
      for (const auto& [begin, end] : word_spans(document.text))
        add(std::string_view(document.text).substr(begin, end - begin));
    if (!document.group.empty()) by_group[document.group].push_back(static_cast<std::int32_t>(corpus.texts.size()));
    corpus.texts.push_back(std::move(text));
  });
}

/// Numbers words by falling count, equal ones by their bytes, and drops rare ones from the texts.
void renumber(Corpus& corpus, const Seen& seen, std::int64_t min_count) {
  std::vector<std::int32_t> order;
  for (std::size_t w = 0; w < seen.words.size(); ++w)
    if (seen.counts[w] >= min_count) order.push_back(static_cast<std::int32_t>(w));
  if (order.empty())
    throw Error("no word occurs " + count(static_cast<std::size_t>(min_count), "time") + "; lower min_count",
                Exit::data);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const auto i = static_cast<std::size_t>(a), j = static_cast<std::size_t>(b);
    return seen.counts[i] != seen.counts[j] ? seen.counts[i] > seen.counts[j] : *seen.words[i] < *seen.words[j];
  });
  std::vector<std::int32_t> renumbered(seen.words.size(), -1);
  for (const auto w : order) {
    renumbered[static_cast<std::size_t>(w)] = static_cast<std::int32_t>(corpus.words.size());
    corpus.words.push_back(*seen.words[static_cast<std::size_t>(w)]);
    corpus.tokens += corpus.counts.emplace_back(seen.counts[static_cast<std::size_t>(w)]);
  }
  for (auto& text : corpus.texts) {
    for (auto& word : text.words) word = renumbered[static_cast<std::size_t>(word)];
    std::erase(text.words, -1);
  }
}

void find_translations(Corpus& corpus, const Groups& by_group) {
  for (const auto& [name, texts] : by_group) {
    const auto language = [&](std::int32_t t) { return corpus.texts[static_cast<std::size_t>(t)].language; };
    if (std::all_of(texts.begin(), texts.end(), [&](auto t) { return language(t) == language(texts.front()); }))
      continue;
    for (const auto t : texts)
      corpus.texts[static_cast<std::size_t>(t)].group = static_cast<std::int32_t>(corpus.groups.size());
    corpus.groups.push_back(texts);
  }
}

// Small enough for a core's own cache, which a list of words repeated by frequency is not.
std::vector<Draw> alias_table(const std::vector<std::int64_t>& counts) {
  std::vector<double> share;
  double mass = 0;
  for (const auto count : counts) mass += share.emplace_back(std::pow(static_cast<double>(count), 0.75));
  std::vector<std::int32_t> below, above;
  for (std::size_t w = 0; w < share.size(); ++w) {
    share[w] *= static_cast<double>(share.size()) / mass;
    (share[w] < 1 ? below : above).push_back(static_cast<std::int32_t>(w));
  }
  std::vector<Draw> table(share.size());
  while (!below.empty() && !above.empty()) {
    const auto low = static_cast<std::size_t>(below.back()), high = static_cast<std::size_t>(above.back());
    below.pop_back();
    table[low] = {.own = static_cast<float>(share[low]), .other = static_cast<std::int32_t>(high)};
    share[high] -= 1 - share[low];
    if (share[high] < 1) above.pop_back(), below.push_back(static_cast<std::int32_t>(high));
  }
  return table;
}

/// Gives numbers to rows when they are first used, so that those of frequent words lie together in memory.
class Rows {
 public:
  explicit Rows(const Settings& settings)
      : p_(settings), of_bucket_(static_cast<std::size_t>(settings.buckets), -1) {}

  std::vector<std::int32_t> of(const std::string& word) {
    std::vector<std::int32_t> out{count_++};
    if (p_.min_n == 0 || !is_utf8(word)) return out;
    const auto letters = characters("<" + word + ">");
    for (std::size_t begin = 0; begin < letters.size(); ++begin) {
      std::string gram;
      for (std::size_t end = begin; end < letters.size() && end - begin < static_cast<std::size_t>(p_.max_n); ++end) {
        append_char(gram, letters[end]);
        const auto length = end - begin + 1;
        if (length >= static_cast<std::size_t>(p_.min_n) && length < letters.size()) out.push_back(of_gram(gram));
      }
    }
    return out;
  }
  std::int32_t count() const { return count_; }

 private:
  std::int32_t of_gram(const std::string& gram) {
    std::uint64_t hash = 1469598103934665603ull;  // FNV-1a, as good as any and the same everywhere
    for (const char c : gram) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    auto& row = of_bucket_[hash % of_bucket_.size()];
    if (row < 0) row = count_++;
    return row;
  }

  const Settings& p_;
  std::vector<std::int32_t> of_bucket_;
  std::int32_t count_ = 0;
};

}  // namespace

std::int32_t Corpus::drawn(RandomStream& stream) const {
  const auto bits = stream.next();  // the upper half picks the column, the lower one decides in it
  const auto column = static_cast<std::size_t>(((bits >> 32) * noise.size()) >> 32);
  const auto& draw = noise[column];
  return static_cast<float>(bits & 0xFFFFFFu) * 0x1p-24F < draw.own ? static_cast<std::int32_t>(column) : draw.other;
}

Corpus read_corpus(const DataSource& source, const Encoder* encoder, const Settings& settings) {
  Corpus corpus;
  Numbers numbers;
  Seen seen;
  Groups by_group;
  read_texts(corpus, source, encoder, numbers, seen, by_group);
  renumber(corpus, seen, settings.min_count);
  find_translations(corpus, by_group);
  corpus.noise = alias_table(corpus.counts);
  Rows rows(settings);
  for (std::size_t w = 0; w < corpus.words.size(); ++w) {
    corpus.parts.push_back(rows.of(corpus.words[w]));
    const double share = static_cast<double>(corpus.counts[w]) / static_cast<double>(corpus.tokens);
    const double ratio = settings.sample / share;
    corpus.keep.push_back(settings.sample > 0 ? static_cast<float>(std::min(1.0, std::sqrt(ratio) + ratio)) : 1.0F);
  }
  corpus.rows = static_cast<std::size_t>(rows.count());
  return corpus;
}

}  // namespace xp::skipgram
