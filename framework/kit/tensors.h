#pragma once
// Tensors to and from plain numbers and safetensors.
#include "api/tensor.h"
#include "kit/safetensors.h"

namespace xp {

/// "F32" for at::kFloat and so on; throws Error for a type that the format does not have.
XP_API std::string dtype_name(at::ScalarType type);
XP_API at::ScalarType dtype_of(std::string_view name);
/// A contiguous CPU tensor's bytes; the tensor must outlive the result.
XP_API TensorBytes bytes_of(const at::Tensor& contiguous);
/// The same without the bytes: `data` is null, the rest says what they will be.
XP_API TensorBytes size_of(const at::Tensor& tensor);
/// A tensor of its own memory with these bytes.
XP_API at::Tensor tensor_of(const TensorBytes& bytes);
/// A tensor that looks at these bytes, which `owner` keeps alive; it may be written to where they may. Bytes that do
/// not lie at a multiple of the number's size, as some writers leave them, are copied instead.
XP_API at::Tensor view_of(const TensorBytes& bytes, std::shared_ptr<const void> owner);
XP_API at::Tensor tensor_of(const std::vector<std::int64_t>& data, std::vector<std::int64_t> shape = {});
XP_API at::Tensor tensor_of(const std::vector<float>& data, std::vector<std::int64_t> shape = {});

}  // namespace xp
