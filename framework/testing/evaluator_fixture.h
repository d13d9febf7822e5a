#pragma once
// What the tests of evaluators share: a tokenizer of fixed pieces, documents in batches of any size, a recorder that
// keeps.

#include <algorithm>
#include <map>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "testing/testing.h"

namespace xp::fixture {

constexpr TokenId kPad = 0, kBegin = 1, kEnd = 2, kMask = 3, kUnknown = 4, kFirst = 5;

/// Pieces of `width` bytes; "z" first makes a piece unknown.
class PieceEncoder final : public Encoder {
 public:
  PieceEncoder(std::size_t width, std::int64_t size) : width_(width), size_(size) {}
  std::int64_t size() const override { return size_; }
  std::vector<Token> encode(std::string_view text) const override {
    std::vector<Token> out;
    for (std::size_t at = 0; at < text.size(); at += width_) {
      const auto end = std::min(at + width_, text.size());
      const auto id = text[at] == 'z' ? kUnknown : kFirst + static_cast<unsigned char>(text[at]) % (size_ - kFirst);
      out.push_back({static_cast<TokenId>(id), static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(end),
                     static_cast<std::uint32_t>(out.size())});
    }
    return out;
  }
  std::string decode(std::span<const TokenId>) const override { throw Error("not asked for"); }
  std::string text(TokenId id) const override { return std::to_string(id); }
  TokenKey key(TokenId id) const override {
    for (const auto& [purpose, reserved] : purposes_)
      if (reserved == id) return {text(id), WordStart::no, TokenKind::special, purpose};
    return {text(id), WordStart::no};
  }
  std::vector<TokenId> pieces(const TokenKey&) const override { throw Error("not asked for"); }
  const std::map<std::string, TokenId, std::less<>>& purposes() const override { return purposes_; }
  std::string json() const override { return "pieces of " + std::to_string(width_); }

  std::map<std::string, TokenId, std::less<>> purposes_ = {
      {"pad", kPad}, {"begin", kBegin}, {"end", kEnd}, {"mask", kMask}, {"unk", kUnknown}};

 private:
  std::size_t width_;
  std::int64_t size_;
};

/// Windows of the documents as the contract of BatchReader says, `per_batch` in a batch.
class ListReader final : public BatchReader {
 public:
  ListReader(std::vector<Document> documents, const Encoder& encoder, const ReadRequest& request,
             std::size_t per_batch)
      : per_batch_(per_batch) {
    const auto room = static_cast<std::size_t>(request.max_time > 0 ? request.max_time - 2 : 1000);
    for (auto& document : documents) {
      const auto tokens = encoder.encode(document.text);
      for (std::size_t at = 0; at == 0 || (request.windows && at < tokens.size()); at += room)
        items_.push_back({document, {tokens.begin() + at, tokens.begin() + std::min(at + room, tokens.size())}});
    }
  }
  bool next(Batch& batch) override {
    if (at_ == items_.size()) return false;
    const auto n = std::min(per_batch_, items_.size() - at_);
    std::size_t time = 0;
    for (std::size_t i = at_; i < at_ + n; ++i) time = std::max(time, items_[i].tokens.size() + 2);
    const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(n), static_cast<std::int64_t>(time)};
    auto ids = ops::full(shape, kPad, at::kLong), word = ops::full(shape, -1, at::kLong);
    auto begin = ops::full(shape, 0, at::kLong), end = ops::full(shape, 0, at::kLong),
         mask = ops::full(shape, false, at::kBool);
    batch = {};
    std::map<std::string, Strings> texts;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& [document, tokens] = items_[at_ + i];
      const auto row = static_cast<std::int64_t>(i), last = std::ssize(tokens) + 1;
      ids[row][0] = kBegin, ids[row][last] = kEnd, mask[row].narrow(0, 0, last + 1).fill_(true);
      for (std::int64_t t = 1; t < last; ++t) {
        const auto& token = tokens[static_cast<std::size_t>(t - 1)];
        ids[row][t] = token.id, word[row][t] = static_cast<std::int64_t>(token.word);
        begin[row][t] = static_cast<std::int64_t>(token.begin), end[row][t] = static_cast<std::int64_t>(token.end);
      }
      texts["text"].push_back(document.text), texts["id"].push_back(document.id);
      texts["language"].push_back(document.language), texts["group"].push_back(document.group);
      for (const auto& [name, value] : document.fields) texts[name].push_back(value);
    }
    batch.sample_id = ops::full({shape[0]}, 0, at::kLong), batch.group_id = batch.sample_id.clone();
    for (std::size_t i = 0; i < n; ++i) {
      const auto& group = items_[at_ + i].document.group;
      const auto first =
          std::find_if(items_.begin(), items_.end(), [&](const Item& item) { return item.document.group == group; });
      batch.sample_id[static_cast<std::int64_t>(i)] = static_cast<std::int64_t>(at_ + i);
      batch.group_id[static_cast<std::int64_t>(i)] = static_cast<std::int64_t>(first - items_.begin());
    }
    batch.set("ids", ids), batch.set("word", word), batch.set("begin", begin), batch.set("end", end);
    batch.set("input.mask", mask);
    for (auto& [name, column] : texts) batch.set(name, std::move(column));
    at_ += n;
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  struct Item {
    Document document;
    std::vector<Token> tokens;
  };
  std::vector<Item> items_;
  std::size_t per_batch_, at_ = 0;
};

