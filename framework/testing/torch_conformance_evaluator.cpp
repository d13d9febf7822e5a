#include "testing/torch_conformance_evaluator.h"

#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/conformance_component.h"
#include "testing/evaluator_fixture.h"
#include "testing/torch_toy_build.h"

namespace xp::testing {
namespace {

constexpr std::int64_t kToyVocab = 40, kWidth = 6, kLayers = 2;
constexpr const char* kLabel = "label";    // of a document
constexpr const char* kTag = "tag";        // of a word
constexpr const char* kRight = "right";    // of one document of a group
constexpr const char* kScore = "score";    // of a document, a number
constexpr const char* kAnswer = "answer";  // of some bytes

/// Hidden states that depend on an item's own tokens alone, by fixed random tables; everything else follows from
/// them.
class ToyHandle final : public fixture::TestHandle {
 public:
  explicit ToyHandle(const Encoder& encoder) : TestHandle(encoder) {
    const auto table = [](const char* name, std::vector<std::int64_t> shape) {
      return toy_normal(RandomStreams(2, name).stream(), shape, {0, 1}, at::kDouble);
    };
    table_ = table("table", {kToyVocab, kWidth}), head_ = table("head", {kToyVocab, kWidth});
    classes_ = table("classes", {std::ssize(names_), kWidth});
  }

  ModelShape shape() const override {
    return {.layers = kLayers, .width = kWidth, .heads = 1, .input_vocab = kToyVocab, .classes = kToyVocab};
  }
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    const auto& mask = batch.dense("input.mask");
    const auto keep = mask.unsqueeze(-1).to(at::kDouble);
    const auto x = ops::embedding(table_, batch.dense("ids"));
    const auto mean = (x * keep).sum(1, true) / keep.sum(1, true);
    ForwardOutput full;
    full.layers = {x, x + mean, (x + 2 * mean).tanh()};
    full.tokens = full.layers.back();
    auto asked = want;
    if (asked.pooling == Pooling::own) asked.pooling = Pooling::mean;
    return serve(full, mask, asked);
  }
  at::Tensor logits(const at::Tensor& hidden) override { return hidden.matmul(head_.t()); }
  std::vector<Score> score(const Batch& batch) override {
    const auto logp = logits(encode(batch, {.tokens = true}).tokens).log_softmax(-1);
    const auto nats = -logp.gather(-1, batch.dense("ids").unsqueeze(-1)).squeeze(-1);
    auto text = (batch.dense("end") > batch.dense("begin")).logical_and(batch.dense("input.mask"));
    if (batch.has("target")) text = batch.dense("target").ne(0).logical_and(batch.dense("input.mask"));
    const auto bytes = (batch.dense("end") - batch.dense("begin")) * text;
    std::vector<Score> out;
    for (std::int64_t i = 0; i < batch.items(); ++i)
      out.push_back({(nats[i] * text[i]).sum().item<double>(), text[i].sum().item<std::int64_t>(),
                     bytes[i].sum().item<std::int64_t>()});
    return out;
  }
  Strings generate(const Batch& batch, const Table&, RandomStream) override {
    return Strings(static_cast<std::size_t>(batch.items()), "some text");
  }
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field == kTag) return encode(batch, {.tokens = true}).tokens.matmul(classes_.t());
    if (field == kAnswer) return encode(batch, {.tokens = true}).tokens.matmul(classes_.t()).narrow(-1, 0, 2);
    const auto scores = encode(batch, {.pooling = Pooling::mean}).pooled.matmul(classes_.t());
    return field == kRight || field == kScore ? scores.narrow(1, 0, 1) : scores;
  }
  const Strings& categories(std::string_view field) const override { return field == kTag ? tags_ : names_; }

 private:
  Strings names_ = {"fish", "bird", "plant"}, tags_ = {"B-fish", "I-fish", "O"};
  at::Tensor table_, head_, classes_;
};

std::vector<Document> toy_documents() {
  const Strings words = {"salt", "wing", "leaf", "water", "stone", "night"}, labels = {"fish", "bird", "plant"};
  std::vector<Document> out;
  for (std::size_t i = 0; i < words.size(); ++i)
    for (const char* language : {"en", "de"}) {
      auto text = words[i];
      for (std::size_t k = 0; k <= i; ++k) text += " " + words[(i + 2 * k + 1) % words.size()];
      if (std::string_view(language) == "de") std::swap(text[1], text[2]);
      auto document = fixture::text_document(std::string(language) + "/" + std::to_string(i), text);
      document.group = "g" + std::to_string(i), document.language = language;
      document.fields[kLabel] = labels[i % labels.size()];
      for (std::size_t at = 0, word = 0; at < document.text.size(); ++word) {
        const auto end = std::min(document.text.find(' ', at), document.text.size());
        document.annotations.push_back({kTag, at, end, word % 3 == 0 ? "B-fish" : word % 3 == 1 ? "I-fish" : "O"});
        at = end + 1;
      }
      document.fields["text_b"] = words[(i + 1) % words.size()] + " text",
      document.fields[kScore] = std::to_string(i % 4);
      document.fields[kRight] = (i % 2 == 0) == (document.language == "en") ? "1" : "0";
      document.annotations.push_back({kAnswer, 0, words[i].size(), labels[i % labels.size()]});
      out.push_back(std::move(document));
    }
  return out;
}

