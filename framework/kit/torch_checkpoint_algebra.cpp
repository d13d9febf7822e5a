#include "base/text.h"
#include "kit/checkpoint_algebra.h"

namespace xp {

void check_alike(std::span<const Checkpoint* const> checkpoints, std::string_view who) {
  const auto& first = *checkpoints.front();
  for (const auto* other : checkpoints) {
    const std::string front = std::string(who) + " combines models of one shape: ";
    if (other->type != first.type)
      throw Error(front + "one is of type " + backquoted(first.type) + ", another of type " +
                  backquoted(other->type));
    if (other->parameters.size() != first.parameters.size())
      throw Error(front + "one has " + count(first.parameters.size(), "parameter") + ", another " +
                  std::to_string(other->parameters.size()));
    for (Param i = 0; i < first.parameters.size(); ++i) {
      const auto& name = first.parameters.info[i].name;
      if (other->parameters.info[i].name != name)
        throw Error(front + "where one has " + backquoted(name) + ", another has " +
                    backquoted(other->parameters.info[i].name));
      if (other->parameters.values[i].sizes() != first.parameters.values[i].sizes())
        throw Error(front + backquoted(name) + " has another shape in one of them");
    }
    if (other->reserved != first.reserved)
      throw Error(front + "they reserve other ids, so their vocabularies differ");
  }
}

Checkpoint without_state(const Checkpoint& model) {
  Checkpoint out;
  out.type = model.type, out.settings = model.settings, out.parameters = model.parameters,
  out.reserved = model.reserved;
  out.objective = model.objective, out.objective_parameters = model.objective_parameters;
  out.categories = model.categories, out.role = model.role;
  for (const auto& tower : model.towers) out.towers.push_back(without_state(tower));
  return out;
}

Checkpoint with_values(const Checkpoint& model, const std::vector<at::Tensor>& values) {
  auto out = without_state(model);
  const auto distinct = model.parameters.distinct();
  for (std::size_t k = 0; k < distinct.size(); ++k) {
    const auto* old = model.parameters.values[distinct[k]].unsafeGetTensorImpl();
    for (Param i = 0; i < out.parameters.size(); ++i)
      if (model.parameters.values[i].unsafeGetTensorImpl() == old) out.parameters.values[i] = values.at(k);
  }
  return out;
}

}  // namespace xp
