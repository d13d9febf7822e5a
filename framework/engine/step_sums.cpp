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

/// Calls visit(source, number) for each item of [items] numbers.
template <class Visit>
void by_source(const at::Tensor& numbers, const Batch& batch, const Visit& visit) {
  const auto own = numbers.detach().to(at::TensorOptions(at::kCPU).dtype(at::kDouble)).contiguous();
  const auto& sources = batch.strings("source");
  if (own.dim() != 1 || own.size(0) != std::ssize(sources)) return;
  for (std::int64_t i = 0; i < own.size(0); ++i)
    visit(sources[static_cast<std::size_t>(i)], own.const_data_ptr<double>()[i]);
}

std::string key(const std::string& term, const std::string& source) { return term + "\x1f" + source; }

}  // namespace

StepSums::StepSums(const Strings& sources) {
  if (sources.size() < 2) return;
  for (const auto& source : sources) source_loss[source] = 0;
}

void StepSums::count(const Objective& objective, const std::vector<Batch>& micro, Processes& processes) {
  for (const auto& batch : micro)
    for (const auto& [name, n] : objective.counts(batch)) {
      counts[name] += total(n);
      for (const auto& [source, loss] : source_loss) source_counts[key(name, source)];  // of all, in each process
      if (!source_loss.empty())
        by_source(n, batch, [&](const std::string& source, double x) { source_counts[key(name, source)] += x; });
    }
  processes.sum(std::vector<std::map<std::string, double>*>{&counts, &source_counts});
}

double StepSums::supervised() const {
  double all = 0;
  for (const auto& [name, n] : counts) all += n;
  return all;
}

at::Tensor StepSums::add(const StepResult& result, const Batch& batch, const std::string& objective) {
  at::Tensor sum;
  for (const auto& term : result.terms) {
    const auto found = counts.find(term.name);
    if (found == counts.end())
      throw Error("objective " + backquoted(objective) + " gave the term " + backquoted(term.name) +
                  " that its counts() does not have");
    const double n = std::max(found->second, 1.0);
    const double value = total(term.sum) / n;
    terms[term.name] += value, loss += term.weight * value;
    if (!source_loss.empty())
      by_source(term.sum, batch, [&](const std::string& source, double x) {
        source_loss[source] += term.weight * x / std::max(source_counts[key(term.name, source)], 1.0);
      });
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
  processes.sum(
      std::vector<std::map<std::string, double>*>{&terms, &metrics, &metric_counts, &scalars, &source_loss});
  loss = scalars.at("loss"), flops = scalars.at("flops");
  sum_gradients(processes, all, distinct);
}

void StepSums::report(StepReport& out) const {
  out.loss = loss;
  for (const auto& [name, value] : terms) out.terms[name] = value;
  for (const auto& [source, value] : source_loss)
    if (std::any_of(counts.begin(), counts.end(), [&](const auto& term) {
          const auto found = source_counts.find(key(term.first, source));
          return found != source_counts.end() && found->second > 0;
        }))
      out.by_source[source] = value;
  for (const auto& [name, value] : metrics) out.metrics[name] = value / std::max(metric_counts.at(name), 1.0);
}

void record_step(Recorder& recorder, const StepReport& report, const Counters& at,
                 const std::map<std::string, double>& knobs, const std::string& split) {
  recorder.point("loss", report.loss, at, {.unit = "nats", .tokenizer = {}, .split = split, .version = "1"});
  for (const auto& [name, value] : report.by_source)
    recorder.point("loss[" + name + "]", value, at, {.unit = "nats"});
  if (report.terms.size() > 1)
    for (const auto& [name, value] : report.terms) recorder.point("term." + name, value, at, {.unit = "nats"});
  for (const auto& [name, value] : report.metrics) recorder.point("train." + name, value, at);
  recorder.point("lr", report.lr, at);
  recorder.point("gradient_norm", report.gradient_norm, at);
  for (const auto& [name, value] : knobs) recorder.point("knob." + name, value, at);
}

}  // namespace xp
