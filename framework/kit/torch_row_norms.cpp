#include <algorithm>

#include "api/ops.h"
#include "base/error.h"
#include "kit/row_norms.h"
#include "kit/text_files.h"
#include "kit/vocab_tables.h"

namespace xp {
namespace {

double median(std::vector<double> numbers) {
  const auto middle = numbers.begin() + std::ssize(numbers) / 2;
  std::nth_element(numbers.begin(), middle, numbers.end());
  if (numbers.size() % 2) return *middle;
  return (*middle + *std::max_element(numbers.begin(), middle)) / 2;
}

std::string script_of(const Encoder& encoder, TokenId id) {
  const auto key = encoder.key(id);
  return key.kind == TokenKind::text ? script_of_text(key.bytes, "und") : std::string();
}

}  // namespace

RowNorms::RowNorms(const VocabSetting& setting, NormMatch match) : setting_(setting), match_(match) {
  if (match == NormMatch::none) return;
  const auto& weights = weights_of(setting);
  const auto inputs = weights.select("role:vocab.input");
  if (inputs.empty()) throw Error("rows have no norm to match: the model has no table with role vocab.input");
  table_ = weights.values[inputs.front()].detach().narrow(0, 0, setting.source.size());
  std::vector<double> norms;
  double sum = 0;
  for (TokenId id = 0; id < setting.source.size(); ++id) {
    norms.push_back(table_[id].to(at::kDouble).norm().item<double>());
    sum += norms.back();
  }
  wanted_ = match == NormMatch::mean ? sum / static_cast<double>(norms.size()) : median(norms);
  if (match != NormMatch::script_median) return;
  std::map<std::string, std::vector<double>> groups;
  for (TokenId id = 0; id < setting.source.size(); ++id)
    if (auto script = script_of(setting.source, id); !script.empty())
      groups[std::move(script)].push_back(norms[static_cast<std::size_t>(id)]);
  for (const auto& [script, own] : groups) by_script_.emplace(script, median(own));
}

void RowNorms::apply(MixPlan& plan, TokenId row) const {
  if (match_ == NormMatch::none) return;
  auto parts = plan.rows()[static_cast<std::size_t>(row)].parts;
  auto mix = ops::zeros({table_.size(1)}, at::kDouble);
  for (const auto& part : parts) mix = mix.add(table_[part.source].to(at::kDouble), part.weight);
  const double norm = mix.norm().item<double>();
  if (norm == 0) return;
  const auto own = by_script_.find(match_ == NormMatch::script_median ? script_of(setting_.target, row) : "");
  for (auto& part : parts) part.weight *= (own == by_script_.end() ? wanted_ : own->second) / norm;
  plan.set_role_parts(row, "vocab.input", std::move(parts));
}

}  // namespace xp
