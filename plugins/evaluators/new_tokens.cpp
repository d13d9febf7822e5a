#include <algorithm>

#include "api/batch.h"
#include "api/evaluator.h"
#include "api/ops.h"
#include "base/digest.h"
#include "base/text.h"
#include "kit/matching.h"
#include "plugin/plugin.h"

namespace xp {
namespace {

constexpr std::int64_t kMostNumbers = std::int64_t{1} << 24;  // of logits at once

/// Predicted tokens of some text, by whether the right one is new.
struct Tally {
  std::int64_t fresh = 0, old = 0, chosen = 0;  ///< chosen: the likeliest token is new
  double rank = 0, top1 = 0, top10 = 0, mass = 0, leak = 0;
  void add(const Tally& other) {
    fresh += other.fresh, old += other.old, chosen += other.chosen;
    rank += other.rank, top1 += other.top1, top10 += other.top10, mass += other.mass, leak += other.leak;
  }
};

/// What a causal model knows of tokens that an old vocabulary lacks, each predicted from the right tokens before it.
/// The rank of a token is 1 + the number of likelier ones; equally likely ones count half.
class NewTokens final : public Evaluator {
 public:
  struct Params {
    Reference data, old;
    std::int64_t max_time = 0, most = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::data, "data", "Documents to read.").artifact("dataset").evaluates().required();
      f.add(&Params::old, "old", "The tokenizer, or the model with it, whose tokens are not new.")
          .artifact("tokenizer")
          .required();
      f.add(&Params::max_time, "max_time", "Tokens per window; 0: what the model takes.").min(0);
      f.add(&Params::most, "most", "Documents to read; 0: all.").min(0);
      f.needs("capability", "primary:causal");
      f.needs("capability", "primary:logits");
      f.gives("metric", "rank", "rank");
      f.gives("metric", "top1", "share");
      f.gives("metric", "top10", "share");
      f.gives("metric", "mass", "share");
      f.gives("metric", "leak", "share");
      f.gives("metric", "text", "share");
      f.gives("metric", "chosen", "share");
    }
  };
  explicit NewTokens(Params params) : p_(std::move(params)) {}

  void evaluate(Handle& subject, EvaluationContext& context) override {
    const auto* encoder = subject.tokenizer();
    if (!encoder || !subject.can("logits") || !subject.has("causal"))
      throw Error("new tokens are predicted from left to right; that needs a causal model of text");
    const auto old = context.tokenizer(p_.old);
    if (!old) throw Error(backquoted(p_.old.text) + " has no tokenizer", Exit::data);
    find_new(*old, *encoder, subject.shape().classes);
    if (!new_.any().item<bool>())
      return context.recorder().note("no token of the model is new against " + backquoted(p_.old.text));
    documents_.clear();
    const auto reader = context.read(p_.data, {.max_time = p_.max_time, .windows = true, .most = p_.most});
    Batch batch;
    while (reader->next(batch)) add(subject, batch);
    record(*encoder, context.recorder());
  }

 private:
  void find_new(const Encoder& old, const Encoder& encoder, std::int64_t classes) {
    const auto match = match_vocabularies(old, encoder, {MatchLevel::exact});
    new_ = ops::zeros({classes});
    auto* flag = new_.mutable_data_ptr<float>();
    for (std::size_t id = 0; id < match.size() && std::cmp_less(id, classes); ++id)
      flag[id] = !match[id] && encoder.key(static_cast<TokenId>(id)).kind != TokenKind::special;
  }

