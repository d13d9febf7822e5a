#pragma once
// The weights of a stack of layers, by place, and what is computed with them.
#include <optional>
#include <string>
#include <vector>

#include "api/ops.h"
#include "attention.h"
#include "params.h"

namespace xp::transformer {

struct Linear {
  Param weight = 0;
  std::optional<Param> bias;
};
struct Norm {
  Param gain = 0;
  std::optional<Param> bias;
};
struct Attention {
  Linear query, key, value, output;
  std::optional<Norm> query_norm, key_norm;
};
struct Layer {
  Attention self;
  Norm self_norm;
  std::optional<Attention> memory;
  std::optional<Norm> memory_norm;
  std::optional<Linear> gate;
  Linear up, down;
  Norm ffn_norm;
};
struct Stack {
  std::optional<Param> position, segment;
  std::optional<Param> distance;  // [classes, heads]: what relative positions add to scores
  std::optional<Norm> embedding_norm;
  std::vector<Layer> layers;
  std::optional<Norm> last_norm;
};

/// Adds the parameters of a transformer to a model's name space.
class Planner {
 public:
  Planner(BuildContext& context, const Params& params) : c_(context), p_(params) {}

  /// Layers are numbered from `first` on, so that those of a decoder stand above those of its encoder.
  Stack stack(const std::string& front, std::int64_t layers, std::int64_t first, bool memory);
  Linear linear(const std::string& name, const char* role, std::int64_t out, std::int64_t in, int layer = -1);
  Linear projection(const std::string& name, std::int64_t out, std::int64_t in, int layer);
  Norm norm(const std::string& name, std::int64_t width, int layer = -1);
  Param table(const std::string& name, const char* role, std::int64_t rows, std::int64_t width);

 private:
  Attention attention(const std::string& name, int layer);
  Layer layer(const std::string& name, int layer, bool memory);

  BuildContext& c_;
  const Params& p_;
};

/// What one pass reads besides the hidden states.
struct Surroundings {
  std::int64_t items = 0, time = 0;
  Reach self, memory_reach;
  at::Tensor keys, memory;
  at::Tensor positions;                                     // [items or 1, time] if positions are rotary
  std::optional<std::pair<at::Tensor, at::Tensor>> angles;  // of all positions, [items or 1, time, h]
  Dropout dropout;
  KeyValueCache* cache = nullptr;
};

ops::MaybeTensor bias_of(const Linear& linear, Weights w);
at::Tensor apply(const Linear& linear, Weights w, const at::Tensor& x);
/// The activation of x * matrix' + bias.
at::Tensor activated(Activation activation, const at::Tensor& x, const at::Tensor& matrix,
                     const ops::MaybeTensor& bias);
at::Tensor apply(const Norm& norm, const Params& p, Weights w, const at::Tensor& x);

/// One layer over x, [items, time, d]; with a cut only its positions come out, [n, d]. `number` finds it in a cache.
at::Tensor run(const Layer& layer, std::size_t number, const Params& p, Weights w, at::Tensor x,
               const Surroundings& s, const Cut* cut);

}  // namespace xp::transformer
