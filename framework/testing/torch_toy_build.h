#pragma once
#include "api/model.h"

namespace xp::testing {

/// Stands where the framework builds one component alone: a vocabulary of so many ids without a tokenizer, weights
/// drawn by name and seed. Other models, artifacts and classes of a field throw Error.
class ToyBuild final : public BuildContext {
 public:
  explicit ToyBuild(std::int64_t vocab, at::ScalarType type = at::kDouble, std::uint64_t seed = 1)
      : vocab_(vocab), type_(type), seed_(seed) {}

  Param add(const ParameterInfo& info, std::vector<std::int64_t> shape, Init init) override;
  const Model& make_model(const ModelRequest& request) override;
  const Model& model(std::string_view role) const override;
  std::vector<const Checkpoint*> checkpoints(std::string_view reference) const override;
  std::unique_ptr<Model> architecture(const Checkpoint& checkpoint) override;
  BuildContext& child(std::string_view name) override;

  std::int64_t vocab_size() const override { return vocab_; }
  std::int64_t reserved(std::string_view purpose, std::int64_t index) const override;
  bool is_text(std::int64_t token) const override { return token > 0; }
  const State& artifact(std::string_view name) const override;
  Strings categories(std::string_view field) const override;
  const Encoder* tokenizer() const override { return nullptr; }

  std::map<std::string, std::int64_t> ids;  ///< reserved ones by purpose; others throw Error
  Parameters own;                           ///< in the order of add(), no gradients asked for

 private:
  std::int64_t vocab_;
  at::ScalarType type_;
  std::uint64_t seed_;
};

/// Normal numbers of this shape from a stream.
at::Tensor toy_normal(RandomStream random, const std::vector<std::int64_t>& shape, Init init, at::ScalarType type);

}  // namespace xp::testing
