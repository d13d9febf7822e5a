#include "engine/examples.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <exception>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "base/text.h"

namespace xp {
namespace {

// Sorting by a drawn key is a permutation that no thread or earlier draw can change.
std::vector<std::size_t> shuffled(std::vector<std::size_t> units, const std::vector<std::uint64_t>& keys) {
  std::vector<std::size_t> place(units.size());
  std::iota(place.begin(), place.end(), 0);
  std::sort(place.begin(), place.end(),
            [&](std::size_t a, std::size_t b) { return std::pair(keys[a], a) < std::pair(keys[b], b); });
  std::vector<std::size_t> out;
  out.reserve(units.size());
  for (const auto i : place) out.push_back(units[i]);
  return out;
}

std::optional<float> number_in(const std::string& text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return static_cast<float>(value);
}

const std::string& source_of(const Document& document) {
  return document.language.empty() ? document.source : document.language;
}

struct TokenizedDocument {
  std::vector<Token> tokens;  ///< without specials
  std::vector<Token> second;  ///< of the field "text_b", if there is one
};

class TextExamples final : public ExampleSource {
 public:
  TextExamples(std::shared_ptr<const Corpus> corpus, std::shared_ptr<const Encoder> encoder, CutRule rule,
               std::map<std::string, Strings> categories, int threads)
      : corpus_(std::move(corpus)),
        encoder_(std::move(encoder)),
        rule_(std::move(rule)),
        categories_(std::move(categories)) {
    // One thread cuts a text when its turn comes: training begins before the last text is read.
    documents_.resize(corpus_->documents.size());
    if (threads > 1) parallel_for(documents_.size(), threads, [&](std::size_t i) { documents_[i] = tokenized(i); });
    pairs_ = std::any_of(corpus_->documents.begin(), corpus_->documents.end(), [&](const auto& d) {
      const auto second = d.fields.find("text_b");
      return second != d.fields.end() && !encoder_->encode(second->second).empty();
    });
    const auto frame = encoder_->around();
    begin_ = frame.begin, end_ = frame.end;
    specials_ = (begin_ ? 1 : 0) + (end_ ? 1 : 0);
    if (rule_.length <= specials_)
      throw Error("examples of " + count(static_cast<std::size_t>(rule_.length), "token") +
                  " leave no room for text");
    for (std::size_t i = 0; i < documents_.size(); ++i) {
      const auto& group = corpus_->documents[i].group;
      if (!rule_.groups || i == 0 || group.empty() || group != corpus_->documents[i - 1].group) first_.push_back(i);
    }
    for (const auto& field : rule_.categorical)
      if (std::none_of(corpus_->documents.begin(), corpus_->documents.end(),
                       [&](const auto& d) { return d.fields.contains(field); }))
        marks_.insert(field);
    for (const auto& name : text_fields())
      if (!rule_.offsets && name != "text_b" && all_numbers(name)) numbers_.push_back(name);
    masks_ = std::any_of(corpus_->documents.begin(), corpus_->documents.end(),
                         [](const auto& d) { return d.fields.contains("maskable"); });
  }

  const std::string& name() const override { return corpus_->name; }
  Strings sources() const override {
    std::set<std::string> out;
    for (const auto& document : corpus_->documents) out.insert(source_of(document));
    return {out.begin(), out.end()};
  }
  std::size_t units() const override { return first_.size(); }

  std::vector<std::size_t> order(std::int64_t epoch, const RandomStreams& random) const override {
    std::vector<std::size_t> units;
    std::vector<std::uint64_t> keys;
    const auto streams = random.child("order");
    for (std::size_t unit = 0; unit < first_.size(); ++unit) {
      const auto i = first_[unit];
      auto stream = streams.stream(epoch, static_cast<std::uint64_t>(document_key(corpus_->documents[i].id)));
      for (int n = times_in_epoch(*corpus_, i, epoch, random); n > 0; --n)
        units.push_back(unit), keys.push_back(stream.next());
    }
    return shuffled(std::move(units), keys);
  }

  std::vector<std::vector<Example>> groups(std::size_t unit, std::int64_t epoch, const Transform* transform,
                                           const RandomStreams& input) const override {
    const auto first = first_[unit];
    const auto& tokens = cut(first).tokens;
    const auto& document = corpus_->documents[first];
    std::vector<std::vector<Example>> out;
    if (rule_.groups) return {whole(unit, epoch, transform, input)};
    std::size_t at = 0;
    for (std::uint64_t window = 0; window == 0 || (rule_.windows && at < tokens.size()); ++window) {
      const auto id = document_key(document.id + "\x1f" + std::to_string(window));
      const auto room = room_for(transform, input.stream(epoch, static_cast<std::uint64_t>(id)));
      const auto n = std::min(static_cast<std::size_t>(room), tokens.size() - at);
      if (n == 0 && window > 0) break;
      out.push_back({make(document, first, at, n, id)});
      at += n;
    }
    return out;
  }

