#pragma once
// Shared by state.cpp (no LibTorch) and torch_state.cpp: a tensor is held without its type, so that libxp_core needs
// none.
#include <map>

#include "api/state.h"

namespace xp {

struct State::Impl {
  std::map<std::string, Values, std::less<>> values;
  std::map<std::string, std::shared_ptr<const void>, std::less<>> tensors;  ///< points to an at::Tensor
  std::map<std::string, State, std::less<>> children;
};

}  // namespace xp
