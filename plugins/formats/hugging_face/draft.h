#pragma once
// What is written of a checkpoint.
#include <map>
#include <string>

#include "api/parameters.h"
#include "family.h"

namespace xp::hugging_face {

/// Tensors by the names they have there, from parameters by ours.
class Assembly {
 public:
  void add(const TensorPlace& place, const at::Tensor& value);
  std::map<std::string, at::Tensor> finish();

 private:
  std::map<std::string, std::vector<at::Tensor>> parts_;
  std::map<std::string, TensorPlace> places_;
};

struct Draft {
  Json config, preprocessor;                  ///< the second is null if there is none
  std::string tokens;                         ///< key of the part of `config` that names tokens; "": all of it
  std::map<std::string, at::Tensor> tensors;  ///< by the names they have there
};

/// The first model alone, or all of them where a family has a place for each. Throws Error (Exit::data) if no family
/// has a place for the model, or for one of its parameters.
Draft draft_of(const Checkpoint& checkpoint);

/// Rows of the table of input tokens; 0 if there is none.
std::int64_t rows_of(const Parameters& parameters);

}  // namespace xp::hugging_face