  void add(Handle& subject, const Batch& batch) {
    const auto ids = batch.dense("ids").contiguous(), words = batch.dense("word").contiguous();
    const auto time = ids.size(1);
    std::vector<std::int64_t> places;
    std::vector<std::size_t> owners;
    for (std::int64_t item = 0; item < batch.items(); ++item) {
      const auto& id = batch.strings("id").at(static_cast<std::size_t>(item));
      if (documents_.empty() || documents_.back().first != id) documents_.emplace_back(id, Tally{});
      for (std::int64_t t = 0; t + 1 < time; ++t)
        if (words.const_data_ptr<std::int64_t>()[item * time + t + 1] >= 0)
          places.push_back(item * time + t), owners.push_back(documents_.size() - 1);
    }
    if (places.empty()) return;
    const auto at = ops::tensor(places);
    const auto picked = subject.encode(batch, {.at = at}).picked;
    const auto gold = ids.flatten().index_select(0, at + 1);
    const auto step = std::max<std::int64_t>(1, kMostNumbers / new_.size(0));
    for (std::int64_t from = 0; from < at.size(0); from += step) {
      const auto n = std::min(step, at.size(0) - from);
      count(subject.logits(picked.narrow(0, from, n)), gold.narrow(0, from, n),
            std::span(owners).subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(n)));
    }
  }

  void count(const at::Tensor& raw, const at::Tensor& gold, std::span<const std::size_t> owners) {
    const auto logits = raw.to(at::kFloat);
    const auto own = logits.gather(1, gold.unsqueeze(1));
    const auto likelier = logits.gt(own).sum(1), equal = logits.eq(own).sum(1) - 1;
    const auto ranks = (likelier.to(at::kDouble) + equal.to(at::kDouble) / 2 + 1).contiguous();
    const auto masses = logits.softmax(1).mv(new_).to(at::kDouble).contiguous();
    const auto fresh = new_.index_select(0, gold).contiguous(),
               chosen = new_.index_select(0, logits.argmax(1)).contiguous();
    for (std::size_t i = 0; i < owners.size(); ++i) {
      auto& one = documents_[owners[i]].second;
      const double rank = ranks.const_data_ptr<double>()[i], mass = masses.const_data_ptr<double>()[i];
      one.chosen += chosen.const_data_ptr<float>()[i] > 0;
      if (fresh.const_data_ptr<float>()[i] > 0)
        ++one.fresh, one.rank += rank, one.top1 += rank <= 1, one.top10 += rank <= 10, one.mass += mass;
      else
        ++one.old, one.leak += mass;
    }
  }

  void record(const Encoder& encoder, Recorder& recorder) const {
    Tally all;
    for (const auto& [id, one] : documents_) {
      all.add(one);
      for (const auto& [name, value] : metrics(one)) recorder.item("documents", id, name, value);
    }
    if (all.fresh + all.old == 0)
      throw Error(backquoted(p_.data.text) + " has no token that has others before it", Exit::data);
    const auto tokenizer = sha256(encoder.json());
    for (const auto& [name, value] : metrics(all))
      recorder.metric(name, value, {name == "rank" ? "rank" : "share", tokenizer, p_.data.text, "1, " + p_.old.text});
    if (all.fresh == 0)
      recorder.note("no token of " + backquoted(p_.data.text) + " is new against " + backquoted(p_.old.text));
  }

  /// Those that the text tells about: without new tokens in it there is no rank of one.
  static std::vector<std::pair<std::string, double>> metrics(const Tally& one) {
    const auto fresh = static_cast<double>(one.fresh), old = static_cast<double>(one.old);
    std::vector<std::pair<std::string, double>> out;
    if (one.fresh > 0)
      out = {{"rank", one.rank / fresh},
             {"top1", one.top1 / fresh},
             {"top10", one.top10 / fresh},
             {"mass", one.mass / fresh}};
    if (one.old > 0) out.emplace_back("leak", one.leak / old);
    if (one.fresh + one.old > 0) {
      out.emplace_back("text", fresh / (fresh + old));
      out.emplace_back("chosen", static_cast<double>(one.chosen) / (fresh + old));
    }
    return out;
  }

  Params p_;
  at::Tensor new_;  // [classes] float: 1 where a token is new
  std::vector<std::pair<std::string, Tally>> documents_;
};

}  // namespace
}  // namespace xp

XP_PLUGIN(new_tokens) {
  registry.add<xp::NewTokens>("new_tokens",
                              "Ranks of tokens that an old vocabulary lacks, and what they take from it.");
}
