#pragma once
// What objectives that are made of others have in common.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/objective.h"

namespace xp {

/// An objective made of parts, each with a name: their sum by weight, unless a derived class says more. It hands on
/// schedules ("<name>.<parameter>"), state and transforms; the first part draws as it would alone. Terms and metrics
/// bear "<name>." in front.
class XP_API CompositeObjective : public Objective {
 public:
  ~CompositeObjective() override;
  void build(BuildContext& context) override;
  std::unique_ptr<Transform> input_transform() override;  ///< the parts' own, one after the other
  void set(std::string_view parameter, double value) override;
  bool batch_coupled() const override;  ///< if a part is
  Counts counts(const Batch& batch) const override;
  StepResult step(const Batch& batch, StepContext& context) override;
  /// That of the first part which has one.
  std::unique_ptr<Handle> handle(std::shared_ptr<StepContext> context, Handle& plain) override;
  void save(State& state) const override;
  void load(const State& state) override;

 protected:
  struct Part {
    std::string name;
    Objective* objective = nullptr;  ///< of the derived class
    double weight = 1;
  };
  void add(std::string name, const std::unique_ptr<Objective>& part);  ///< throws Error if it is null: "none"
  void add(const std::vector<Weighted<Objective>>& terms);

  /// Whether a part takes part in a step over this batch; else it is not counted and runs no pass. All do by default.
  virtual bool runs(std::size_t part, const Batch& batch) const;
  /// What a part sees of the batch: `batch` itself by default, or what is put into `own`.
  virtual const Batch& seen_by(std::size_t part, const Batch& batch, Batch& own) const;

  std::vector<Part> parts_;
};

/// The columns of a batch under the names that `rename` gives them; one that gets no name is left out.
template <class Rename>
Batch renamed(const Batch& batch, const Rename& rename) {
  Batch out;
  out.sample_id = batch.sample_id, out.group_id = batch.group_id;
  for (const auto& [name, column] : batch.columns())
    if (auto other = rename(name); !other.empty()) out.set(std::move(other), column);
  return out;
}

}  // namespace xp