class Kept final : public Recorder {
 public:
  void point(std::string_view, double, const Counters&, const MetricSignature&) override {}
  void metric(std::string_view name, double value, const MetricSignature& what) override {
    metrics[std::string(name)] = value, signatures[std::string(name)] = what;
  }
  void item(std::string_view, std::string_view id, std::string_view column, double value) override {
    items[std::string(id)][std::string(column)] = value;
  }
  void ledger(std::string_view, const std::vector<std::string>&, const std::vector<std::string>&) override {}
  void counters(const Counters&) override {}
  void note(std::string_view) override {}
  std::map<std::string, double> metrics;
  std::map<std::string, MetricSignature> signatures;
  std::map<std::string, std::map<std::string, double>> items;
};

class ListContext final : public EvaluationContext {
 public:
  ListContext(std::vector<Document> documents, const Encoder& encoder, std::size_t per_batch)
      : documents_(std::move(documents)), encoder_(encoder), per_batch_(per_batch) {}
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest& request) override {
    return std::make_unique<ListReader>(documents_, encoder_, request, per_batch_);
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override { throw Error("not asked for"); }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  std::vector<Document> documents_;
  const Encoder& encoder_;
  std::size_t per_batch_;
  RandomStreams random_{0};
};

/// A handle whose parts the test gives.
class TestHandle : public Handle {
 public:
  explicit TestHandle(const Encoder& encoder) : encoder_(encoder) {}
  const Encoder* tokenizer() const override { return &encoder_; }
  ModelShape shape() const override { return {.layers = 3, .width = 2, .classes = encoder_.size()}; }
  bool can(std::string_view) const override { return true; }
  bool has(std::string_view) const override { return true; }
  ForwardOutput encode(const Batch&, const ForwardRequest&) override { throw Error("not asked for"); }
  at::Tensor logits(const at::Tensor&) override { throw Error("not asked for"); }
  std::vector<Score> score(const Batch&) override { throw Error("not asked for"); }
  Strings generate(const Batch&, const Table&, RandomStream) override { throw Error("not asked for"); }
  at::Tensor predict(const Batch&, std::string_view) override { throw Error("not asked for"); }
  const Strings& categories(std::string_view) const override { throw Error("not asked for"); }

 protected:
  const Encoder& encoder_;
};

/// What an evaluator of the build tree records.
inline Kept evaluated(Table settings, Handle& subject, std::vector<Document> documents, std::size_t per_batch) {
  settings["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  const auto evaluator = testing::registry().make<Evaluator>(settings);
  ListContext context(std::move(documents), *subject.tokenizer(), per_batch);
  evaluator->evaluate(subject, context);
  return context.kept;
}

inline Document text_document(std::string id, std::string text) {
  Document out;
  out.id = out.group = std::move(id), out.text = std::move(text), out.language = "en";
  return out;
}

}  // namespace xp::fixture
