
#include <algorithm>
#include <cmath>
#include <numbers>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/torch_losses.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

struct Tally {
  std::string id;  ///< of the document
  double nats = 0;
  std::int64_t bytes = 0, tokens = 0, unknown = 0;
};

/// The words of a document that are hidden: drawn by a hash of the document's id and the word's place, so that every
/// tokenizer has to guess the same bytes.
std::vector<TextSpan> hidden_words(const std::string& id, std::string_view text, double rate) {
  const auto streams = RandomStreams(0, "hidden word").child(id);
  auto words = word_spans(text);
  std::erase_if(words, [&](const TextSpan& word) { return streams.stream(0, word.begin).uniform() >= rate; });
  return words;
}

/// Bits per byte of hidden words: sum of -log2 p(token | the rest) over the tokens that overlap one, divided by the
/// bytes of the words. All hidden words of a window are hidden at once.
class PseudoLikelihood final : public Evaluator {
 public:
  struct Params {
    Reference data;
    double rate = 0.15;
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents to score.").artifact("dataset").evaluates().required();
      f.add(&Params::rate, "rate", "Share of words that are hidden.").above(0).below(1);
      f.add(&Params::max_time, "max_time", "Tokens per window; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to score; 0: all.").min(0);
      f.needs("capability", "primary:bidirectional");
      f.needs("capability", "primary:logits");
      f.needs("reserved", "mask");
      f.gives("metric", "bits", "bits/byte");
      f.gives("metric", "nats_per_token", "nats/token");
      f.gives("metric", "unknown", "share");
    }
  };
  explicit PseudoLikelihood(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto* encoder = subject.tokenizer();
    if (!encoder || !subject.can("logits"))
      throw Error("pseudo-likelihood needs a model of text with a head over tokens");
    const auto mask = encoder->reserved("mask");
    if (!mask) throw Error("the tokenizer reserves no id for `mask`, which hides words");
    mask_ = *mask, unknown_ = encoder->reserved("unk").value_or(-1);
    documents_.clear(), covered_ = 0;
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = true, .most = p_.most});
    Batch batch;
    while (reader->next(batch)) add(subject, batch);
    record(*encoder, context.recorder());
  }

 private:
  void add(Handle& subject, const Batch& batch) {
    const auto ids = batch.dense("ids").contiguous();
    const auto time = ids.size(1);
    auto masked = ids.clone();
    auto* to = masked.mutable_data_ptr<std::int64_t>();
    const auto* gold = ids.const_data_ptr<std::int64_t>();
    std::vector<std::int64_t> places;
    std::vector<std::size_t> owners;
    for (std::int64_t item = 0; item < batch.items(); ++item) {
      for (const auto t : hide(batch, item)) {
        const auto place = item * time + t;
        places.push_back(place), owners.push_back(documents_.size() - 1);
        to[place] = mask_;
        documents_.back().unknown += gold[place] == unknown_;
      }
    }
    if (places.empty()) return;
    Batch hidden = batch;
    hidden.set("ids", masked);
    const auto at = at::Tensor(ids.new_empty({std::ssize(places)}));
    std::copy(places.begin(), places.end(), at.mutable_data_ptr<std::int64_t>());
    const auto picked = subject.encode(hidden, {.at = at}).picked;
    const auto targets = ids.flatten().index_select(0, at);
    // Few rows of logits at a time: a row has as many numbers as the vocabulary has tokens.
    const auto step =
        std::max<std::int64_t>(1, (std::int64_t{1} << 24) / std::max<std::int64_t>(1, subject.shape().classes));
    for (std::int64_t from = 0; from < at.size(0); from += step) {
      const auto n = std::min(step, at.size(0) - from);
      const auto losses = xp::cross_entropy(subject.logits(picked.narrow(0, from, n)), targets.narrow(0, from, n))
                              .to(at::kDouble)
                              .contiguous();
      const auto* loss = losses.const_data_ptr<double>();
      for (std::int64_t i = 0; i < n; ++i) {
        auto& document = documents_[owners[static_cast<std::size_t>(from + i)]];
        document.nats += loss[i], ++document.tokens;
      }
    }
  }

  /// Times of the tokens to hide in one window; counts the bytes of their words, each word once.
  std::vector<std::int64_t> hide(const Batch& batch, std::int64_t item) {
    const auto& id = batch.strings("id").at(static_cast<std::size_t>(item));
    if (documents_.empty() || documents_.back().id != id) {
      documents_.push_back({.id = id});
      words_ = hidden_words(id, batch.strings("text").at(static_cast<std::size_t>(item)), p_.rate);
      covered_ = 0;
    }
    const auto row = [&](const char* field) { return batch.dense(field)[item].contiguous(); };
    const auto begins = row("begin"), ends = row("end"), kinds = row("word");
    const auto segments = batch.has("segment") ? row("segment") : at::Tensor();
    std::vector<std::int64_t> times;
    for (std::int64_t t = 0; t < begins.size(0); ++t) {
      if (kinds.const_data_ptr<std::int64_t>()[t] < 0) continue;
      if (segments.defined() && segments.const_data_ptr<std::int64_t>()[t] != 0) continue;  // offsets of another text
      const auto begin = begins.const_data_ptr<std::int64_t>()[t], end = ends.const_data_ptr<std::int64_t>()[t];
      auto word = std::upper_bound(words_.begin(), words_.end(), begin,
                                   [](std::int64_t at, const TextSpan& one) { return at < one.end; });
      bool hit = false;
      for (; word != words_.end() && word->begin < end; ++word) {
        hit = true;
        if (word->begin < covered_) continue;
        documents_.back().bytes += word->end - word->begin, covered_ = word->end;
      }
      if (hit) times.push_back(t);
    }
    return times;
  }

  void record(const Encoder& encoder, Recorder& recorder) const {
    Tally all;
    for (const auto& one : documents_) {
      all.nats += one.nats, all.bytes += one.bytes, all.tokens += one.tokens, all.unknown += one.unknown;
      if (one.bytes > 0) recorder.item("documents", one.id, "bits", bits(one));
    }
    if (all.bytes == 0)
      throw Error("no word of " + backquoted(p_.data.text) + " was hidden at a rate of " + number_text(p_.rate) +
                      "; give more text or a higher `rate`",
                  Exit::data);
    const auto tokens = static_cast<double>(all.tokens);
    recorder.metric("bits", bits(all), {"bits/byte", {}, p_.data.text, "1"});
    recorder.metric("nats_per_token", all.nats / tokens, {"nats/token", sha256(encoder.json()), p_.data.text, "1"});
    recorder.metric("unknown", static_cast<double>(all.unknown) / tokens, {"share", {}, p_.data.text, "1"});
  }

  static double bits(const Tally& tally) { return tally.nats / std::numbers::ln2 / static_cast<double>(tally.bytes); }

  Params p_;
  std::int64_t mask_ = 0, unknown_ = -1;
  std::vector<Tally> documents_;
  std::vector<TextSpan> words_;  ///< of the last document
  std::uint32_t covered_ = 0;    ///< its words that begin before this byte are counted
};

}  // namespace
}  // namespace xp

XP_PLUGIN(pseudo_likelihood) {
  registry.add<xp::PseudoLikelihood>("pseudo_likelihood",
                                     "Bits per byte of hidden words under a masked language model.");
}
