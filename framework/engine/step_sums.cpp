#include "engine/step_sums.h"

#include <c10/core/GradMode.h>

#include <algorithm>

#include "base/text.h"

namespace xp {
namespace {

double total(const at::Tensor& t) { return t.detach().sum(at::kDouble).item<double>(); }

void sum_gradients(Processes& processes, const Parameters& all, const std::vector<Param>& distinct) {
  const at::NoGradGuard quiet;
  std::vector<double> there;
  for (const auto i : distinct) there.push_back(all.values[i].grad().defined() ? 1 : 0);
  processes.sum(there);
  std::vector<at::Tensor> gradients;
  for (std::size_t k = 0; k < distinct.size(); ++k) {
    if (there[k] == 0) continue;
    auto& gradient = all.values[distinct[k]].mutable_grad();
    if (!gradient.defined()) gradient = all.values[distinct[k]].new_zeros(all.values[distinct[k]].sizes());
    gradients.push_back(gradient);
  }
  processes.sum(gradients);
}

}  // namespace

void StepSums::count(const Objective& objective, const std::vector<Batch>& micro, Processes& processes) {
  for (const auto& batch : micro)
    for (const auto& [name, n] : objective.counts(batch)) counts[name] += total(n);
  processes.sum({&counts});
}

at::Tensor StepSums::add(const StepResult& result, const std::string& objective) {
  at::Tensor sum;
  for (const auto& term : result.terms) {
    const auto found = counts.find(term.name);
    if (found == counts.end())
      throw Error("objective " + backquoted(objective) + " gave the term " + backquoted(term.name) +
                  " that its counts() does not have");
    const double n = std::max(found->second, 1.0);
    const double value = total(term.sum) / n;
    terms[term.name] += value, loss += term.weight * value;
    if (!term.sum.requires_grad() || found->second == 0) continue;
    const auto part = term.sum.sum().mul(term.weight / n);
    sum = sum.defined() ? sum.add(part) : part;
  }
  for (const auto& metric : result.metrics)
    metrics[metric.name] += total(metric.sum), metric_counts[metric.name] += total(metric.count);
  return sum;
}

void StepSums::exchange(Processes& processes, const Parameters& all, const std::vector<Param>& distinct) {
  if (processes.alone()) return;
  std::map<std::string, double> scalars{{"loss", loss}, {"flops", flops}};
  processes.sum({&terms, &metrics, &metric_counts, &scalars});
  loss = scalars.at("loss"), flops = scalars.at("flops");
  sum_gradients(processes, all, distinct);
}

void StepSums::report(StepReport& out) const {
  out.loss = loss;
  for (const auto& [name, value] : terms) out.terms[name] = value;
  for (const auto& [name, value] : metrics) out.metrics[name] = value / std::max(metric_counts.at(name), 1.0);
}

}  // namespace xp
