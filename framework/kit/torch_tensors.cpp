
#include <ATen/ops/from_blob.h>

#include <array>
#include <cstring>

#include "api/ops.h"
#include "base/error.h"
#include "base/text.h"
#include "kit/tensors.h"

namespace xp {
namespace {

constexpr std::array<std::pair<at::ScalarType, std::string_view>, 10> kTypes{{{at::kFloat, "F32"},
                                                                              {at::kBFloat16, "BF16"},
                                                                              {at::kHalf, "F16"},
                                                                              {at::kDouble, "F64"},
                                                                              {at::kLong, "I64"},
                                                                              {at::kInt, "I32"},
                                                                              {at::kShort, "I16"},
                                                                              {at::kChar, "I8"},
                                                                              {at::kByte, "U8"},
                                                                              {at::kBool, "BOOL"}}};

template <class T>
at::Tensor copy_of(const std::vector<T>& data, std::vector<std::int64_t> shape, at::ScalarType type) {
  if (shape.empty()) shape = {static_cast<std::int64_t>(data.size())};
  auto tensor = ops::empty(shape, type);
  if (tensor.numel() != static_cast<std::int64_t>(data.size()))
    throw Error("a shape asks for " + std::to_string(tensor.numel()) + " numbers, there are " +
                std::to_string(data.size()));
  if (!data.empty()) std::memcpy(tensor.mutable_data_ptr(), data.data(), data.size() * sizeof(T));
  return tensor;
}

}  // namespace

std::string dtype_name(at::ScalarType type) {
  for (const auto& [known, name] : kTypes)
    if (known == type) return std::string(name);
  throw Error("safetensors has no name for the number type " + std::string(c10::toString(type)));
}

at::ScalarType dtype_of(std::string_view name) {
  for (const auto& [type, known] : kTypes)
    if (known == name) return type;
  throw Error("numbers of type " + backquoted(name) + " cannot be read", Exit::data);
}

TensorBytes bytes_of(const at::Tensor& contiguous) {
  if (!contiguous.is_contiguous() || !contiguous.device().is_cpu())
    throw Error("bytes_of() takes contiguous CPU tensors");
  return {dtype_name(contiguous.scalar_type()), contiguous.sizes().vec(),
          static_cast<const std::byte*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

TensorBytes size_of(const at::Tensor& tensor) {
  return {dtype_name(tensor.scalar_type()), tensor.sizes().vec(), nullptr, tensor.nbytes()};
}

at::Tensor tensor_of(const TensorBytes& bytes) {
  auto tensor = ops::empty(bytes.shape, dtype_of(bytes.dtype));
  if (bytes.size > 0) std::memcpy(tensor.mutable_data_ptr(), bytes.data, bytes.size);
  return tensor;
}

at::Tensor view_of(const TensorBytes& bytes, std::shared_ptr<const void> owner) {
  const auto type = dtype_of(bytes.dtype);
  if (reinterpret_cast<std::uintptr_t>(bytes.data) % c10::elementSize(type) != 0) return tensor_of(bytes);
  if (bytes.size == 0) return ops::empty(bytes.shape, type);
  return at::from_blob(
      const_cast<std::byte*>(bytes.data), bytes.shape, [owner = std::move(owner)](void*) {}, at::TensorOptions(type));
}

at::Tensor tensor_of(const std::vector<std::int64_t>& data, std::vector<std::int64_t> shape) {
  return copy_of(data, std::move(shape), at::kLong);
}
at::Tensor tensor_of(const std::vector<float>& data, std::vector<std::int64_t> shape) {
  return copy_of(data, std::move(shape), at::kFloat);
}

}  // namespace xp
