#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "api/stage.h"
#include "base/file.h"
#include "base/text.h"
#include "kit/document_decisions.h"
#include "kit/document_json.h"
#include "kit/paragraphs.h"
#include "kit/plain_words.h"
#include "kit/word_counts.h"
#include "plugin/plugin.h"

namespace {

using Hash = std::uint64_t;
using Hashes = std::vector<Hash>;

Hash hash_of(std::string_view text) {
  Hash out = 0xCBF29CE484222325ull;  // FNV-1a
  for (const char c : text) out = (out ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return xp::RandomStream::mix(out);
}

/// The runs of n words of a text, told apart by 64-bit hashes; a shorter text is one run, and one without words is
/// told apart by its bytes.
void add_shingles(std::string_view text, std::size_t n, Hashes& out) {
  Hashes words;
  for (const auto& word : xp::plain_words(text)) words.push_back(hash_of(word));
  if (words.empty()) return out.push_back(hash_of(text));
  const auto width = std::min(n, words.size());
  for (std::size_t i = 0; i + width <= words.size(); ++i) {
    Hash run = width;
    for (std::size_t w = 0; w < width; ++w) run = xp::RandomStream::mix(run + xp::RandomStream::kStep) ^ words[i + w];
    out.push_back(xp::RandomStream::mix(run));
  }
}

double jaccard(const Hashes& a, const Hashes& b) {
  std::size_t both = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j)
      ++both, ++i, ++j;
    else if (*i < *j)
      ++i;
    else
      ++j;
  }
  return static_cast<double>(both) / static_cast<double>(a.size() + b.size() - both);
}

/// What is decided on as one: a document, or those of a group.
struct Unit {
  std::vector<std::size_t> members;
  Hashes shingles = {};         ///< sorted, each once
  double score = 0;             ///< the largest similarity to another that was found
  std::size_t like = SIZE_MAX;  ///< that other
};

