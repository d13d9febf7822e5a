#pragma once
// Objectives: any number of passes, named terms. The framework does backward, clip and update, and logs every term.
#include <functional>
#include <memory>

#include "api/batch.h"
#include "api/model.h"
#include "api/transform.h"

namespace xp {

class Handle;

/// The loss of a logical batch is the sum over terms of weight * (sum over all micro-batches and processes) / count.
struct LossTerm {
  std::string name;
  at::Tensor sum;  // [items], so that losses by source and mode can be shown; or [] if it belongs to no item
  double weight = 1;
};

/// Logged as sum / count over the logical batch. No gradient.
struct Metric {
  std::string name;
  at::Tensor sum, count;  // []
};

/// To transforms that subscribed. Tensors are [items] or [items, time], no gradient.
struct Message {
  std::string topic;
  std::map<std::string, at::Tensor> values;
};

/// What each term averages over: one number per item ([items]), or [] if it belongs to no item.
using Counts = std::map<std::string, at::Tensor>;

struct StepResult {
  std::vector<LossTerm> terms = {};
  std::vector<Metric> metrics = {};
  std::vector<Message> feedback = {};
  std::map<std::string, at::Tensor> published =
      {};  ///< for a wrapper: "scores", "logits", ...; the framework drops it
};

/// Adds a child's result; its names become "<name>.<its own>".
XP_API void append(StepResult& into, StepResult child, std::string_view name, double weight);
XP_API void append(Counts& into, const Counts& child, std::string_view name);

using Pass = std::function<ForwardOutput(std::string_view role, const ForwardInput&, const ForwardRequest&)>;

/// Offered for one step. Models are reached by role, so that passes are counted (FLOPs), references run frozen, and a
/// wrapper can stand between a child and its model. Through a frozen model, gradients reach what it was given.
class XP_API StepContext {
 public:
  virtual ~StepContext();
  virtual at::Tensor embed(std::string_view role, const at::Tensor& ids) = 0;
  virtual ForwardOutput forward(std::string_view role, const ForwardInput& in, const ForwardRequest& want) = 0;
  virtual at::Tensor logits(std::string_view role, const at::Tensor& hidden) = 0;
  virtual const Parameters& parameters(std::string_view role) const = 0;  ///< of a model
  virtual const at::Tensor& weight(Param own) const = 0;                  ///< of this component

  /// [items, per_item] in (0, 1). Row i depends on seed, this component, `what`, step and sample_id[i] only, so how a
  /// batch is split changes nothing.
  virtual at::Tensor uniform(const Batch& batch, std::int64_t per_item, std::string_view what) = 0;

  /// The rows of the whole logical batch, this process's first. Differentiable: a row gets the gradients that all
  /// processes have for it. Batch-coupled objectives compare their own rows with all of these, and give the loss of
  /// their own.
  virtual at::Tensor gather(const at::Tensor& rows) = 0;

  /// Scores of classes by a reference's own head, [items, classes] in the order of Resources::categories; no
  /// gradient. A reference of which only predictions are stored answers from them, by sample_id.
  virtual at::Tensor predict(std::string_view role, const Batch& batch, std::string_view field) = 0;

  virtual std::int64_t step() const = 0;
  /// A nested component's context. Its passes, and those below it, go through `pass` if there is one.
  virtual std::unique_ptr<StepContext> child(std::string_view name, Pass pass = {}) = 0;
};

/// "objective".
class XP_API Objective : public Component {
 public:
  static constexpr const char* kInterface = "objective";
  ~Objective() override;

  virtual void build(BuildContext& context) = 0;         ///< parameters and models of its own
  virtual std::unique_ptr<Transform> input_transform();  ///< corruption without a model; none by default

  /// Known from data, hence before any pass: only then can micro-batches of unequal size add up exactly.
  virtual Counts counts(const Batch& batch) const = 0;
  virtual StepResult step(const Batch& batch, StepContext& context) = 0;  ///< one term for each of counts()

  virtual bool batch_coupled() const { return false; }  ///< items are compared: not split without gather()
  virtual bool same_step(const Objective& other) const { return this == &other; }  ///< rows may share one step()

  /// How evaluators use the trained model; `plain` is the primary model's own handle and outlives the result. Null
  /// (the default): `plain` itself.
  virtual std::unique_ptr<Handle> handle(std::shared_ptr<StepContext> context, Handle& plain);
};

}  // namespace xp