  std::vector<FieldSpec> fields() const override {
    const auto pad = static_cast<double>(encoder_->reserved("pad").value_or(0));
    std::vector<FieldSpec> all{{"ids", "input", pad}, {"word", "input", -1}, {"bytes", "", 0}};
    if (pairs_) all.push_back({"segment", "input", 0});
    if (masks_) all.push_back({"maskable", "input", 0});
    for (const auto& name : numbers_) all.push_back({name, "", 0});
    for (const auto& field : rule_.categorical) all.push_back({field, marks_.contains(field) ? "input" : "", -1});
    if (!rule_.offsets) return all;
    all.push_back({"begin", "input", 0}), all.push_back({"end", "input", 0});
    for (const char* name : {"text", "id", "language", "group"}) all.push_back({name, "strings", 0});
    for (const auto& name : text_fields()) all.push_back({name, "strings", 0});
    return all;
  }

 private:
  /// One example per document of the unit. The transform draws by the first one's id, so room is made by it too.
  std::vector<Example> whole(std::size_t unit, std::int64_t epoch, const Transform* transform,
                             const RandomStreams& input) const {
    const auto end = unit + 1 < first_.size() ? first_[unit + 1] : documents_.size();
    std::vector<Example> out;
    for (auto i = first_[unit]; i < end; ++i) {
      const auto& document = corpus_->documents[i];
      const auto id = document_key(document.id + "\x1f" + "0");
      const auto by = out.empty() ? id : out.front().sample_id;
      const auto room = room_for(transform, input.stream(epoch, static_cast<std::uint64_t>(by)));
      out.push_back(make(document, i, 0, std::min(static_cast<std::size_t>(room), cut(i).tokens.size()), id));
    }
    return out;
  }

  bool all_numbers(const std::string& field) const {
    return std::all_of(corpus_->documents.begin(), corpus_->documents.end(), [&](const auto& d) {
      const auto found = d.fields.find(field);
      return found != d.fields.end() && number_in(found->second);
    });
  }

  TokenizedDocument tokenized(std::size_t i) const {
    const auto& document = corpus_->documents[i];
    TokenizedDocument out{encoder_->encode(document.text), {}};
    if (const auto second = document.fields.find("text_b"); second != document.fields.end())
      out.second = encoder_->encode(second->second);
    return out;
  }

  const TokenizedDocument& cut(std::size_t i) const {
    const std::lock_guard lock(guard_);  // evaluators may read what a loader does
    auto& document = documents_[i];
    if (!document) document = tokenized(i);
    return *document;
  }

  Strings text_fields() const {
    std::set<std::string> names;
    for (const auto& document : corpus_->documents)
      for (const auto& [name, value] : document.fields)
        if (name != "maskable" &&
            std::find(rule_.categorical.begin(), rule_.categorical.end(), name) == rule_.categorical.end())
          names.insert(name);
    return {names.begin(), names.end()};
  }

  std::int64_t room_for(const Transform* transform, RandomStream random) const {
    const auto plain = rule_.length - specials_;
    if (!transform) return plain;
    // A decoder has no more places than an encoder.
    return std::max<std::int64_t>(raw_tokens_for(*transform, {plain, rule_.length}, random, 8 * plain), 1);
  }

