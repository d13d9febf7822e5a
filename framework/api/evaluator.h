#pragma once
// Evaluators and probes: they see a handle, never an objective or a model.
#include "api/model.h"
#include "api/recorder.h"
#include "api/tokenizer.h"

namespace xp {

class Batch;

/// Loss of a text under a model, with what is needed for any unit.
struct Score {
  double nats = 0;
  std::int64_t tokens = 0, bytes = 0;
};

/// A trained model (whole or a view) with its tokenizer and, if it needs one, its objective's way to use it.
/// Evaluators give it and get from it tensors on the CPU; what an objective's own handle sees is on the model's
/// device.
class XP_API Handle {
 public:
  virtual ~Handle();
  virtual const Encoder* tokenizer() const = 0;  ///< null: the model does not read text
  virtual ModelShape shape() const = 0;
  /// "encode" "logits" "score" "generate" "predict"; the others throw Error. A causal model, and one with
  /// an encoder and a reserved id "start", scores and generates by itself; predict needs an objective with a head.
  virtual bool can(std::string_view what) const = 0;
  /// The model's capability, as model.h lists them ("bidirectional", ...).
  virtual bool has(std::string_view capability) const = 0;
  virtual ForwardOutput encode(const Batch& batch, const ForwardRequest& want) = 0;  ///< reads `ids`, `input.mask`
  /// encode() for tokens that the model has no rows for: ids from shape().input_vocab on look up rows of `more` [n,
  /// as wide as the input table]. Where grad mode is on, gradients reach `more` and no weight. Needs the capability
  /// "vectors"; throws Error without it, and where the handle is of another kind than a model's own.
  virtual ForwardOutput encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more);
  virtual at::Tensor logits(const at::Tensor& hidden) = 0;  ///< [n, w] -> [n, classes]
  /// Of the tokens that `target` marks given those before them, else of all `ids`; one per item. With an encoder: of
  /// the marked tokens given all others, which the encoder reads; without marks Error.
  virtual std::vector<Score> score(const Batch& batch) = 0;
  /// `sampling`: `max_tokens` (default 64), `temperature` (default 0: the likeliest token each time).
  virtual Strings generate(const Batch& batch, const Table& sampling, RandomStream random) = 0;
  /// Scores of classes, [items, classes], or [items, time, classes] where tokens have one each; `field` names them in
  /// Checkpoint::categories.
  virtual at::Tensor predict(const Batch& batch, std::string_view field) = 0;
  virtual const Strings& categories(std::string_view field) const = 0;
};

/// Does what `plain` does, which must outlive it: a base for handles that change some of it.
class XP_API WrappedHandle : public Handle {
 public:
  explicit WrappedHandle(Handle& plain) : plain_(plain) {}
  const Encoder* tokenizer() const override;
  ModelShape shape() const override;
  bool can(std::string_view what) const override;
  bool has(std::string_view capability) const override;
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override;
  ForwardOutput encode_with(const Batch& batch, const ForwardRequest& want, const at::Tensor& more) override;
  at::Tensor logits(const at::Tensor& hidden) override;
  std::vector<Score> score(const Batch& batch) override;
  Strings generate(const Batch& batch, const Table& sampling, RandomStream random) override;
  at::Tensor predict(const Batch& batch, std::string_view field) override;
  const Strings& categories(std::string_view field) const override;

 protected:
  Handle& plain_;
};

/// The examples of a split in order, tokenized and collated for the handle's model: `ids`, `begin`, `end`, `word`
/// (axis "input"; specials have begin = end and word -1), `text`, `id`, `language`, `source` (strings), and the
/// documents' own fields as strings.
class XP_API BatchReader {
 public:
  virtual ~BatchReader();
  virtual bool next(Batch& batch) = 0;  ///< false at the end
  virtual void rewind() = 0;
};

struct ReadRequest {
  std::int64_t max_time = 0;  ///< tokens per item; 0: what the model takes
  bool windows = true;        ///< longer texts give several items; false: they are cut
  std::int64_t most = 0;      ///< items; 0: all. The first ones by a hash of their id, so any subset is a fair one
};

class XP_API EvaluationContext {
 public:
  virtual ~EvaluationContext();
  virtual std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& request) = 0;
  virtual std::shared_ptr<const DataSource> documents(const Reference& data) = 0;  ///< of the named split
  /// Another tokenizer than the subject's: of a tokenizer or checkpoint. Throws Error if there is none to have.
  virtual std::shared_ptr<const Encoder> tokenizer(const Reference& artifact);
  virtual const RandomStreams& random() const = 0;
  virtual Recorder& recorder() = 0;  ///< names are put behind the evaluator's: "top10" becomes "retrieval.top10"
};

/// "evaluator". A probe is an evaluator that fits something on a `train` reference first. Grad mode is off. The batch
/// size changes no result. metrics are declared in describe() with gives("metric", name, unit).
class XP_API Evaluator : public Component {
 public:
  static constexpr const char* kInterface = "evaluator";
  ~Evaluator() override;
  virtual void evaluate(Handle& subject, EvaluationContext& context) = 0;
};

}  // namespace xp
