#pragma once
// Nodes of the experiment's graph. Ports are declared in describe(): artifact fields are inputs, gives("output",
// name, kind) are outputs, draws() puts the seed into the digest.
#include <optional>

#include "api/constraint.h"
#include "api/document_stage.h"
#include "api/evaluator.h"
#include "api/objective.h"
#include "api/optimizer.h"
#include "api/strategy.h"
#include "schema/quantity.h"

namespace xp {

/// One source of training data; weight is its share of the draws.
struct DataPart {
  Reference dataset = {};
  double weight = 1;
};

/// An evaluator in a stage, under the name that metric paths use.
using NamedEvaluator = Named<Evaluator>;

/// Size of one logical batch: input tokens without padding or items, whichever is given, and the length of an item.
struct BatchSize {
  std::int64_t tokens = 0, items = 0;
  std::int64_t length = 0;  ///< tokens per item; 0: the model's max_time, or 128 if it has none
  bool pack = false;        ///< several texts share a row of `length` tokens, and none reads another
};

/// One of several models of a stage.
struct TowerRequest {
  std::string role;                               ///< by which the objective reaches it
  std::variant<ModelSpec, Reference> model = {};  ///< a checkpoint of several models: the one with this role
  Strings train = {"*"};     ///< patterns of the parameters that move, see matches(); none: frozen
  double lr_mult = 1;        ///< factor of the learning rate
  std::string ema_of = {};   ///< role whose moving average this model is; empty: it is trained itself
  double ema_decay = 0.996;  ///< share of the average that a step keeps
};

/// What a stage takes over from the stage whose checkpoint it starts from, beside the weights.
struct Continuation {
  bool optimizer = false;  ///< its moments; else they start at zero
  bool schedule = false;   ///< the learning rate's progress counts from that stage's start; else from this one's
  bool random = false;     ///< draws and the order of data go on; else they start again
  bool any() const { return optimizer || schedule || random; }
};

/// Everything that one training run needs. References are frozen models by role.
struct TrainRequest {
  std::optional<std::variant<ModelSpec, Reference>> model =
      {};                                   ///< role "primary"; none: the first tower stands for it
  std::vector<TowerRequest> towers = {};    ///< more models; they go into the checkpoint
  std::optional<Reference> tokenizer = {};  ///< needed for a new model that reads text; else the checkpoint's
  std::vector<DataPart> data = {};
  std::unique_ptr<Objective> objective = {};
  std::unique_ptr<Optimizer> optimizer = {};
  std::unique_ptr<Schedule> schedule = {};  ///< of the learning rate; null: constant
  std::unique_ptr<TrainingStrategy> strategy = {};
  std::vector<std::unique_ptr<Constraint>> constraints = {};
  std::vector<std::unique_ptr<Callback>> callbacks = {};
  std::vector<std::unique_ptr<Transform>> transforms = {};  ///< before the objective's own
  std::map<std::string, Reference> references = {};         ///< checkpoints, or predictions
  Quantity stop = {};
  BatchSize batch = {};
  std::int64_t micro_batch = 0;  ///< items per pass; 0: as many as fit the default of the loader
  double clip = 1.0;             ///< largest gradient norm; 0: none
  std::optional<Quantity> evaluate_every = {};
  std::vector<NamedEvaluator> evaluators = {};
  std::optional<Quantity> schedule_length = {};  ///< where the learning rate's schedule ends; none: at `stop`
  Continuation continues = {};                   ///< needs a checkpoint that was kept with its training state
  bool keep_state = false;                       ///< the checkpoint is kept with what a stage may continue
  std::optional<Quantity> checkpoint_every = {};
  std::int64_t keep_best = 0;  ///< 1: the best checkpoint by `keep_by` is the output instead of the last
  std::string keep_by = {};    ///< "dev.accuracy"
  bool keep_higher = true;
  std::string output = {};  ///< name of the stage's output that gets the checkpoint; empty: the first
};

/// What a stage with LibTorch may do.
class XP_API StageContext : public virtual DocumentContext {
 public:
  ~StageContext() override;
  virtual Checkpoint checkpoint(const Reference& artifact) = 0;  ///< weights are private copies
  /// A new model of this type for a vocabulary, as training would start it. `tokenizer` may be null.
  virtual Checkpoint fresh(const ModelSpec& spec, const Reference* tokenizer) = 0;
  virtual State state(const Reference& artifact) = 0;  ///< of a fitted artifact

  using DocumentContext::save;
  /// `tokenizer_from` is the tokenizer artifact or checkpoint whose tokenizer goes into the directory.
  virtual void save(const Checkpoint& checkpoint, const Reference* tokenizer_from, std::string_view output = {}) = 0;
  virtual void save(const State& state, std::string_view output = {}) = 0;

  virtual void train(TrainRequest request) = 0;
  virtual std::unique_ptr<Handle> handle(const Reference& checkpoint, View view = {}) = 0;
  virtual void evaluate(Handle& subject, std::vector<NamedEvaluator>& evaluators, std::string_view view = {}) = 0;
};

class XP_API Stage : public AnyStage {
 public:
  ~Stage() override;
  virtual void run(StageContext& context) = 0;
};

}  // namespace xp