  Example make(const Document& document, std::size_t unit, std::size_t at, std::size_t n, std::int64_t id) const {
    const auto& pieces = cut(unit);
    Example example{.sample_id = id,
                    .group_id = document_key(document.group.empty() ? document.id : document.group),
                    .source = source_of(document)};
    Ints ids, word, begin, end, segment;
    const auto special = [&](const std::optional<TokenId>& token, std::int64_t part) {
      if (!token) return;
      ids.data.push_back(*token), word.data.push_back(-1), begin.data.push_back(0), end.data.push_back(0);
      segment.data.push_back(part);
    };
    const auto text = [&](const std::vector<Token>& tokens, std::size_t from, std::size_t most, std::int64_t part) {
      for (std::size_t i = from; i < from + most; ++i) {
        ids.data.push_back(tokens[i].id), word.data.push_back(tokens[i].word);
        begin.data.push_back(tokens[i].begin), end.data.push_back(tokens[i].end), segment.data.push_back(part);
      }
    };
    // A pair shares the room: the first text keeps what the second does not need.
    const auto second = std::min(pieces.second.size(), static_cast<std::size_t>(rule_.length - specials_) / 2);
    if (!pieces.second.empty() && n + second + 1 > static_cast<std::size_t>(rule_.length - specials_))
      n = static_cast<std::size_t>(rule_.length - specials_) - second - 1;
    special(begin_, 0), text(pieces.tokens, at, n, 0), special(end_, 0);
    if (!pieces.second.empty()) text(pieces.second, 0, second, 1), special(end_, 1);
    const std::int64_t bytes = n == 0 ? 0 : pieces.tokens[at + n - 1].end - pieces.tokens[at].begin;
    example.fields["ids"] = std::move(ids), example.fields["word"] = std::move(word);
    example.fields["bytes"] = Ints{{bytes}};
    if (masks_) {
      const auto named = document.fields.find("maskable");
      Ints may = segment;
      for (auto& part : may.data)
        part = named == document.fields.end() || named->second == (part ? "text_b" : "text") ? 1 : 0;
      example.fields["maskable"] = std::move(may);
    }
    if (pairs_) example.fields["segment"] = std::move(segment);
    for (const auto& name : numbers_) example.fields[name] = Floats{{*number_in(document.fields.find(name)->second)}};
    for (const auto& field : rule_.categorical)
      if (marks_.contains(field))
        example.fields[field] = classes_of_tokens(document, field, example.ints("word").data, begin.data, end.data);
      else
        example.fields[field] = Ints{{class_of(document, field)}};
    if (!rule_.offsets) return example;
    example.fields["begin"] = std::move(begin), example.fields["end"] = std::move(end);
    example.fields["text"] = Strings{document.text}, example.fields["id"] = Strings{document.id};
    example.fields["language"] = Strings{document.language};
    example.fields["group"] = Strings{document.group.empty() ? document.id : document.group};
    for (const auto& name : text_fields()) {
      const auto found = document.fields.find(name);
      example.fields[name] = Strings{found == document.fields.end() ? "" : found->second};
    }
    return example;
  }

  std::int64_t class_of(const Document& document, const std::string& field) const {
    const auto found = document.fields.find(field);
    return found == document.fields.end() ? -1 : place_of(field, found->second, -1);
  }

  std::int64_t place_of(const std::string& field, const std::string& name, std::int64_t unknown) const {
    const auto& names = categories_.at(field);
    const auto at = std::lower_bound(names.begin(), names.end(), name);
    return at != names.end() && *at == name ? at - names.begin() : unknown;
  }

  /// Of each token the class of the first annotation that it shares bytes with; of a second text none.
  Ints classes_of_tokens(const Document& document, const std::string& kind, const std::vector<std::int64_t>& word,
                         const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& end) const {
    Ints out{std::vector<std::int64_t>(word.size(), -1)};
    std::size_t mark = 0;
    const auto& marks = document.annotations;
    std::int64_t before = 0;
    for (std::size_t t = 0; t < word.size() && end[t] >= before; ++t) {
      if (word[t] < 0) continue;
      before = end[t];
      while (mark < marks.size() &&
             (marks[mark].kind != kind || static_cast<std::int64_t>(marks[mark].end) <= begin[t]))
        ++mark;
      if (mark == marks.size()) break;
      if (static_cast<std::int64_t>(marks[mark].begin) < end[t]) out.data[t] = place_of(kind, marks[mark].value, -2);
    }
    // A word may begin with a token of the blank before it alone: it has the class of what follows in the word, or
    // the first token, which stands for the word, would have none.
    const auto blank = [&](std::size_t t) {
      const auto text = std::string_view(document.text)
                            .substr(static_cast<std::size_t>(begin[t]), static_cast<std::size_t>(end[t] - begin[t]));
      return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
    };
    for (std::size_t t = word.size(); t-- > 1;)
      if (out.data[t - 1] == -1 && word[t] >= 0 && word[t - 1] == word[t] && blank(t - 1))
        out.data[t - 1] = out.data[t];
    return out;
  }

