#include "api/ops.h"
#include "api/parameters.h"
#include "kit/donor_rows.h"
#include "kit/tensors.h"
#include "kit/vocab_tables.h"

namespace xp {
namespace {

at::Tensor rows_of(const at::Tensor& table, const std::vector<std::optional<Match>>& matches) {
  auto out = ops::zeros({std::ssize(matches), table.size(1)}, at::kDouble);
  std::vector<std::int64_t> to, from;
  for (std::size_t id = 0; id < matches.size(); ++id)
    if (matches[id]) to.push_back(static_cast<std::int64_t>(id)), from.push_back(matches[id]->source);
  if (to.empty()) return out;
  return out.index_copy(0, tensor_of(to), table.detach().index_select(0, tensor_of(from)).to(at::kDouble));
}

}  // namespace

DonorRows donor_rows(const VocabSetting& setting, const MixPlan& plan) {
  if (!setting.donor)
    throw Error("this initializer compares rows of another model: give it `donor`, a model of the new vocabulary",
                Exit::usage);
  const auto& weights = setting.donor->checkpoint.parameters;
  const auto inputs = weights.select("role:vocab.input"), outputs = weights.select("role:vocab.output");
  if (inputs.empty()) throw Error("the donor has no table with role vocab.input");
  const auto matches = match_vocabularies(setting.donor->tokenizer, setting.target, {MatchLevel::exact});
  DonorRows out;
  const auto& table = weights.values[inputs.front()];
  out.input = rows_of(table, matches);
  if (!outputs.empty() && weights.values[outputs.front()].unsafeGetTensorImpl() != table.unsafeGetTensorImpl())
    out.output = rows_of(weights.values[outputs.front()], matches);
  for (const auto& match : matches) out.covered.push_back(match.has_value());
  for (const auto& anchor : anchors_of(plan))
    if (out.covered[static_cast<std::size_t>(anchor.target)]) out.anchors.push_back(anchor);
  if (out.anchors.empty())
    throw Error("no token stands in the old vocabulary, the new one and the donor's, so rows cannot be compared",
                Exit::usage);
  return out;
}

std::vector<std::pair<std::string, at::Tensor>> old_tables(const VocabSetting& setting) {
  std::vector<std::pair<std::string, at::Tensor>> out;
  const auto& weights = weights_of(setting);
  for (const auto i : vocab_params(weights)) {
    const auto rows = weights.values[i].detach().narrow(0, 0, setting.source.size());
    out.emplace_back(weights.info[i].role, rows.to(at::kDouble).reshape({setting.source.size(), -1}));
  }
  return out;
}

}  // namespace xp
