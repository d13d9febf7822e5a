#include <cmath>

#include "api/batch.h"
#include "api/evaluator.h"
#include "base/digest.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

struct Tally {
  double nats = 0;
  std::int64_t tokens = 0, bytes = 0, unknown = 0;
};

/// Sees to it that `target` marks the tokens to score: those of a second text, where the data mark none themselves.
void mark_target(Batch& batch, const std::string& data) {
  const auto column = [&](const char* name) {
    const auto found = batch.columns().find(name);
    const auto* dense = found == batch.columns().end() ? nullptr : std::get_if<at::Tensor>(&found->second);
    return dense && dense->sizes() == batch.dense("input.mask").sizes() ? *dense : at::Tensor();
  };
  if (column("target").defined()) return;
  const auto second = column("segment");
  if (!second.defined())
    throw Error(backquoted(data) +
                    " marks no tokens as the target; its documents need the source in `text` and what must follow it "
                    "in `text_b`",
                Exit::data);
  batch.set("target", second);
}

/// Of each item the tokens that are to be predicted, how many of them are `unk`, and the bytes of text they stand
/// for.
std::vector<Tally> targets(const Batch& batch, std::optional<TokenId> unk) {
  const auto& mask = batch.dense("input.mask");
  const auto marked = batch.dense("target").ne(0).logical_and(mask).contiguous();
  const auto ids = batch.dense("ids").contiguous();
  const auto ends = batch.dense("end").contiguous(), begins = batch.dense("begin").contiguous(),
             words = batch.dense("word").contiguous();
  std::vector<Tally> out(static_cast<std::size_t>(batch.items()));
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    auto& one = out[static_cast<std::size_t>(i)];
    std::int64_t first = -1, last = 0;
    // The first token of an input has nothing before it that could predict it.
    for (auto at = i * mask.size(1) + 1; at < (i + 1) * mask.size(1); ++at) {
      if (!marked.const_data_ptr<bool>()[at]) continue;
      ++one.tokens, one.unknown += unk && ids.const_data_ptr<std::int64_t>()[at] == *unk;
      if (words.const_data_ptr<std::int64_t>()[at] < 0) continue;
      if (first < 0) first = begins.const_data_ptr<std::int64_t>()[at];
      last = std::max(last, ends.const_data_ptr<std::int64_t>()[at]);
    }
    if (first >= 0) one.bytes = last - first;
  }
  return out;
}

/// Sum of -ln p(target token | source, target tokens before it) over all targets, divided by their tokens or bytes:
/// the loss with the right prefix given (teacher forcing, Williams and Zipser 1989).
class TargetLoss final : public Evaluator {
 public:
  struct Params {
    Reference data;
    std::int64_t max_time = 0, most = 0;
    double reference = std::log(256.0);
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents with a source in `text` and its target in `text_b`.")
          .artifact("dataset")
          .evaluates()
          .required();
      f.add(&Params::max_time, "max_time", "Tokens of source and target that are read; 0: what the model takes.")
          .min(0);
      f.add(&Params::most, "most", "Documents to score; 0: all.").min(0);
      f.add(&Params::reference, "reference",
            "Nats per byte that `normalised` measures against; the default is that of equally likely bytes.")
          .above(0);
      f.needs("field", "segment");
      f.gives("metric", "nats_per_token", "nats/token");
      f.gives("metric", "nats_per_byte", "nats/byte");
      f.gives("metric", "normalised", "share");
      f.gives("metric", "unknown", "share");
    }
  };
  explicit TargetLoss(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto* encoder = subject.tokenizer();
    if (!encoder || !subject.can("score"))
      throw Error("the loss of a target needs a model that scores text; one that only reads both ways does not");
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = false, .most = p_.most});
    Tally all;
    std::size_t cut = 0;
    Batch batch;
    while (reader->next(batch)) {
      mark_target(batch, p_.data.text);
      auto tallies = targets(batch, encoder->reserved("unk"));
      const auto scores = subject.score(batch);
      for (std::size_t i = 0; i < tallies.size(); ++i) {
        auto& one = tallies[i];
        one.nats = scores.at(i).nats;
        const auto& id = batch.strings("id").at(i);
        if (scores[i].tokens != one.tokens)
          throw Error("the model scores " + std::to_string(scores[i].tokens) + " tokens of " + backquoted(id) +
                      ", its target has " + std::to_string(one.tokens) + "; only these may be scored");
        if (one.bytes == 0) {
          ++cut;
          continue;
        }
        item(id, one, context.recorder());
        all.nats += one.nats, all.tokens += one.tokens, all.bytes += one.bytes, all.unknown += one.unknown;
      }
    }
    if (all.bytes == 0)
      throw Error("no target of " + backquoted(p_.data.text) + " lies within the tokens that are read", Exit::data);
    if (cut > 0)
      context.recorder().note(count(cut, "document") + " of " + backquoted(p_.data.text) +
                              " have no target within the tokens that are read; they are left out");
    record(*encoder, all, context.recorder());
  }

 private:
  double normalised(const Tally& tally) const {
    return 1 - tally.nats / static_cast<double>(tally.bytes) / p_.reference;
  }

  void item(const std::string& id, const Tally& one, Recorder& recorder) const {
    recorder.item("documents", id, "nats_per_token", one.nats / static_cast<double>(one.tokens));
    recorder.item("documents", id, "nats_per_byte", one.nats / static_cast<double>(one.bytes));
    recorder.item("documents", id, "normalised", normalised(one));
    recorder.item("documents", id, "unknown", static_cast<double>(one.unknown) / static_cast<double>(one.tokens));
  }

  void record(const Encoder& encoder, const Tally& all, Recorder& recorder) const {
    recorder.metric("nats_per_token", all.nats / static_cast<double>(all.tokens),
                    {"nats/token", sha256(encoder.json()), p_.data.text, "1"});
    recorder.metric("nats_per_byte", all.nats / static_cast<double>(all.bytes), {"nats/byte", {}, p_.data.text, "1"});
    recorder.metric("unknown", static_cast<double>(all.unknown) / static_cast<double>(all.tokens),
                    {"share", {}, p_.data.text, "1"});
    // Numbers against another reference are other numbers.
    recorder.metric("normalised", normalised(all),
                    {"share", {}, p_.data.text, "1, " + number_text(p_.reference) + " nats/byte"});
  }

  Params p_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(target_loss) {
  registry.add<xp::TargetLoss>("target_loss", "Loss of a target text given its source and the target before.");
}
