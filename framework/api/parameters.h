#pragma once
// Weights as plain tensors with names and roles, apart from the code that uses them. A forward pass is a pure
// function of them, so views, sharing, merging and checkpoint algebra need no hook inside a model.
#include <optional>
#include <span>

#include "api/resources.h"
#include "api/tensor.h"
#include "schema/fields.h"

namespace xp {

enum class Lifetime : std::uint8_t { keep, pretrain_only };  ///< pretrain_only: not in what later stages load

struct ParameterInfo {
  std::string name;  ///< "layer.3.attention.query"; the framework puts the role or component path in front
  /// "vocab.input" "vocab.output" "vocab.bias" "position" "norm" "dense" "bias" "head" "scalar" ...
  std::string role;
  int layer = -1;  ///< -1: in no layer
  Lifetime lifetime = Lifetime::keep;
};

/// True if the pattern fits: "role:dense", "role:vocab.*", "name:embedding.*", "layer:2", "*".
XP_API bool matches(const ParameterInfo& info, std::string_view pattern);

/// Index of a parameter in its component, in the order of BuildContext::add.
using Param = std::size_t;
/// One tensor per parameter of a component.
using Weights = std::span<const at::Tensor>;

/// info[i] describes values[i]. Shared parameters are the same tensor twice.
struct XP_API Parameters {
  std::vector<ParameterInfo> info;
  std::vector<at::Tensor> values;

  std::size_t size() const { return info.size(); }
  Param find(std::string_view name) const;                    ///< throws Error with the nearest name
  std::vector<Param> select(std::string_view pattern) const;  ///< in order; may be empty
  std::vector<Param> distinct() const;                        ///< the first of each tensor: what is updated and saved
};

/// A model apart from any run: what a stage hands to the next and a Hugging Face directory holds.
struct Checkpoint {
  std::string type;  ///< model component
  Table settings;
  Parameters parameters;                         ///< in the order in which the model adds them
  std::map<std::string, std::int64_t> reserved;  ///< purpose -> id, e.g. "sentinel.3"
  /// With `type`: how evaluators use the model; without: settings of what `objective_parameters` are; empty: the
  /// model alone.
  Table objective = {};
  Parameters objective_parameters = {};            ///< the objective's own that outlive training
  std::map<std::string, Strings> categories = {};  ///< field -> names of its classes, in the order of the head's rows
  State state = {};                                ///< training state to keep; loading leaves it on disk
  std::string role = "primary";                    ///< of this model in the stage that made it
  std::vector<Checkpoint> towers = {};             ///< the stage's other models, each with its role
};

/// Normal with this mean and standard deviation; sd 0 is a constant.
struct Init {
  double mean = 0, sd = 0.02;
};

struct ModelRequest {
  std::string role;  ///< "generator", "decoder"; unique in the stage
  ModelSpec spec = {};
  std::string like = "primary";       ///< role whose settings are the defaults, unless the spec names one
  std::string share = {};             ///< parameters of `like` to use instead of new ones: a pattern, see matches()
  std::vector<int> copy_layers = {};  ///< layer i starts as a copy of this layer of `like`; empty: as initialised
  Lifetime lifetime = Lifetime::pretrain_only;
};

class Model;

/// Offered while a model or an objective builds; adds to its own name space. Allocation, device, precision and random
/// initialisation are the framework's.
class XP_API BuildContext : public Resources {
 public:
  virtual Param add(const ParameterInfo& info, std::vector<std::int64_t> shape, Init init = {}) = 0;
  /// Another instance of any model plugin, reached by its role from then on. Throws Error if a shared shape differs.
  virtual const Model& make_model(const ModelRequest& request) = 0;
  virtual const Model& model(std::string_view role) const = 0;            ///< made models, towers, references
  virtual const Parameters& parameters(std::string_view role) const = 0;  ///< of such a model
  virtual std::vector<const Checkpoint*> checkpoints(std::string_view reference) const = 0;  ///< "tuned.*", in order
  /// The model of a checkpoint without memory of its own: for calls with weights from elsewhere.
  virtual std::unique_ptr<Model> architecture(const Checkpoint& checkpoint) = 0;
  /// A nested component's name space. The first child inherits the random streams of its parent, so wrapping an
  /// objective changes no draw; transforms follow the same rule with RandomStream::fork.
  virtual BuildContext& child(std::string_view name) = 0;
};

}  // namespace xp
