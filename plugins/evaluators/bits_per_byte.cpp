#include <numbers>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/digest.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

struct Tally {
  std::string id;  ///< of the document
  double nats = 0;
  std::int64_t bytes = 0, tokens = 0;
};

/// Sum of -log2 p(token | tokens before it in the window) over all tokens that a window predicts, divided by their
/// bytes.
class BitsPerByte final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents to score.").artifact("dataset").evaluates().required();
      f.add(&Params::max_time, "max_time", "Tokens per window; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to score; 0: all.").min(0);
      f.needs("capability", "primary:causal");
      f.needs("capability", "primary:logits");
      f.gives("metric", "bits", "bits/byte");
      f.gives("metric", "nats_per_token", "nats/token");
    }
  };
  explicit BitsPerByte(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto* encoder = subject.tokenizer();
    if (!encoder || !subject.can("score"))
      throw Error(
          "bits per byte need a model that scores text from left to right; use `pseudo_likelihood` for masked ones");
    documents_.clear(), covered_ = 0;
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = true, .most = p_.most});
    Batch batch;
    while (reader->next(batch)) {
      const auto scores = subject.score(batch);
      for (std::int64_t item = 0; item < batch.items(); ++item)
        add(batch, item, scores.at(static_cast<std::size_t>(item)));
    }
    record(*encoder, context.recorder());
  }

 private:
  /// A document's bytes belong to the window whose tokens end behind them, so none is lost between windows. The first
  /// token of a window without a `begin` token is not predicted, and its bytes do not count.
  void add(const Batch& batch, std::int64_t item, const Score& score) {
    const auto& id = batch.strings("id").at(static_cast<std::size_t>(item));
    if (documents_.empty() || documents_.back().id != id) documents_.push_back({.id = id}), covered_ = 0;
    const auto ends = batch.dense("end")[item].contiguous(), kinds = batch.dense("word")[item].contiguous();
    const auto* end = ends.const_data_ptr<std::int64_t>();
    const auto* word = kinds.const_data_ptr<std::int64_t>();
    std::int64_t last = covered_;
    for (std::int64_t t = 0; t < ends.size(0); ++t)
      if (word[t] >= 0) last = std::max(last, end[t]);
    const auto first = ends.size(0) > 0 && word[0] >= 0 ? std::max(covered_, end[0]) : covered_;
    auto& document = documents_.back();
    document.nats += score.nats, document.tokens += score.tokens, document.bytes += last - first;
    covered_ = last;
  }

  void record(const Encoder& encoder, Recorder& recorder) const {
    Tally all;
    for (const auto& one : documents_) {
      all.nats += one.nats, all.bytes += one.bytes, all.tokens += one.tokens;
      if (one.bytes > 0) recorder.item("documents", one.id, "bits", bits(one));
    }
    if (all.bytes == 0 || all.tokens == 0)
      throw Error("no token of " + backquoted(p_.data.text) + " was predicted; its documents are too short",
                  Exit::data);
    recorder.metric("bits", bits(all), {"bits/byte", {}, p_.data.text, "1"});
    recorder.metric("nats_per_token", all.nats / static_cast<double>(all.tokens),
                    {"nats/token", sha256(encoder.json()), p_.data.text, "1"});
  }

  static double bits(const Tally& tally) { return tally.nats / std::numbers::ln2 / static_cast<double>(tally.bytes); }

  Params p_;
  std::vector<Tally> documents_;
  std::int64_t covered_ = 0;  ///< bytes of the last document that earlier windows hold
};

}  // namespace
}  // namespace xp

XP_PLUGIN(bits_per_byte) {
  registry.add<xp::BitsPerByte>("bits_per_byte", "Bits per byte of text under a causal language model.");
}
