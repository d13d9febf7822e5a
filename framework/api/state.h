#pragma once
// Named values and tensors in nested name spaces: what components save, and what a fitted artifact holds.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/export.h"

namespace at {
class Tensor;
}

namespace xp {

/// Numbers outside LibTorch, row-major. An empty `shape` means one axis, as long as `data`.
template <class T>
struct Array {
  std::vector<T> data;
  std::vector<std::int64_t> shape = {};
};
using Ints = Array<std::int64_t>;
using Floats = Array<float>;
using Strings = std::vector<std::string>;
using Values = std::variant<Ints, Floats, Strings>;

class XP_API State {
 public:
  State();
  State(State&&) noexcept;
  State& operator=(State&&) noexcept;
  ~State();

  void set(std::string_view name, Values values);
  void set(std::string_view name, const at::Tensor& tensor);  ///< keeps a reference, copies nothing
  bool has(std::string_view name) const;
  const Values& values(std::string_view name) const;  ///< throws Error if absent or a tensor
  const Ints& ints(std::string_view name) const;      ///< throws Error if absent or of another kind; so do the next
  const Floats& floats(std::string_view name) const;
  const Strings& strings(std::string_view name) const;
  const at::Tensor& tensor(std::string_view name) const;  ///< throws Error if absent or no tensor
  State& child(std::string_view name);                    ///< made when first asked for
  const State& child(std::string_view name) const;        ///< throws Error if absent

  Strings value_names() const;   ///< sorted
  Strings tensor_names() const;  ///< sorted
  Strings child_names() const;   ///< sorted

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace xp
