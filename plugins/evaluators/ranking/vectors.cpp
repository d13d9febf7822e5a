#include "vectors.h"

#include <algorithm>
#include <numeric>

#include "api/ops.h"
#include "base/text.h"
#include "kit/tensors.h"
#include "kit/torch_operators.h"

namespace xp::ranking {
namespace {

constexpr std::int64_t kTokens = 8192;  ///< of a batch, padding included
constexpr std::int64_t kUsual = 512;    ///< tokens of an input where the model takes any number

struct Row {
  std::vector<std::int64_t> ids, segment;
};

/// Cuts and joins the tokens of texts.
class Inputs {
 public:
  Inputs(const Handle& subject, std::int64_t max_time) {
    encoder_ = subject.tokenizer();
    if (!encoder_) throw Error("this evaluator gives a model texts to read, and this model reads none");
    const auto takes = subject.shape().max_time;
    room_ = max_time > 0 ? max_time : takes > 0 ? takes : kUsual;
    if (takes > 0) room_ = std::min(room_, takes);
    const auto frame = encoder_->around();
    begin_ = frame.begin, end_ = frame.end;
  }
  Row single(const std::string& text) const {
    const auto room = room_for(1);
    Row row;
    special(row, begin_, 0), tokens(row, encoder_->encode(text), room, 0), special(row, end_, 0);
    return row;
  }
  Row pair(const std::string& first, const std::string& second) const {
    const auto room = room_for(2);
    const auto a = encoder_->encode(first), b = encoder_->encode(second);
    const auto of_second = std::min(std::ssize(b), (room + (end_ ? 1 : 0)) / 2);
    Row row;
    special(row, begin_, 0), tokens(row, a, room - of_second, 0), special(row, end_, 0);
    tokens(row, b, of_second, 1), special(row, end_, 1);
    return row;
  }
  std::int64_t pad() const { return encoder_->reserved("pad").value_or(0); }

 private:
  std::int64_t room_for(std::int64_t texts) const {
    const auto room = room_ - (begin_ ? 1 : 0) - (end_ ? texts : 0);
    if (room < texts)
      throw Error("inputs of " + count(static_cast<std::size_t>(room_), "token") + " leave no room for " +
                  count(static_cast<std::size_t>(texts), "text") + "; raise `max_time`");
    return room;
  }
  static void special(Row& row, const std::optional<TokenId>& id, std::int64_t segment) {
    if (id) row.ids.push_back(*id), row.segment.push_back(segment);
  }
  static void tokens(Row& row, const std::vector<Token>& all, std::int64_t most, std::int64_t segment) {
    for (std::int64_t i = 0; i < std::min(most, std::ssize(all)); ++i)
      row.ids.push_back(all[static_cast<std::size_t>(i)].id), row.segment.push_back(segment);
  }

  const Encoder* encoder_ = nullptr;
  std::int64_t room_ = 0;
  std::optional<TokenId> begin_, end_;
};

Batch batch_of(const std::vector<Row>& rows, const std::vector<std::size_t>& which, std::int64_t time,
               std::int64_t pad) {
  const auto n = std::ssize(which);
  Batch batch;
  batch.sample_id = ops::empty({n}, at::kLong);
  const auto ids = ops::full({n, time}, pad, at::kLong), segment = ops::zeros({n, time}, at::kLong);
  const auto mask = ops::full({n, time}, false, at::kBool);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& row = rows[which[static_cast<std::size_t>(i)]];
    batch.sample_id.mutable_data_ptr<std::int64_t>()[i] =
        static_cast<std::int64_t>(which[static_cast<std::size_t>(i)]);
    std::copy(row.ids.begin(), row.ids.end(), ids.mutable_data_ptr<std::int64_t>() + i * time);
    std::copy(row.segment.begin(), row.segment.end(), segment.mutable_data_ptr<std::int64_t>() + i * time);
    std::fill_n(mask.mutable_data_ptr<bool>() + i * time, row.ids.size(), true);
  }
  batch.group_id = batch.sample_id;
  batch.set("ids", ids), batch.set("segment", segment), batch.set("input.mask", mask);
  return batch;
}

/// Inputs of similar length share a batch, so that little of it is padding; no result depends on it.
void for_batches(const std::vector<Row>& rows, std::int64_t pad,
                 const std::function<void(const Batch&, const std::vector<std::size_t>&)>& visit) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].ids.size() < rows[b].ids.size(); });
  std::vector<std::size_t> which;
  const auto time = [&](std::size_t i) { return std::max<std::int64_t>(std::ssize(rows[i].ids), 1); };
  for (std::size_t at = 0; at < order.size(); ++at) {
    which.push_back(order[at]);
    const bool last = at + 1 == order.size();
    if (!last && (std::ssize(which) + 1) * time(order[at + 1]) <= kTokens) continue;
    visit(batch_of(rows, which, time(order[at]), pad), which);
    which.clear();
  }
}

}  // namespace

at::Tensor unit_vectors(Handle& subject, const std::vector<std::string>& texts, const Reading& how) {
  const Inputs inputs(subject, how.max_time);
  std::vector<Row> rows;
  for (const auto& text : texts) rows.push_back(inputs.single(text));
  std::vector<at::Tensor> parts;
  std::vector<std::int64_t> places(rows.size());
  std::int64_t next = 0;
  for_batches(rows, inputs.pad(), [&](const Batch& batch, const std::vector<std::size_t>& which) {
    const auto pooled = subject.encode(batch, {.pooling = how.pooling}).pooled.to(at::kDouble);
    parts.push_back(pooled.div(pooled.norm(2, {1}, true).clamp_min(1e-12)).to(at::kFloat));
    for (const auto text : which) places[text] = next++;
  });
  return ops::cat(parts).index_select(0, tensor_of(places));
}

std::vector<double> pair_scores(Handle& subject, const std::vector<std::pair<std::string, std::string>>& pairs,
                                const std::string& field, const Reading& how) {
  const Inputs inputs(subject, how.max_time);
  std::vector<Row> rows;
  for (const auto& [first, second] : pairs) rows.push_back(inputs.pair(first, second));
  std::vector<double> out(rows.size());
  for_batches(rows, inputs.pad(), [&](const Batch& batch, const std::vector<std::size_t>& which) {
    const auto scores = subject.predict(batch, field).to(at::kDouble);
    if (scores.dim() != 2 || scores.size(0) != batch.items() || scores.size(1) == 0)
      throw Error("the model gives no scores of the shape [pairs, classes] for " + backquoted(field));
    const auto classes = scores.size(1);
    auto one = scores.select(1, classes - 1);
    if (classes > 1) one = one - scores.narrow(1, 0, classes - 1).logsumexp(1);
    one = one.contiguous();
    for (std::size_t i = 0; i < which.size(); ++i) out[which[i]] = one.const_data_ptr<double>()[i];
  });
  return out;
}

}  // namespace xp::ranking
