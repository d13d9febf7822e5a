#pragma once
// Models and parameters of one stage: builds them, gives the objective its contexts, hands out weights. It knows
// models and objectives by role and path only.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/constraint.h"
#include "api/evaluator.h"
#include "api/objective.h"
#include "plugin/registry.h"

namespace xp {

class PassCache;
class Processes;

/// Where a stage's resources come from; empty functions mean that there is none.
struct SessionResources {
  std::shared_ptr<const Encoder> encoder;
  std::function<const State&(std::string_view)> artifact;
  std::function<std::vector<const Checkpoint*>(std::string_view)> checkpoints;  ///< pattern over references
  std::function<Strings(std::string_view)> categories;
  /// Scores of a reference's classes; adds what they cost to `flops`.
  std::function<at::Tensor(std::string_view role, const Batch& batch, std::string_view field, double& flops)>
      predict = {};
};

struct BuiltModel {
  std::string type;
  Table settings;
  std::unique_ptr<Model> model;
  Parameters own;
  std::vector<at::Tensor> active;  ///< what passes read: `own` or its copies in the computing precision
  bool frozen = false;
  Lifetime lifetime = Lifetime::keep;
  std::int64_t passes = 0;
};

class Session {
 public:
  Session(const Registry& registry, const RandomStreams& random, SessionResources resources, at::ScalarType precision,
          at::Device device = at::kCPU);
  ~Session();

  /// A new model for a role, or one with the weights of `from` (each parameter must be there with its shape).
  void add_model(const std::string& role, const ModelSpec& spec, const Checkpoint* from, bool frozen);
  /// The same for a model that the stage's checkpoint holds; the first one stands for role "primary" where no model
  /// has it. Parameters that fit none of `train` (see matches()) stay as they are; none at all: the model is frozen.
  void add_own_model(const std::string& role, const ModelSpec& spec, const Checkpoint* from, const Strings& train);
  /// Builds the objective's models and parameters; `from` gives parameters that outlive training.
  void build(Objective& objective, const Parameters* from = nullptr);

  /// Parameters that training moves, of all models and objectives, full names, the primary model's first.
  Parameters trainable() const;
  std::shared_ptr<StepContext> context(bool training);
  /// Copies weights into the computing precision; call after every update and before the first pass. With gradients
  /// the copies are part of the graph, so call it for each micro-batch.
  void refresh();

  /// The stage's models as the next stage gets them: `pretrain_only` parameters stripped, weights cloned.
  Checkpoint exported(const Objective* objective, bool has_handle) const;
  std::unique_ptr<Handle> handle(View view = {});

  const Resources& resources() const;
  BuiltModel& model(std::string_view role);
  bool has_model(std::string_view role) const { return models_.contains(role); }
  const Strings& own_roles() const { return own_roles_; }  ///< of add_own_model(), in order
  double own_numbers() const;                              ///< in the parameters of own models
  const std::map<std::string, BuiltModel, std::less<>>& models() const { return models_; }
  const std::map<std::string, Strings>& categories() const { return categories_; }
  const Encoder* encoder() const { return resources_.encoder.get(); }
  /// Categories of a checkpoint, for evaluation without the training data.
  void seal_categories(std::map<std::string, Strings> categories) {
    categories_ = std::move(categories), sealed_ = true;
  }

  /// Set by the trainer: the step that draws are keyed by, and what passes cost since the last reset.
  std::int64_t step = 0;
  double flops = 0;
  at::Device device() const { return device_; }
  const Batch* packed = nullptr;    ///< the batch at work, if its rows hold several texts
  PassCache* pass_cache = nullptr;  ///< passes with gradients go through it; null: they run whole
  Processes* processes = nullptr;   ///< that share each batch; null: this one has it whole

 private:
  friend class Builder;
  friend class Step;
  void make(const std::string& role, const std::string& type, const Table& settings, const Checkpoint* from,
            bool frozen, const ModelRequest* request);
  std::map<std::string, std::int64_t> reserved_map() const;
  Checkpoint exported_model(const std::string& role) const;

  const Registry& registry_;
  RandomStreams random_;
  SessionResources resources_;
  at::ScalarType precision_;
  at::Device device_;
  std::map<std::string, BuiltModel, std::less<>> models_;
  Strings own_roles_;
  std::int64_t own_rows_ = 0;                ///< of the vocabulary tables of own models that were read
  std::map<std::string, Parameters> parts_;  ///< parameters of objectives by path
  std::map<std::string, std::vector<at::Tensor>> active_parts_;
  std::map<std::string, std::string> streams_;  ///< random path of each component path
  std::set<std::string> families_;              ///< components that already have a first child
  std::vector<std::unique_ptr<BuildContext>> builders_;
  std::map<std::string, Strings> categories_;
  bool sealed_ = false;  ///< categories come from a checkpoint only
  std::unique_ptr<Resources> public_resources_;
};

/// Ids of one vocabulary mean nothing in another: throws Error unless the encoder reserves the checkpoint's ids for
/// the same purposes.
void check_same_ids(const Checkpoint& start, const Encoder& encoder);

/// The same weights on a device.
Checkpoint on_device(Checkpoint from, at::Device device);

/// "width = x0.25" and the like: numbers of `changes` relative to `base`, others replaced.
Table overlaid(const Table& base, const Table& changes);

}  // namespace xp
