#pragma once
// What happens between backward and update: groups of parameters, clipping, what constraints leave, messages.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/constraint.h"
#include "api/objective.h"
#include "api/optimizer.h"

namespace xp {

/// No decay for norms, biases and scalars; layer i of n is scaled by layer_decay^(n - i), embeddings below the first,
/// heads above the last; `lr_mult` gives a factor for each full name. `all` must outlive the groups.
std::vector<ParameterGroup> parameter_groups(const Parameters& all, const std::vector<Param>& distinct,
                                             const OptimizerPolicy& policy,
                                             const std::function<double(const std::string&)>& lr_mult = {});

/// Norm of all gradients together before clipping; they are scaled so that it is at most `most` (0: not scaled).
double clip_gradients(const Parameters& all, const std::vector<Param>& distinct, double most);

/// Share of weights in matrices that constraints leave non-zero: what a sparse kernel would still multiply.
double density(const Parameters& all, const std::vector<Param>& distinct,
               const std::vector<std::unique_ptr<Constraint>>& constraints);

/// Messages of a step that somebody subscribed to, with the batch columns that the listener wants back.
void add_feedback(const StepResult& result, const Batch& batch, std::int64_t step,
                  const std::vector<Subscription>& wishes, std::vector<Feedback>& into);

}  // namespace xp
