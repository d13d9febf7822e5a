#include "answer.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "api/ops.h"
#include "base/text.h"
#include "kit/generation.h"
#include "kit/torch_losses.h"

namespace xp::denoise {

at::Tensor Passes::read(const at::Tensor& source, const at::Tensor& mask) const {
  return context.forward("primary", {.ids = source, .mask = mask, .sample_id = sample_id}, {.tokens = true}).tokens;
}

at::Tensor Passes::predict(const at::Tensor& memory, const at::Tensor& mask, const at::Tensor& target,
                           const at::Tensor& at) const {
  const ForwardInput in{.ids = ops::constant_pad_nd(target, {1, -1}, reserved.end),
                        .causal = true,
                        .memory = memory,
                        .memory_mask = mask,
                        .sample_id = sample_id};
  return context.logits("primary", context.forward("primary", in, {.at = at}).picked);
}

namespace {

/// Rows of unequal length, padded: [rows, longest].
at::Tensor padded(const std::vector<Ids>& rows, std::int64_t pad, const at::Tensor& like) {
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  Ids flat;
  for (const auto& row : rows) {
    flat.insert(flat.end(), row.begin(), row.end());
    flat.resize(flat.size() + longest - row.size(), pad);
  }
  return ops::tensor(flat).view({std::ssize(rows), static_cast<std::int64_t>(longest)}).to(like.device());
}

/// A text whose marked tokens are a task: what stands around them is the source, with a sentinel for each run.
struct Question {
  Ids source, target;
  Ids labels;  ///< of target: the id where it is asked for, else -1

  Question(const Reserved& r, const Ids& ids, const std::vector<bool>& marked) : source{r.mode} {
    std::size_t runs = 0;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (!marked[t]) {
        if (ids[t] != r.begin && ids[t] != r.end) source.push_back(ids[t]);
        continue;
      }
      if (t == 0 || !marked[t - 1]) open(r, runs++);
      target.push_back(ids[t]), labels.push_back(ids[t]);
    }
    if (runs == 0) open(r, 0);
    source.push_back(r.end);
  }

 private:
  void open(const Reserved& r, std::size_t run) {
    if (run >= r.sentinels.size())
      throw Error("a text has more than " + count(r.sentinels.size(), "run") +
                  " of target tokens, and no sentinel for the next");
    source.push_back(r.sentinels[run]), target.push_back(r.sentinels[run]), labels.push_back(-1);
  }
};

/// What is written behind the first sentinel, read again at every token.
class Answers final : public OpenTexts {
 public:
  Answers(Passes passes, const at::Tensor& source)
      : passes_(std::move(passes)), mask_(source.ge(0)), memory_(passes_.read(source.clamp_min(0), mask_)) {
    written_ = ops::full({source.size(0), 1}, passes_.reserved.sentinels.front(), memory_.options().dtype(at::kLong));
  }
  at::Tensor start() override {
    // The last place is asked for; what stands there is not read.
    const auto ids = ops::constant_pad_nd(written_, {0, 1}, 0);
    const auto at = ops::arange(1, ids.size(0) + 1, ids.options()).mul(ids.size(1)).sub(1);
    return passes_.predict(memory_, mask_, ids, at);
  }
  at::Tensor next(const at::Tensor& ids) override {
    written_ = ops::cat({written_, ids.unsqueeze(1)}, 1);
    return start();
  }
  void select(const at::Tensor& rows) override {
    for (auto* one : {&mask_, &memory_, &written_}) *one = one->index_select(0, rows);
    passes_.sample_id = passes_.sample_id.index_select(0, rows.cpu());
  }

 private:
  Passes passes_;
  at::Tensor mask_, memory_, written_;
};

/// Scores and generates as the model was trained: a text's missing part behind its sentinel.
class DenoiseHandle final : public WrappedHandle {
 public:
  DenoiseHandle(std::shared_ptr<StepContext> context, Handle& plain, Reserved reserved)
      : WrappedHandle(plain), context_(std::move(context)), reserved_(std::move(reserved)) {}

  bool can(std::string_view what) const override {
    return what == "score" || (what == "generate" && plain_.tokenizer()) || plain_.can(what);
  }