/// Documents for every field that wants a dataset; empty, or the name of another field that must be given.
std::string fill(const Schema& schema, Table& settings) {
  for (const auto& field : schema.fields) {
    if (settings.contains(field.name)) continue;
    if (field.kind == Kind::artifact && field.interface == "dataset" && (field.required || field.evaluates)) {
      const std::string split = field.evaluates ? "test" : "train";
      settings[field.name] = Value(Reference{.text = "set:" + split, .kind = "dataset", .split = split});
    } else if (field.kind == Kind::artifact && field.interface == "tokenizer" && field.required) {
      settings[field.name] = Value(Reference{.text = "old", .kind = "tokenizer"});
    } else if (field.required) {
      return field.name;
    }
  }
  return {};
}

/// The second half of every item is its second text; words are tagged in turn.
class HalvesReader final : public BatchReader {
 public:
  explicit HalvesReader(std::unique_ptr<BatchReader> plain) : plain_(std::move(plain)) {}
  bool next(Batch& batch) override {
    if (!plain_->next(batch)) return false;
    const auto& mask = batch.dense("input.mask");
    const auto place = mask.to(at::kLong).cumsum(1), half = mask.sum(1, true).div(2, "floor");
    batch.set("segment", place.gt(half).logical_and(mask).to(at::kLong));
    const auto& word = batch.dense("word");
    batch.set(kTag, word.remainder(3).masked_fill(word.lt(0), -1));
    return true;
  }
  void rewind() override { plain_->rewind(); }

 private:
  std::unique_ptr<BatchReader> plain_;
};

class DocumentContext final : public EvaluationContext {
 public:
  DocumentContext(const Encoder& encoder, std::size_t per_batch) : encoder_(encoder), per_batch_(per_batch) {}
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest& request) override {
    return std::make_unique<HalvesReader>(
        std::make_unique<fixture::ListReader>(toy_documents(), encoder_, request, per_batch_));
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override {
    class All final : public DataSource {
     public:
      void for_each(const std::function<void(const Document&)>& visit) const override {
        for (const auto& one : toy_documents()) visit(one);
      }
      std::string fingerprint() const override { return "toy documents"; }
    };
    return std::make_shared<All>();
  }
  std::shared_ptr<const Encoder> tokenizer(const Reference&) override {
    return std::make_shared<fixture::PieceEncoder>(2, kToyVocab / 2);
  }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  fixture::Kept kept;

 private:
  const Encoder& encoder_;
  std::size_t per_batch_;
  RandomStreams random_{4};
};

fixture::Kept evaluated(const Registry& registry, const Table& settings, std::size_t per_batch) {
  const at::NoGradGuard quiet;
  const fixture::PieceEncoder encoder(2, kToyVocab);
  ToyHandle handle(encoder);
  DocumentContext context(encoder, per_batch);
  registry.make<Evaluator>(settings)->evaluate(handle, context);
  return std::move(context.kept);
}

}  // namespace

std::string check_evaluator(const Registry& registry, Table settings) {
  const auto type = *settings.at("type").as<std::string>();
  check_component(registry, Evaluator::kInterface, type);
  const auto& schema = registry.catalogue().find(Evaluator::kInterface, type)->schema;
  if (const auto missing = fill(schema, settings); !missing.empty()) return "a value for `" + missing + "`";
  INFO("evaluator " << to_text(settings));
  const auto kept = evaluated(registry, settings, 4);
  const auto resolved = registry.make<Evaluator>(settings)->settings();
  std::map<std::string, std::string> declared, recorded;
  for (const auto& gives : schema.gives)
    if (gives.what == "metric" && holds(gives.when, resolved)) declared[gives.name] = gives.detail;
  REQUIRE_FALSE(declared.empty());
  for (const auto& [name, value] : kept.metrics) {
    INFO("metric " << name << " = " << value);
    CHECK(std::isfinite(value));
    const auto& signature = kept.signatures.at(name);
    recorded[name] = signature.unit;
    CHECK_FALSE(signature.split.empty());
  }
  CHECK(recorded == declared);
  const auto again = evaluated(registry, settings, 4);
  CHECK(again.metrics == kept.metrics);
  CHECK(again.items == kept.items);
  for (const std::size_t per_batch : {1, 100}) {
    const auto other = evaluated(registry, settings, per_batch);
    REQUIRE(other.metrics.size() == kept.metrics.size());
    for (const auto& [name, value] : kept.metrics) {
      INFO("metric " << name << " with " << per_batch << " items in a batch");
      CHECK(std::abs(other.metrics.at(name) - value) <= 1e-6 * std::max(1.0, std::abs(value)));
    }
    REQUIRE(other.items.size() == kept.items.size());
  }
  return {};
}

}  // namespace xp::testing
