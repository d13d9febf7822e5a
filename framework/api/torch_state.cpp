#include "api/state_impl.h"
#include "api/tensor.h"
#include "base/text.h"

namespace xp {

void State::set(std::string_view name, const at::Tensor& tensor) {
  impl_->values.erase(std::string(name));
  impl_->tensors.insert_or_assign(std::string(name), std::make_shared<const at::Tensor>(tensor));
}

const at::Tensor& State::tensor(std::string_view name) const {
  const auto found = impl_->tensors.find(name);
  if (found == impl_->tensors.end())
    throw Error("no tensor " + backquoted(name) + " in the state; there is " + listed(tensor_names()));
  return *static_cast<const at::Tensor*>(found->second.get());
}

}  // namespace xp
