#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>

#include "api/fitter.h"
#include "base/text.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace {

/// A text and its translation as numbers of words.
struct TextPair {
  std::vector<std::int32_t> from, to;
};

/// One side's words: number to writing.
struct WordList {
  std::vector<std::string> words;
  std::unordered_map<std::string, std::int32_t> ids;
  std::int32_t id(const std::string& word) {
    const auto [at, added] = ids.emplace(word, static_cast<std::int32_t>(words.size()));
    if (added) words.push_back(word);
    return at->second;
  }
};

/// Model of words f of one side given words e of the other: f_j comes from no word with chance `null`, else from e_i
/// with chance proportional to exp(-tension |i / n - j / m|); then t(f | e) (Brown et al. 1993, model 1; the prior of
/// Dyer, Chahuneau and Smith 2013). Fitted by expectation maximisation, t uniform at the start.
class Direction {
 public:
  struct Settings {
    double null = 0.08, tension = 4;
  };
  /// The pairs are read from `from` to `to`, or the other way around.
  Direction(const std::vector<TextPair>& pairs, bool backwards, std::size_t words_from, std::size_t words_to,
            Settings settings)
      : pairs_(pairs), backwards_(backwards), settings_(settings), begins_(words_from + 2) {
    std::vector<std::vector<std::int32_t>> met(words_from + 1);
    const auto meet = [](std::vector<std::int32_t>& list, std::int32_t f) {
      if (list.size() == list.capacity()) make_distinct(list);  // frequent words meet the same ones again and again
      list.push_back(f);
    };
    for (const auto& pair : pairs_)
      for (const auto f : to(pair)) {
        meet(met[0], f);
        for (const auto e : from(pair)) meet(met[static_cast<std::size_t>(e) + 1], f);
      }
    for (std::size_t e = 0; e < met.size(); ++e) {
      make_distinct(met[e]);
      words_.insert(words_.end(), met[e].begin(), met[e].end());
      begins_[e + 1] = words_.size();
      met[e] = {};
    }
    chances_.assign(words_.size(), 1.0 / static_cast<double>(words_to));
  }

  /// One step of expectation maximisation; gives the log-likelihood (nats) before it.
  double step() {
    std::vector<double> counts(chances_.size());
    double likelihood = 0;
    std::vector<Link> links;
    for (const auto& pair : pairs_)
      for (std::size_t j = 0; j < to(pair).size(); ++j) {
        double sum = 0;
        find_links(pair, j, links);
        for (const auto& link : links) sum += link.chance;
        likelihood += std::log(sum);
        for (const auto& link : links) counts[link.slot] += link.chance / sum;
      }
    for (std::size_t e = 0; e + 1 < begins_.size(); ++e) {
      double sum = 0;
      for (auto slot = begins_[e]; slot < begins_[e + 1]; ++slot) sum += counts[slot];
      for (auto slot = begins_[e]; slot < begins_[e + 1]; ++slot) chances_[slot] = sum > 0 ? counts[slot] / sum : 0;
    }
    return likelihood;
  }

  /// For each word of the pair's other side the likeliest place it comes from, -1: none. Equal ones: the first.
  std::vector<int> best(const TextPair& pair) const {
    std::vector<int> out;
    std::vector<Link> links;
    for (std::size_t j = 0; j < to(pair).size(); ++j) {
      find_links(pair, j, links);
      const auto most = std::max_element(links.begin(), links.end(),
                                         [](const Link& a, const Link& b) { return a.chance < b.chance; });
      out.push_back(static_cast<int>(most - links.begin()) - 1);
    }
    return out;
  }

 private:
  struct Link {
    std::size_t slot = 0;
    double chance = 0;  ///< prior times t
  };

  static void make_distinct(std::vector<std::int32_t>& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    if (list.size() > list.capacity() / 2) list.reserve(2 * list.capacity());
  }

  const std::vector<std::int32_t>& from(const TextPair& pair) const { return backwards_ ? pair.to : pair.from; }
  const std::vector<std::int32_t>& to(const TextPair& pair) const { return backwards_ ? pair.from : pair.to; }

  std::size_t slot(std::size_t e, std::int32_t f) const {
    const auto begin = words_.begin() + static_cast<std::ptrdiff_t>(begins_[e]),
               end = words_.begin() + static_cast<std::ptrdiff_t>(begins_[e + 1]);
    const auto at = std::lower_bound(begin, end, f);
    return at != end && *at == f ? static_cast<std::size_t>(at - words_.begin()) : words_.size();
  }

  /// No word first, then each place of the other side.
  void find_links(const TextPair& pair, std::size_t j, std::vector<Link>& links) const {
    const auto& e = from(pair);
    const auto f = to(pair)[j];
    const double place = static_cast<double>(j + 1) / static_cast<double>(to(pair).size());
    links.clear();
    links.push_back({slot(0, f), settings_.null});
    double sum = 0;
    for (std::size_t i = 0; i < e.size(); ++i) {
      const double distance = std::abs(static_cast<double>(i + 1) / static_cast<double>(e.size()) - place);
      links.push_back({slot(static_cast<std::size_t>(e[i]) + 1, f), std::exp(-settings_.tension * distance)});
      sum += links.back().chance;
    }
    for (std::size_t i = 1; i < links.size(); ++i) links[i].chance *= (1 - settings_.null) / sum;
    for (auto& link : links) link.chance *= chances_[link.slot];
  }

