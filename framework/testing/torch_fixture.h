#pragma once
// One training stage in memory, for tests of models, objectives, optimizers and constraints. Knows none by name.
#include <functional>
#include <set>

#include "api/constraint.h"
#include "api/evaluator.h"
#include "api/objective.h"
#include "api/optimizer.h"
#include "plugin/registry.h"

namespace xp::testing {

/// What a recipe would say about the stage. Tables have `type`; what they leave out takes its default.
struct FixtureSpec {
  std::uint64_t seed = 1;
  std::int64_t vocab = 48;
  std::int64_t first_text = 25;                       ///< ids from here on stand for text
  std::map<std::string, std::int64_t> reserved = {};  ///< purpose with index -> id: {"mask", 3}, {"sentinel.0", 4}
  std::map<std::string, Strings> categories = {};
  std::map<std::string, const State*> artifacts = {};
  std::map<std::string, const Checkpoint*> references = {};   ///< frozen models by role
  std::map<std::string, const Checkpoint*> checkpoints = {};  ///< what models and recipes name
  std::vector<FieldSpec> dataset_fields = {{"ids", "input", 0}};
  /// What references predict: scores by role, batch and field; empty: nothing.
  std::function<at::Tensor(std::string_view role, const Batch& batch, std::string_view field)> predictions = {};
  Table model = {};
  Table objective = {};
  Table optimizer = {};              ///< of update()
  at::ScalarType type = at::kFloat;  ///< of all parameters
  bool training = true;              ///< passes of trained models drop out
};

/// Stands in the place of the loader, the trainer and the stage.
class Fixture {
 public:
  /// `start`: the primary model's weights and settings come from there. The registry must outlive the fixture.
  Fixture(const Registry& registry, FixtureSpec spec, const Checkpoint* start = nullptr);
  ~Fixture();

  Batch load(std::vector<std::vector<Example>> groups);  ///< transforms and collates, in the loader's place
  /// Gradients of the logical batch; returns the loss. `only`: backward from terms whose names start so.
  double accumulate(const std::vector<Batch>& micro, std::string_view only = "");
  void update(double lr = 1e-2, double weight_decay = 0.1);
  void set(std::string_view parameter, double value);  ///< what a schedule does between batches
  void constrain(Constraint& constraint);
  Checkpoint exported() const;
  std::unique_ptr<Handle> handle();  ///< the objective's, or the plain one

  std::map<std::string, int> passes;  ///< by role, since the last accumulate began
  double flops = 0;
  std::map<std::string, double> terms, metrics, terms_by_source;
  std::vector<Feedback> undelivered;
  std::int64_t step = 0;

  Transform* transform() { return transform_.get(); }
  Objective& objective() { return *objective_; }
  Optimizer* optimizer() { return optimizer_.get(); }
  StepContext& context() { return *root_; }
  Parameters& all() { return all_; }
  const Parameters& weights(const std::string& role) const { return models_.at(role).own; }
  const Model& model(const std::string& role) const { return *models_.at(role).model; }

 private:
  class Builder;
  class Step;
  class Plain;
  struct Built {
    std::string type;
    Table settings;
    std::unique_ptr<Model> model;
    Parameters own;
    bool frozen = false;
  };
  void make(const std::string& role, const std::string& type, const Table& settings, const Checkpoint* from,
            bool frozen, const ModelRequest* request);
  void deliver();
  void report(const Batch& batch, const StepResult& result);

  const Registry& registry_;
  FixtureSpec spec_;
  std::map<std::string, Built> models_;
  std::map<std::string, Parameters> parts_;     // parameters of objectives by path
  std::map<std::string, std::string> streams_;  // random path of each component path
  std::set<std::string> families_;              // components that already have a first child
  std::vector<std::unique_ptr<Builder>> builders_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<Transform> transform_;
  std::unique_ptr<Optimizer> optimizer_;
  std::shared_ptr<StepContext> root_;
  std::unique_ptr<Handle> plain_;
  Constraint* constraint_ = nullptr;
  Parameters all_;
};

/// Pads the fields of each axis together; adds `<axis>.mask`. Integers only.
Batch collate(const std::vector<Example>& items, const std::vector<FieldSpec>& specs);
/// Texts of unequal length from the ids that stand for text; groups of `members`. The same for the same seed.
std::vector<std::vector<Example>> random_texts(const FixtureSpec& spec, int groups, int members = 1,
                                               std::uint64_t seed = 7, int length = 0);
/// Micro-batches of `size` items, the last one smaller.
std::vector<Batch> split(const Batch& batch, std::int64_t size);
/// Gradients of all parameters, zero where there is none.
std::vector<at::Tensor> gradients(Fixture& fixture);
/// Largest difference, relative to the largest entry of each tensor or to 1.
double largest_difference(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);

/// Worst relative disagreement between the gradients of the loss of `batch` and central differences, over `samples`
/// entries of every parameter. Needs a fixture in float64.
double gradient_error(Fixture& fixture, const Batch& batch, int samples = 3);

}  // namespace xp::testing