class Clusters {
 public:
  explicit Clusters(std::size_t n) : parent_(n) {
    for (std::size_t i = 0; i < n; ++i) parent_[i] = i;
  }
  /// The first of the cluster.
  std::size_t first(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void unite(std::size_t a, std::size_t b) {
    a = first(a), b = first(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parent_;
};

constexpr std::size_t kNever = SIZE_MAX;

/// Which documents said what first.
class Said {
 public:
  explicit Said(std::size_t documents) : unit_of_(documents) {}

  /// For each paragraph of the unit's documents: the document of another unit that said it before, or its own
  /// document if that did, or kNever. Documents of one unit may say the same.
  std::vector<std::vector<std::size_t>> look(std::size_t unit, const std::vector<std::size_t>& members,
                                             const std::vector<std::vector<std::string>>& words) {
    last_.clear();
    std::vector<std::vector<std::size_t>> out;
    for (const auto d : members) {
      unit_of_[d] = unit;
      auto& before = out.emplace_back();
      for (const auto& text : words[d]) {
        before.push_back(kNever);
        if (text.empty()) continue;
        const auto [at, is_new] = first_.emplace(text, d);
        if (is_new)
          last_.push_back(&text);
        else if (unit_of_[at->second] != unit || at->second == d)
          before.back() = at->second;
      }
    }
    return out;
  }

  /// As if what the unit before was the first to say had not been said.
  void forget_last() {
    for (const auto* text : last_) first_.erase(*text);
  }

 private:
  std::unordered_map<std::string, std::size_t> first_;
  std::vector<std::size_t> unit_of_;
  std::vector<const std::string*> last_;
};

/// Drops documents that share most of their word n-grams with an earlier one, and paragraphs that an earlier document
/// has too. Candidates are found by MinHash signatures in bands (Broder 1997; a pair of Jaccard similarity s is found
/// with probability 1 - (1 - s^rows)^bands) and compared by all their n-grams; of each connected cluster the first
/// stays. Splits are no matter here: what is left has the groups and splits that it had, `against` names what it must
/// not repeat. `decisions.jsonl` says what was decided.
class Deduplicate final : public xp::Stage {
 public:
  enum class Groups : std::uint8_t { together, apart };
  struct Params {
    xp::Reference corpus;
    std::vector<xp::Reference> against;
    bool near_duplicates = true, paragraphs = false;
    double similarity = 0.8;
    std::int64_t ngram = 5, bands = 20, rows = 5, paragraph_words = 5;
    Groups groups = Groups::together;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::corpus, "corpus", "Documents that are made distinct.").artifact("dataset").required();
      f.add(&Params::against, "against",
            "Datasets that come before the corpus and are no part of the output, such as text to measure on.")
          .artifact("dataset")
          .evaluates();
      f.add(&Params::near_duplicates, "near_duplicates", "Whether documents that are nearly the same go.");
      f.add(&Params::similarity, "similarity",
            "Jaccard similarity of the word n-grams from which two documents are nearly the same.")
          .above(0)
          .max(1);
      f.add(&Params::ngram, "ngram", "Words of an n-gram, in lower case and without signs.").min(1).max(1000);
      f.add(&Params::bands, "bands", "Bands of a signature: more find more pairs.").min(1).max(1000);
      f.add(&Params::rows, "rows", "Hashes of a band: more compare fewer pairs in vain.").min(1).max(100);
      f.add(&Params::paragraphs, "paragraphs",
            "Whether paragraphs go that stood before with the same words, whatever case, signs and line breaks.");
      f.add(&Params::paragraph_words, "paragraph_words", "Shorter paragraphs stay, however often they come.").min(1);
      f.add(
          &Params::groups, "groups",
          "Whether documents of one group stay or go together, or each by itself, as where equal texts are a group.",
          {{"together", Groups::together}, {"apart", Groups::apart}});
      f.gives("output", "dataset", "dataset");
      f.gives("metric", "documents", "documents");
      f.gives("metric", "text_bytes", "bytes");
      f.gives("metric", "kept", "share");
      f.gives("metric", "kept.near_duplicates", "share", {{"near_duplicates", {"true"}}});
      f.gives("metric", "kept.paragraphs", "share", {{"paragraphs", {"true"}}});
    }
  };
  explicit Deduplicate(Params params) : p_(std::move(params)) {
    if (!p_.near_duplicates && !p_.paragraphs)
      throw xp::Error("neither `near_duplicates` nor `paragraphs` is asked for, so nothing would go",
                      xp::Exit::usage);
  }

  void run(xp::StageContext& context) override {
    Work work{context};
    for (const auto& other : p_.against) {
      auto more = xp::distinct_documents(*context.documents(other), other.text);
      std::move(more.begin(), more.end(), std::back_inserter(work.documents));
    }
    work.outside = work.documents.size();
    auto own = xp::distinct_documents(*context.documents(p_.corpus), p_.corpus.text);
    const auto before = static_cast<double>(own.size());
    // Groups of the corpus have nothing to do with those of `against`.
    for (std::size_t i = 0; i < work.outside; ++i) work.units.push_back({{i}});
    for (auto& members : xp::decided_as_one(own, p_.groups == Groups::together)) {
      for (auto& i : members) i += work.outside;
      work.units.push_back({std::move(members)});
    }
    std::move(own.begin(), own.end(), std::back_inserter(work.documents));
    work.stays.assign(work.documents.size(), true);
    if (p_.near_duplicates) drop_near_duplicates(work);
    if (p_.paragraphs) cut_paragraphs(work);
    write(work, before);
  }

 private:
  struct Work {
    xp::StageContext& context;
    std::vector<xp::Document> documents = {};  ///< those of `against` first
    std::size_t outside = 0;                   ///< how many are
    std::vector<Unit> units = {};              ///< in the order of their first documents
    std::vector<bool> stays = {};              ///< of each document
    std::string log = {};

    bool is_outside(const Unit& unit) const { return unit.members.front() < outside; }
    const std::string& id(std::size_t unit) const { return documents[units[unit].members.front()].id; }
  };

  /// One key for each band: equal keys make two units candidates.
  Hashes band_keys(const Hashes& shingles) const {
    Hashes keys;
    Hash number = 0;
    for (std::int64_t band = 0; band < p_.bands; ++band) {
      Hash key = 0;
      for (std::int64_t row = 0; row < p_.rows; ++row) {
        const Hash seed = xp::RandomStream::mix(++number * xp::RandomStream::kStep);
        Hash least = ~Hash{0};
        for (const auto shingle : shingles) least = std::min(least, xp::RandomStream::mix(shingle ^ seed));
        key = xp::RandomStream::mix(key + xp::RandomStream::kStep) ^ least;
      }
      keys.push_back(key);
    }
    return keys;
  }

  void drop_near_duplicates(Work& work) const {
    auto& units = work.units;
    std::vector<Hashes> keys(units.size());
    constexpr std::size_t kBlock = 1024;  // between two looks at whether to stop
    for (std::size_t begin = 0; begin < units.size(); begin += kBlock) {
      work.context.progress(static_cast<double>(begin), static_cast<double>(units.size()), "hashing");
      xp::run_parallel(std::min(kBlock, units.size() - begin), work.context.threads(), [&](std::size_t i) {
        auto& unit = units[begin + i];
        for (const auto d : unit.members)
          add_shingles(work.documents[d].text, static_cast<std::size_t>(p_.ngram), unit.shingles);
        std::sort(unit.shingles.begin(), unit.shingles.end());
        unit.shingles.erase(std::unique(unit.shingles.begin(), unit.shingles.end()), unit.shingles.end());
        keys[begin + i] = band_keys(unit.shingles);
      });
    }
    Clusters clusters(units.size());
    compare_candidates(work, keys, clusters);
    double all = 0, kept = 0;
    for (std::size_t u = 0; u < units.size(); ++u) {
      const bool stays = clusters.first(u) == u;
      for (const auto d : units[u].members) {
        work.stays[d] = stays;
        if (work.is_outside(units[u])) continue;
        ++all, kept += stays;
        work.log +=
            xp::decision_line({.id = work.documents[d].id,
                               .group = units[u].members.size() > 1 ? work.documents[d].group : std::string(),
                               .rule = "near_duplicates",
                               .score = units[u].score,
                               .kept = stays,
                               .like = units[u].score >= p_.similarity ? work.id(units[u].like) : std::string()});
      }
    }
    work.context.recorder().metric("kept.near_duplicates", kept / all, {.unit = "share"});
  }

  /// Unites units that are similar enough. Those with the same n-grams are united first and compared as one, so that
  /// a text that stands a thousand times makes no million pairs.
  void compare_candidates(Work& work, const std::vector<Hashes>& keys, Clusters& clusters) const {
    auto& units = work.units;
    const auto found = [&](std::size_t a, std::size_t b, double score) {
      if (score > units[a].score) units[a].score = score, units[a].like = b;
      if (score > units[b].score) units[b].score = score, units[b].like = a;
      if (score >= p_.similarity) clusters.unite(a, b);
    };
    std::map<Hashes, std::size_t> known;
    std::vector<std::size_t> distinct;
    for (std::size_t u = 0; u < units.size(); ++u) {
      const auto [at, is_new] = known.emplace(units[u].shingles, u);
      if (is_new)
        distinct.push_back(u);
      else
        found(at->second, u, 1);
    }
    std::unordered_set<Hash> compared;
    for (std::size_t band = 0; band < static_cast<std::size_t>(p_.bands); ++band) {
      work.context.progress(static_cast<double>(band), static_cast<double>(p_.bands), "comparing");
      std::unordered_map<Hash, std::vector<std::size_t>> buckets;
      for (const auto u : distinct) {
        auto& bucket = buckets[keys[u][band]];
        for (const auto other : bucket)
          if (clusters.first(other) != clusters.first(u) && compared.insert(Hash{other} << 32 | u).second)
            found(other, u, jaccard(units[other].shingles, units[u].shingles));
        bucket.push_back(u);
      }
    }
  }

  /// Cuts what stood before. A unit of which one document would have nothing left goes, and what it alone says counts
  /// as not yet said.
  void cut_paragraphs(Work& work) const {
    const auto n = work.documents.size();
    std::vector<std::vector<xp::TextSpan>> spans(n);
    std::vector<std::vector<std::string>> words(n);  // of each paragraph, joined; empty: never cut
    xp::run_parallel(n, work.context.threads(), [&](std::size_t d) {
      spans[d] = xp::paragraphs_of(work.documents[d]);
      for (const auto& [begin, end] : spans[d]) {
        const auto all = xp::plain_words(std::string_view(work.documents[d].text).substr(begin, end - begin));
        words[d].push_back(std::ssize(all) < p_.paragraph_words ? std::string() : xp::join(all, " "));
      }
    });
    Said said(n);
    double all = 0, stayed = 0;
    for (std::size_t u = 0; u < work.units.size(); ++u) {
      const auto& unit = work.units[u];
      if (!work.stays[unit.members.front()]) continue;
      const auto before = said.look(u, unit.members, words);
      if (work.is_outside(unit)) continue;
      const bool whole = std::none_of(before.begin(), before.end(), [](const auto& paragraphs) {
        return !paragraphs.empty() && std::find(paragraphs.begin(), paragraphs.end(), kNever) == paragraphs.end();
      });
      if (!whole) said.forget_last();
      for (std::size_t m = 0; m < unit.members.size(); ++m) {
        const auto d = unit.members[m];
        std::vector<bool> kept;
        for (std::size_t p = 0; p < before[m].size(); ++p) {
          const auto where = before[m][p];
          kept.push_back(where == kNever);
          work.log += xp::decision_line({.id = work.documents[d].id,
                                         .paragraph = p,
                                         .rule = "paragraphs",
                                         .score = kept[p] ? 0.0 : 1.0,
                                         .kept = kept[p] && whole,
                                         .like = kept[p] ? std::string() : work.documents[where].id});
          ++all, stayed += kept[p] && whole;
        }
        work.stays[d] = whole;
        if (whole) work.documents[d] = xp::without_paragraphs(std::move(work.documents[d]), spans[d], kept);
      }
    }
    work.context.recorder().metric("kept.paragraphs", all > 0 ? stayed / all : 1, {.unit = "share"});
  }

  void write(const Work& work, double before) const {
    std::string lines;
    double documents = 0, bytes = 0;
    for (std::size_t d = work.outside; d < work.documents.size(); ++d) {
      if (!work.stays[d]) continue;
      lines += xp::document_line(work.documents[d]);
      ++documents, bytes += static_cast<double>(work.documents[d].text.size());
    }
    if (documents == 0)
      throw xp::Error("nothing of " + xp::backquoted(p_.corpus.text) + " is left: `against` holds all of it",
                      xp::Exit::data);
    xp::write_file(work.context.output() / "documents.jsonl", lines);
    xp::write_file(work.context.output() / "decisions.jsonl", work.log);
    auto& recorder = work.context.recorder();
    recorder.metric("documents", documents, {.unit = "documents"});
    recorder.metric("text_bytes", bytes, {.unit = "bytes"});
    recorder.metric("kept", documents / before, {.unit = "share"});
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(deduplicate) {
  registry.add<Deduplicate>("deduplicate", "Drops documents and paragraphs that stood before.");
}