  const std::vector<TextPair>& pairs_;
  bool backwards_;
  Settings settings_;
  std::vector<std::size_t> begins_;  ///< where the words met by e begin; e = 0 is no word, then numbers of words + 1
  std::vector<std::int32_t> words_;
  std::vector<double> chances_;  ///< t(f | e) beside `words_`
};

enum class Symmetrise : std::uint8_t { intersection, grow_diag_final_and, merged };

/// Places of one side by places of the other.
class LinkTable {
 public:
  LinkTable(std::size_t rows, std::size_t columns)
      : set_(rows * columns), row_linked_(rows), column_linked_(columns) {}
  bool has(std::size_t row, std::size_t column) const { return set_[row * columns() + column]; }
  void add(std::size_t row, std::size_t column) {
    set_[row * columns() + column] = row_linked_[row] = column_linked_[column] = true;
  }
  bool row_linked(std::size_t row) const { return row_linked_[row]; }
  bool column_linked(std::size_t column) const { return column_linked_[column]; }
  std::size_t rows() const { return row_linked_.size(); }
  std::size_t columns() const { return column_linked_.size(); }

 private:
  std::vector<bool> set_, row_linked_, column_linked_;
};

/// Links of one direction that join two places which have none yet.
void add_final(LinkTable& links, const LinkTable& direction) {
  for (std::size_t r = 0; r < links.rows(); ++r)
    for (std::size_t c = 0; c < links.columns(); ++c)
      if (direction.has(r, c) && !links.row_linked(r) && !links.column_linked(c)) links.add(r, c);
}

/// Links that both directions have, joined by neighbours in either that reach a place without link, until none is
/// left (Koehn, Och and Marcu 2003).
LinkTable symmetric(const LinkTable& forwards, const LinkTable& backwards, Symmetrise how) {
  LinkTable links(forwards.rows(), forwards.columns());
  for (std::size_t r = 0; r < links.rows(); ++r)
    for (std::size_t c = 0; c < links.columns(); ++c)
      if (how == Symmetrise::merged ? forwards.has(r, c) || backwards.has(r, c)
                                    : forwards.has(r, c) && backwards.has(r, c))
        links.add(r, c);
  if (how != Symmetrise::grow_diag_final_and) return links;
  const auto grows = [&](std::size_t r, std::size_t c) {
    if (links.has(r, c) || !(forwards.has(r, c) || backwards.has(r, c))) return false;
    return !links.row_linked(r) || !links.column_linked(c);
  };
  for (bool grown = true; grown;) {
    grown = false;
    for (std::size_t r = 0; r < links.rows(); ++r)
      for (std::size_t c = 0; c < links.columns(); ++c) {
        if (!links.has(r, c)) continue;
        for (auto nr = r > 0 ? r - 1 : 0; nr < std::min(links.rows(), r + 2); ++nr)
          for (auto nc = c > 0 ? c - 1 : 0; nc < std::min(links.columns(), c + 2); ++nc)
            if (grows(nr, nc)) links.add(nr, nc), grown = true;
      }
  }
  add_final(links, forwards), add_final(links, backwards);
  return links;
}

