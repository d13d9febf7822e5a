#include "testing/torch_toy_weights.h"

#include "api/ops.h"
#include "base/random.h"

namespace xp::testing {

Parameters toy_weights(const ToyEncoder& source) {
  constexpr std::int64_t kWidth = 4;
  auto table = ops::empty({source.size(), kWidth}, at::kFloat), bias = ops::empty({source.size()}, at::kFloat);
  for (TokenId id = 0; id < source.size(); ++id) {
    auto stream = RandomStreams(3, source.text(id)).stream();
    bias.mutable_data_ptr<float>()[id] = static_cast<float>(stream.uniform());
    for (std::int64_t i = 0; i < kWidth; ++i)
      table.mutable_data_ptr<float>()[id * kWidth + i] = static_cast<float>(stream.uniform() - 0.5);
  }
  Parameters out;
  out.info = {{"embedding.token", "vocab.input"}, {"head.bias", "vocab.bias"}};
  out.values = {table, bias};
  return out;
}

}  // namespace xp::testing
