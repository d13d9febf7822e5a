#include "engine/references.h"

#include <c10/core/GradMode.h>

#include <unordered_map>

#include "api/ops.h"
#include "base/text.h"

namespace xp {

/// Of one field.
struct References::Stored {
  Strings classes;
  std::unordered_map<std::int64_t, std::int64_t> row;  ///< by sample id
  at::Tensor scores;                                   // [documents, classes]
};

struct References::One {
  Reference reference;
  std::optional<Checkpoint> checkpoint = {};
  std::map<std::string, Stored, std::less<>> stored = {};
  FrozenModel opened = {};  ///< when predict() first asks for it
};

References::References(const std::map<std::string, Reference>& wanted, Host host) : host_(std::move(host)) {
  for (const auto& [role, reference] : wanted) {
    auto& one = all_.emplace(role, One{.reference = reference}).first->second;
    if (reference.kind != "predictions") {
      one.checkpoint = on_device(host_.checkpoint(reference), host_.device);
      continue;
    }
    const auto state = host_.predictions(reference);
    for (const auto& field : state.child_names()) {
      const auto& from = state.child(field);
      Stored stored{.classes = from.strings("classes"), .row = {}, .scores = from.tensor("scores").to(host_.device)};
      const auto& ids = from.ints("sample_id").data;
      if (stored.scores.dim() != 2 || stored.scores.size(0) != std::ssize(ids) ||
          stored.scores.size(1) != std::ssize(stored.classes))
        throw Error("predictions " + backquoted(reference.text) + " of field " + backquoted(field) +
                        " do not have one row per document and one column per class",
                    Exit::data);
      for (std::size_t i = 0; i < ids.size(); ++i) stored.row.emplace(ids[i], static_cast<std::int64_t>(i));
      one.stored.emplace(field, std::move(stored));
    }
  }
}
References::~References() = default;

void References::add_to(Session& session) const {
  for (const auto& [role, one] : all_)
    if (one.checkpoint) session.add_model(role, {}, &*one.checkpoint, true);
}

std::vector<const Checkpoint*> References::fitting(std::string_view pattern) const {
  std::vector<const Checkpoint*> found;
  for (const auto& [role, one] : all_)
    if (one.checkpoint && fits(role, pattern)) found.push_back(&*one.checkpoint);
  return found;
}

Strings References::categories(std::string_view field) const {
  Strings out;
  std::string from;
  for (const auto& [role, one] : all_) {
    const Strings* classes = nullptr;
    if (const auto known = one.stored.find(field); known != one.stored.end()) classes = &known->second.classes;
    if (one.checkpoint)
      if (const auto known = one.checkpoint->categories.find(std::string(field));
          known != one.checkpoint->categories.end())
        classes = &known->second;
    if (!classes) continue;
    if (!out.empty() && out != *classes)
      throw Error("references " + backquoted(from) + " and " + backquoted(role) + " know different classes of " +
                  backquoted(field) + ": " + listed(out) + " and " + listed(*classes));
    out = *classes, from = role;
  }
  return out;
}

References::One& References::at(std::string_view role) {
  const auto found = all_.find(role);
  if (found != all_.end()) return found->second;
  Strings names;
  for (const auto& [name, one] : all_) names.push_back(name);
  throw Error("no reference has the role " + backquoted(role) + "; there is " + listed(names));
}

at::Tensor References::predict(std::string_view role, const Batch& batch, std::string_view field, double& flops) {
  const at::NoGradGuard quiet;
  auto& one = at(role);
  if (one.checkpoint) {
    if (!one.opened.handle) one.opened = host_.open(one.reference);
    if (!one.opened.handle->can("predict"))
      throw Error("reference " + backquoted(role) + " predicts nothing: its stage trained no head for a field");
    const auto scores = one.opened.handle->predict(batch.on(at::kCPU), field).to(host_.device);
    flops += one.opened.flops();
    return scores;
  }
  const auto known = one.stored.find(field);
  if (known == one.stored.end()) {
    Strings names;
    for (const auto& [name, stored] : one.stored) names.push_back(name);
    throw Error("predictions " + backquoted(one.reference.text) + " are of " + listed(names) + ", not of " +
                backquoted(field));
  }
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const auto found = known->second.row.find(batch.sample_id.const_data_ptr<std::int64_t>()[i]);
    if (found == known->second.row.end())
      throw Error("predictions " + backquoted(one.reference.text) +
                      " lack a document that this stage trains on; predict the same data and split",
                  Exit::data);
    rows.push_back(found->second);
  }
  return known->second.scores.index_select(0, ops::tensor(rows).to(host_.device));
}

}  // namespace xp
