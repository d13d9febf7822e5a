#pragma once
// What a file or directory of another tool holds, told without reading any tensor.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "schema/value.h"

namespace xp {

/// One tensor as a file holds it.
struct TensorReport {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::string ours = {}, role = {};  ///< what it becomes; empty: it is lost, or made anew
};

struct FormatReport {
  std::string format = {};  ///< component that reads it
  std::string family = {};  ///< "bert", "llama" ...; empty: no model
  Table settings = {};      ///< of the model component
  std::vector<TensorReport> tensors = {};
  std::vector<std::string> lost = {};               ///< what a checkpoint cannot hold
  std::optional<std::int64_t> tokens = {};          ///< of the tokenizer; nothing: there is none
  std::map<std::string, std::string> special = {};  ///< purposes and their tokens
};

}  // namespace xp
