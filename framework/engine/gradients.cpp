#include "engine/gradients.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "api/ops.h"

namespace xp {

std::vector<ParameterGroup> parameter_groups(const Parameters& all, const std::vector<Param>& distinct,
                                             const OptimizerPolicy& policy,
                                             const std::function<double(const std::string&)>& lr_mult) {
  int layers = 0;
  for (const auto& info : all.info) layers = std::max(layers, info.layer + 1);
  std::map<std::tuple<bool, int, double>, ParameterGroup> groups;  // (decays, layer, factor)
  for (const auto i : distinct) {
    const auto& info = all.info[i];
    const bool decays =
        info.role != "norm" && info.role != "bias" && info.role != "vocab.bias" && info.role != "scalar";
    const bool below = info.role == "vocab.input" || info.role == "position";
    const int layer = info.layer >= 0 ? info.layer + 1 : below ? 0 : layers + 1;
    const double factor = lr_mult ? lr_mult(info.name) : 1;
    auto& group = groups[{decays, policy.layer_decay == 1 ? 0 : layer, factor}];
    group.tensors.push_back(&all.values[i]);
    group.weight_decay = decays ? policy.weight_decay : 0;
    group.lr_scale = factor * (policy.layer_decay == 1 ? 1 : std::pow(policy.layer_decay, layers + 1 - layer));
  }
  std::vector<ParameterGroup> list;
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  return list;
}

double clip_gradients(const Parameters& all, const std::vector<Param>& distinct, double most) {
  std::vector<at::Tensor> gradients;
  for (const auto i : distinct)
    if (all.values[i].grad().defined()) gradients.push_back(all.values[i].grad());
  if (gradients.empty()) return 0;
  const at::NoGradGuard quiet;
  const double norm = ops::stack(at::_foreach_norm(gradients)).norm().item<double>();
  if (most > 0 && std::isfinite(norm) && norm > most) at::_foreach_mul_(gradients, most / (norm + 1e-6));
  return norm;
}

double density(const Parameters& all, const std::vector<Param>& distinct,
               const std::vector<std::unique_ptr<Constraint>>& constraints) {
  if (constraints.empty()) return 1;
  double kept = 0, whole = 0;
  for (const auto i : distinct) {
    if (all.values[i].dim() < 2) continue;
    double share = 1;
    for (const auto& constraint : constraints) share *= constraint->density(all.info[i]);
    kept += share * static_cast<double>(all.values[i].numel()), whole += static_cast<double>(all.values[i].numel());
  }
  return whole > 0 ? kept / whole : 1;
}

void add_feedback(const StepResult& result, const Batch& batch, std::int64_t step,
                  const std::vector<Subscription>& wishes, std::vector<Feedback>& into) {
  for (const auto& message : result.feedback)
    for (const auto& wish : wishes) {
      if (wish.topic != message.topic) continue;
      Feedback back{message.topic, step, {}};
      const auto put = [&](const std::string& name, const at::Tensor& tensor) {
        const auto flat = tensor.detach().to(at::kLong).cpu().contiguous();
        const auto* data = flat.const_data_ptr<std::int64_t>();
        back.values[name] = Ints{{data, data + flat.numel()}, flat.sizes().vec()};
      };
      for (const auto& [name, tensor] : message.values) put(name, tensor);
      for (const auto& name : wish.echo) put(name, batch.dense(name));
      into.push_back(std::move(back));
      break;
    }
}

}  // namespace xp