  std::vector<Score> score(const Batch& batch) override {
    const at::NoGradGuard quiet;
    const auto& ids = batch.dense("ids");
    const auto asked = questions(batch, true);
    std::vector<Ids> sources, targets, labels;
    for (const auto& one : asked)
      sources.push_back(one.source), targets.push_back(one.target), labels.push_back(one.labels);
    const auto source = padded(sources, -1, ids);
    const auto picked = labelled(padded(labels, -1, ids));
    const Passes passes{*context_, reserved_, batch.sample_id};
    const auto memory = passes.read(source.clamp_min(0), source.ge(0));
    const auto logits = passes.predict(memory, source.ge(0), padded(targets, 0, ids), picked.at);
    const auto nats = cross_entropy_by_item(logits, picked, batch.items()).to(at::kDouble).cpu();
    std::vector<Score> out;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      Score one{.nats = nats[static_cast<std::int64_t>(i)].item<double>(),
                .tokens = std::ssize(labels[i]) - std::count(labels[i].begin(), labels[i].end(), -1)};
      if (batch.has("bytes") && !batch.has("target"))
        one.bytes = batch.dense("bytes")[static_cast<std::int64_t>(i)].item<std::int64_t>();
      out.push_back(one);
    }
    return out;
  }

  /// Ends at any reserved id.
  Strings generate(const Batch& batch, const Table& table, RandomStream random) override {
    const at::NoGradGuard quiet;
    const auto* encoder = plain_.tokenizer();
    if (!encoder) throw Error("text cannot be generated without a tokenizer");
    const auto sampling = Decoding::read(table);
    const auto limit = plain_.shape().max_time;
    Limits limits{[this](TokenId id) { return is_reserved(id); }, {}};
    limits.room.assign(static_cast<std::size_t>(batch.items()), limit > 0 ? limit - 1 : sampling.max_tokens);
    std::vector<Ids> sources;
    std::vector<RandomStream> streams;
    for (const auto& one : questions(batch, false)) {
      sources.push_back(one.source);
      const auto id = batch.sample_id[std::ssize(streams)].item<std::int64_t>();
      streams.push_back(random.fork(static_cast<std::uint64_t>(id) | 1ull << 63));
    }
    Answers answers(Passes{*context_, reserved_, batch.sample_id}, padded(sources, -1, batch.dense("ids")));
    Strings out;
    for (const auto& tokens : xp::generate(answers, sampling, limits, streams))
      out.push_back(encoder->decode(tokens));
    return out;
  }

 private:
  /// Marked are the tokens of `target`, or all where there is no such field; the first has nothing before it. Not
  /// `with_target`: they are left out, and the answer goes at the end.
  std::vector<Question> questions(const Batch& batch, bool with_target) const {
    const auto ids = batch.dense("ids").cpu().contiguous();
    const auto mask = batch.dense("input.mask").cpu();
    const bool marks = batch.has("target");
    auto marked = marks ? batch.dense("target").cpu().ne(0).logical_and(mask) : mask.clone();
    if (marked.size(1) > 0) marked.select(1, 0).fill_(false);
    if (!marks && !with_target) marked.fill_(false);
    marked = marked.contiguous();
    std::vector<Question> out;
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      Ids own;
      std::vector<bool> own_marks;
      const auto length = mask[i].sum().item<std::int64_t>();
      const auto* id = ids.const_data_ptr<std::int64_t>() + i * ids.size(1);
      const auto* mark = marked.const_data_ptr<bool>() + i * ids.size(1);
      for (std::int64_t t = 0; t < length; ++t)
        if (with_target || !mark[t]) own.push_back(id[t]), own_marks.push_back(mark[t]);
      out.emplace_back(reserved_, own, own_marks);
    }
    return out;
  }

  bool is_reserved(std::int64_t token) const {
    for (const auto& [purpose, id] : plain_.tokenizer()->purposes())
      if (id == token) return true;
    return false;
  }

  std::shared_ptr<StepContext> context_;
  Reserved reserved_;
};

}  // namespace

std::unique_ptr<Handle> make_handle(std::shared_ptr<StepContext> context, Handle& plain, Reserved reserved) {
  return std::make_unique<DenoiseHandle>(std::move(context), plain, std::move(reserved));
}

}  // namespace xp::denoise
