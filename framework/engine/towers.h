#pragma once
// The models that a training stage moves: one, or several by role.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/stage.h"
#include "engine/session.h"

namespace xp {

/// The artifact whose tokenizer the stage uses: its own, else that of the first checkpoint among its
/// models, else of the first that a new model is made of.
std::optional<Reference> tokenizer_of(const TrainRequest& request);

class Towers {
 public:
  using Load = std::function<Checkpoint(const Reference&)>;

  /// Reads the checkpoints that the request's models start from; those that models are made of go to `device`. Throws
  /// Error if it names no model, or a role twice.
  Towers(const TrainRequest& request, const Load& load, at::Device device);

  /// Builds the models; the first one stands for role "primary" where no model has it.
  void add_to(Session& session);
  /// Checkpoints that models start from or are made of.
  std::vector<const Checkpoint*> starts() const;
  /// What a model names in its own settings, as the recipe writes it: "tuned[*]" gives all members, in their order.
  std::vector<const Checkpoint*> ingredients(std::string_view text) const;

  /// Factor of the learning rate for a parameter's full name ("image.layer.0.norm").
  double lr_mult(const std::string& parameter) const;
  /// Moves averages towards the models they follow; call after an update.
  void follow();
  /// Weights that no optimizer moves and a training state must keep.
  std::vector<at::Tensor> averages() const;

 private:
  struct One {
    TowerRequest request;
    std::optional<Checkpoint> from = {};
  };
  struct Ingredient {
    Reference reference;
    std::unique_ptr<Checkpoint> checkpoint;
  };
  struct Average {
    std::vector<at::Tensor> own = {}, followed = {};
    double decay = 0;
  };
  void add_checkpoint(Checkpoint from);
  void average(Session& session, const One& one);

  std::vector<One> all_;
  std::vector<Average> averages_;
  std::vector<Ingredient> ingredients_;
};

}  // namespace xp
