#include "testing/torch_toy_build.h"

#include <cmath>
#include <numbers>

#include "api/ops.h"
#include "base/random.h"
#include "base/text.h"

namespace xp::testing {
namespace {

[[noreturn]] void refuse(std::string_view what, std::string_view name) {
  throw Error("a component that is built alone has no " + std::string(what) + " " + backquoted(name));
}

}  // namespace

at::Tensor toy_normal(RandomStream random, const std::vector<std::int64_t>& shape, Init init, at::ScalarType type) {
  auto value = ops::empty(shape, at::kDouble);
  for (double& x : std::span(value.mutable_data_ptr<double>(), static_cast<std::size_t>(value.numel()))) {
    const double u = random.uniform(), v = random.uniform();
    x = init.mean + init.sd * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }
  return value.to(type);
}

// What starts as a constant gets some noise: a weight of zero would hide the path that it stands on.
Param ToyBuild::add(const ParameterInfo& info, std::vector<std::int64_t> shape, Init init) {
  own.info.push_back(info);
  init.sd = std::max(init.sd, 0.2);
  own.values.push_back(toy_normal(RandomStreams(seed_, "toy").child(info.name).stream(), shape, init, type_));
  return own.size() - 1;
}

const Model& ToyBuild::make_model(const ModelRequest& request) { refuse("model", request.role); }
const Model& ToyBuild::model(std::string_view role) const { refuse("model", role); }
std::vector<const Checkpoint*> ToyBuild::checkpoints(std::string_view reference) const {
  refuse("checkpoint", reference);
}
std::unique_ptr<Model> ToyBuild::architecture(const Checkpoint& checkpoint) { refuse("model", checkpoint.type); }
BuildContext& ToyBuild::child(std::string_view name) { refuse("part", name); }
std::int64_t ToyBuild::reserved(std::string_view purpose, std::int64_t) const {
  if (const auto found = ids.find(std::string(purpose)); found != ids.end()) return found->second;
  refuse("reserved id", purpose);
}
const State& ToyBuild::artifact(std::string_view name) const { refuse("artifact", name); }
Strings ToyBuild::categories(std::string_view field) const { refuse("classes of", field); }

}  // namespace xp::testing