  std::shared_ptr<const Corpus> corpus_;
  std::shared_ptr<const Encoder> encoder_;
  CutRule rule_;
  std::map<std::string, Strings> categories_;
  mutable std::mutex guard_;
  mutable std::vector<std::optional<TokenizedDocument>> documents_;  ///< those that were needed
  std::vector<std::size_t> first_;                                   ///< document that each unit begins with
  Strings numbers_;                                                  ///< fields that hold a number in every document
  std::set<std::string> marks_;                                      ///< categorical ones that are annotations
  bool pairs_ = false;                                               ///< some document has a second text
  bool masks_ = false;  ///< some document names the text that may be masked
  std::optional<TokenId> begin_, end_;
  std::int64_t specials_ = 0;
};

class DatasetExamples final : public ExampleSource {
 public:
  DatasetExamples(std::shared_ptr<const Dataset> dataset, const std::string& split, const SplitShares& shares,
                  std::string name)
      : dataset_(std::move(dataset)), name_(std::move(name)) {
    for (std::int64_t i = 0; i < dataset_->size(); ++i) {
      Document about;
      about.id = std::to_string(i), about.split = dataset_->split(i);
      if (about.split.empty())
        if (const auto group = dataset_->get(i); !group.empty()) about.group = std::to_string(group.front().group_id);
      if (split_of(about, shares) == split) kept_.push_back(i);
    }
    if (kept_.empty())
      throw Error("split " + backquoted(split) + " of " + backquoted(name_) + " is empty", Exit::data);
  }

  const std::string& name() const override { return name_; }
  std::size_t units() const override { return kept_.size(); }
  std::vector<std::size_t> order(std::int64_t epoch, const RandomStreams& random) const override {
    std::vector<std::size_t> units(kept_.size());
    std::iota(units.begin(), units.end(), 0);
    std::vector<std::uint64_t> keys;
    for (const auto unit : units)
      keys.push_back(random.child("order").stream(epoch, static_cast<std::uint64_t>(kept_[unit])).next());
    return shuffled(std::move(units), keys);
  }
  std::vector<std::vector<Example>> groups(std::size_t unit, std::int64_t, const Transform*,
                                           const RandomStreams&) const override {
    return {dataset_->get(kept_[unit])};
  }
  std::vector<FieldSpec> fields() const override { return dataset_->fields(); }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::string name_;
  std::vector<std::int64_t> kept_;
};

}  // namespace

void parallel_for(std::size_t n, int threads, const std::function<void(std::size_t)>& fn) {
  const auto workers = std::min<std::size_t>(static_cast<std::size_t>(std::max(threads, 1)), n);
  if (workers <= 1) {
    for (std::size_t i = 0; i < n; ++i) fn(i);
    return;
  }
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex guard;
  const auto work = [&] {
    for (std::size_t i = next++; i < n; i = next++) try {
        fn(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!failure) failure = std::current_exception();
        next = n;
      }
  };
  std::vector<std::jthread> pool;
  for (std::size_t w = 0; w < workers; ++w) pool.emplace_back(work);
  pool.clear();
  if (failure) std::rethrow_exception(failure);
}

bool has_class(const Document& document, std::string_view field) {
  return document.fields.contains(field) || std::any_of(document.annotations.begin(), document.annotations.end(),
                                                        [&](const auto& mark) { return mark.kind == field; });
}

Strings categories_of(const Corpus& corpus, std::string_view field) {
  std::set<std::string> names;
  for (const auto& document : corpus.documents)
    if (const auto found = document.fields.find(field); found != document.fields.end()) names.insert(found->second);
  if (names.empty())
    for (const auto& document : corpus.documents)
      for (const auto& mark : document.annotations)
        if (mark.kind == field) names.insert(mark.value);
  if (names.empty()) {
    std::set<std::string> there;
    for (const auto& document : corpus.documents) {
      for (const auto& [name, value] : document.fields) there.insert(name);
      for (const auto& mark : document.annotations) there.insert(mark.kind);
    }
    throw Error("documents of " + backquoted(corpus.name) + " have no field " + backquoted(field) + "; there is " +
                    listed({there.begin(), there.end()}),
                Exit::data);
  }
  return {names.begin(), names.end()};
}

std::unique_ptr<ExampleSource> text_examples(std::shared_ptr<const Corpus> corpus,
                                             std::shared_ptr<const Encoder> encoder, const CutRule& rule,
                                             std::map<std::string, Strings> categories, int threads) {
  return std::make_unique<TextExamples>(std::move(corpus), std::move(encoder), rule, std::move(categories), threads);
}

std::unique_ptr<ExampleSource> dataset_examples(std::shared_ptr<const Dataset> dataset, const std::string& split,
                                                const SplitShares& shares, const std::string& name) {
  return std::make_unique<DatasetExamples>(std::move(dataset), split, shares, name);
}

}  // namespace xp
