#pragma once
// Models: three pure functions of weights. Tokens go through embed, forward and logits; an objective may stop
// between.
#include <functional>

#include "api/parameters.h"
#include "schema/component.h"

namespace xp {

/// `own`: the model pools with weights of its own (capability "pooling").
enum class Pooling : std::uint8_t { none, first, mean, last, own };

class Batch;

/// Keys and values of positions that went before, so that a text can go on without computing them again. Starts
/// empty; each pass appends its own. For evaluation only: nothing of it is part of a gradient.
class XP_API KeyValueCache {
 public:
  struct Pair {
    at::Tensor keys, values;  ///< [items, heads, time, h]
  };
  std::int64_t time() const { return time_; }
  /// All of a layer's keys and values with these appended ([items, heads, new time, h]).
  Pair append(std::size_t layer, const at::Tensor& keys, const at::Tensor& values);
  /// What a layer computed of the memory once; undefined before set_memory().
  Pair memory(std::size_t layer) const { return layer < memory_.size() ? memory_[layer] : Pair{}; }
  void set_memory(std::size_t layer, Pair pair);
  void advance(std::int64_t positions) { time_ += positions; }  ///< called once a pass, after its last layer
  /// Keeps the items at these places, [n] int64, in their order; repeats allowed.
  void select(const at::Tensor& items);

 private:
  std::vector<Pair> room_;  // by layer, with spare places at the end of the time axis
  std::vector<Pair> memory_;
  std::int64_t time_ = 0;
};

/// Undefined tensors mean "not there". Time is that of ids or vectors; d is the model's width.
struct ForwardInput {
  at::Tensor ids = {};            // [items, time] int64; or
  at::Tensor vectors = {};        // [items, time, d]: what embed() gives, mixed with anything else; or
  const Batch* fields = nullptr;  // other modalities: the model names the columns it reads in needs()
  at::Tensor mask = {};           // bool, true = may be read: [items, time] keys, or [items, time, time] query x key
  bool causal = false;            // a query reads no later key; models have a fast path, so do not spell it as a mask
  at::Tensor positions = {};      // [items, time] int64, may repeat; -1 = none. Undefined: 0, 1, 2, ...
  at::Tensor memory = {};       // [items, slots, d]: the decoder runs and attends to it; undefined: the encoder runs
  at::Tensor memory_mask = {};  // [items, slots] bool
  at::Tensor keys = {};         // [n] int64: keys and values at these times only, queries everywhere
  at::Tensor segments = {};     // [items, time] int64: which text of several a token is in; undefined: all in 0
  KeyValueCache* cache = nullptr;  // `mask` and default positions then count its time too; goes with causal models
  at::Tensor sample_id = {};       // [items] int64: keys dropout; undefined in training: Error if the model drops out
};

/// A part of a model: its first layers, its first columns.
struct View {
  std::int64_t layers = 0;  ///< 0 = all
  std::int64_t width = 0;   ///< 0 = all
};

/// Sets elements of [items, ...] to zero with this rate and scales the rest. Draws go by an element's place within
/// its item, row by row; of [items, a, b, c] by each of its three places, so that texts may be padded to any length.
using Dropout = std::function<at::Tensor(const at::Tensor& x, double rate)>;

/// What the caller will read. Nothing else is computed.
struct ForwardRequest {
  bool tokens = false;
  bool layers = false;
  Pooling pooling = Pooling::none;
  at::Tensor at = {};  // [n] int64 into items * time: for `picked`, so the last layer may skip the rest
  View view = {};
  Dropout dropout = {};  ///< set by the framework in training; empty: evaluation
};

struct ForwardOutput {
  at::Tensor tokens = {};               // [items, time, w]; w = view's width or d
  at::Tensor picked = {};               // [n, w]
  at::Tensor pooled = {};               // [items, w]
  std::vector<at::Tensor> layers = {};  // [0] embeddings, [i] after layer i, ready for the head: [items, time, d]
};

/// Fills what `want` asks for from `full.tokens` and `full.layers`. Models end with it; wrappers serve views with it.
XP_API ForwardOutput serve(const ForwardOutput& full, const at::Tensor& mask, const ForwardRequest& want);

struct ModelShape {
  std::int64_t layers = 0, width = 0, heads = 0;
  std::int64_t input_vocab = 0, classes = 0;  ///< logits() gives `classes` columns, whatever the input vocabulary
  std::int64_t max_time = 0;                  ///< 0 = any
  std::int64_t own_pooled = 0;                ///< width of what the model's own pooling gives; 0 = `width`

  std::int64_t pooled_width(Pooling pooling) const {
    return pooling == Pooling::own && own_pooled != 0 ? own_pooled : width;
  }
};

/// "model". Capabilities: "bidirectional" "causal" "vectors" "masks" "positions" "memory" "keys" "logits" "views"
/// "pooling" "cache"; declared in describe() as well, where recipes are checked.
/// A call beyond them throws Error; the framework checks Needs::capabilities before. All calls but build are const
/// and may run on several threads.
class XP_API Model : public Component {
 public:
  static constexpr const char* kInterface = "model";
  ~Model() override;

  virtual Strings capabilities() const = 0;
  virtual void build(BuildContext& context) = 0;  ///< adds parameters, once
  virtual ModelShape shape() const = 0;           ///< after build

  virtual at::Tensor embed(Weights w, const at::Tensor& ids) const = 0;  ///< [...] -> [..., d]; no positions
  virtual ForwardOutput forward(Weights w, const ForwardInput& in, const ForwardRequest& want) const = 0;
  /// [..., v] -> [..., classes], for v <= d: a narrower view uses the first v columns of the head's first matrix.
  virtual at::Tensor logits(Weights w, const at::Tensor& hidden) const = 0;

  /// Multiplications and additions of one forward pass; backward counts twice that. 0 = not known, refused by stop
  /// rules in FLOPs.
  virtual double flops(const ForwardInput& in, const ForwardRequest& want) const;

  /// Settings of the same model with its vocabulary tables as products: coordinates [vocabulary, rank], in the
  /// tables' place, times primitives [rank, width] (role "primitives"), shared by input and output where those are
  /// tied.
  virtual std::optional<Table> factorised(std::int64_t rank) const;  ///< none by default: it cannot

  /// What later stages load instead of this model, for models that compute their weights (merges, adapters).
  virtual std::optional<Checkpoint> exported(Weights w) const;  ///< none by default
};

}  // namespace xp
