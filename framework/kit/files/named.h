#pragma once
// What a file holds by name, with a message that says what there is.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace xp {

/// The tensor of this name; throws Error (Exit::data) naming the file and what there is.
template <class Tensor>
const Tensor& named_tensor(const std::map<std::string, Tensor>& tensors, const std::string& name,
                           const std::filesystem::path& file) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [key, tensor] : tensors) names.push_back(key);
  throw Error(file.string() + " has no tensor " + backquoted(name) + "; there is " + listed(names), Exit::data);
}

}  // namespace xp