/// How often a word of one language stands for a word of another, from texts and their translations.
class WordAlignment final : public xp::Fitter {
 public:
  struct Params {
    std::string source, target;
    std::int64_t epochs = 5, min_count = 1, max_words = 200;
    double null = 0.08, tension = 4;
    Symmetrise symmetrise = Symmetrise::grow_diag_final_and;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::source, "source", "One language of the texts (BCP 47).").required();
      f.add(&Params::target, "target", "The language of their translations, which share the text's group.")
          .required();
      f.add(&Params::epochs, "epochs", "Steps of expectation maximisation.").min(1).max(1000);
      f.add(&Params::null, "null", "Chance that a word comes from no word of the other text.").above(0).max(0.999);
      f.add(&Params::tension, "tension",
            "How much words prefer the same relative place: the prior falls as exp(-tension x distance); 0 is model "
            "1.")
          .min(0)
          .max(1000);
      f.add(&Params::symmetrise, "symmetrise", "How the two directions become one set of links.",
            {{"intersection", Symmetrise::intersection},
             {"grow_diag_final_and", Symmetrise::grow_diag_final_and},
             {"union", Symmetrise::merged}});
      f.add(&Params::min_count, "min_count", "Rarer pairs of words are left out.").min(1);
      f.add(&Params::max_words, "max_words", "Longer texts are left out: within them, places say little.")
          .min(1)
          .max(2000);
    }
  };
  explicit WordAlignment(Params params) : p_(std::move(params)) {
    if (p_.source == p_.target)
      throw xp::Error(
          "`source` and `target` are both " + xp::backquoted(p_.source) + "; words are aligned between two languages",
          xp::Exit::usage);
  }

  /// `source` and `target` words, `counts` of their links: by source word, most frequent first. `log_likelihood`
  /// [2, epochs]: nats of either direction before each step. `texts`: how many pairs were aligned.
  xp::State fit(const xp::DataSource& corpus, const xp::Encoder*, xp::Handle*,
                const xp::RandomStreams&) const override {
    WordList sources, targets;
    const auto pairs = read(corpus, sources, targets);
    const Direction::Settings settings{p_.null, p_.tension};
    Direction forwards(pairs, false, sources.words.size(), targets.words.size(), settings);
    Direction backwards(pairs, true, targets.words.size(), sources.words.size(), settings);
    xp::Floats likelihood{{}, {2, p_.epochs}};
    for (auto* direction : {&forwards, &backwards})
      for (std::int64_t epoch = 0; epoch < p_.epochs; ++epoch)
        likelihood.data.push_back(static_cast<float>(direction->step()));
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts;
    for (const auto& pair : pairs) count(pair, forwards.best(pair), backwards.best(pair), counts);
    auto state = state_of(counts, sources, targets);
    state.set("log_likelihood", std::move(likelihood)), state.set("texts", xp::Ints{{std::ssize(pairs)}});
    return state;
  }

 private:
  std::vector<TextPair> read(const xp::DataSource& corpus, WordList& sources, WordList& targets) const {
    struct Group {
      std::vector<std::vector<std::string>> sources, targets;
    };
    std::map<std::string, Group> groups;
    corpus.for_each([&](const xp::Document& document) {
      if (document.group.empty() || (document.language != p_.source && document.language != p_.target)) return;
      std::vector<std::string> words;
      for (const auto& [begin, end] : xp::word_spans(document.text))
        words.push_back(document.text.substr(begin, end - begin));
      auto& group = groups[document.group];
      (document.language == p_.source ? group.sources : group.targets).push_back(std::move(words));
    });
    std::vector<TextPair> pairs;
    std::size_t met = 0;
    const auto fits = [&](const auto& words) { return !words.empty() && std::ssize(words) <= p_.max_words; };
    for (const auto& [name, group] : groups)
      for (std::size_t i = 0; i < std::min(group.sources.size(), group.targets.size()); ++i) {
        ++met;
        if (!fits(group.sources[i]) || !fits(group.targets[i])) continue;
        auto& pair = pairs.emplace_back();
        for (const auto& word : group.sources[i]) pair.from.push_back(sources.id(word));
        for (const auto& word : group.targets[i]) pair.to.push_back(targets.id(word));
      }
    if (pairs.empty())
      throw xp::Error("of " + xp::count(met, "text") + " in both " + xp::backquoted(p_.source) + " and " +
                          xp::backquoted(p_.target) + " that share a group, none has 1 to " +
                          std::to_string(p_.max_words) + " words; give a corpus of short parallel texts",
                      xp::Exit::data);
    return pairs;
  }

  void count(const TextPair& pair, const std::vector<int>& from_of, const std::vector<int>& to_of,
             std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& counts) const {
    LinkTable forwards(pair.from.size(), pair.to.size()), backwards(pair.from.size(), pair.to.size());
    for (std::size_t j = 0; j < from_of.size(); ++j)
      if (from_of[j] >= 0) forwards.add(static_cast<std::size_t>(from_of[j]), j);
    for (std::size_t i = 0; i < to_of.size(); ++i)
      if (to_of[i] >= 0) backwards.add(i, static_cast<std::size_t>(to_of[i]));
    const auto links = symmetric(forwards, backwards, p_.symmetrise);
    for (std::size_t i = 0; i < links.rows(); ++i)
      for (std::size_t j = 0; j < links.columns(); ++j)
        if (links.has(i, j)) ++counts[{pair.from[i], pair.to[j]}];
  }

  xp::State state_of(const std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& counts,
                     const WordList& sources, const WordList& targets) const {
    struct Row {
      std::string_view source, target;
      std::int64_t count = 0;
    };
    std::vector<Row> rows;
    for (const auto& [words, n] : counts)
      if (n >= p_.min_count)
        rows.push_back({sources.words[static_cast<std::size_t>(words.first)],
                        targets.words[static_cast<std::size_t>(words.second)], n});
    if (rows.empty())
      throw xp::Error("no pair of words is linked " + xp::count(static_cast<std::size_t>(p_.min_count), "time") +
                          "; lower min_count",
                      xp::Exit::data);
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
      return std::tuple(a.source, -a.count, a.target) < std::tuple(b.source, -b.count, b.target);
    });
    xp::Strings left, right;
    xp::Ints numbers;
    for (const auto& row : rows)
      left.emplace_back(row.source), right.emplace_back(row.target), numbers.data.push_back(row.count);
    xp::State state;
    state.set("source", std::move(left)), state.set("target", std::move(right));
    state.set("counts", std::move(numbers));
    return state;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(word_alignment) {
  registry.add<WordAlignment>("word_alignment", "Counts of words that stand for each other in parallel texts.");
}
