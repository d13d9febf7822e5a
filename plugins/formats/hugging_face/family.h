#pragma once
// Model families of the Hugging Face library as data: families/*.json say how a configuration and its tensors are
// called there and here, read in both directions.
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "schema/value.h"

namespace xp::hugging_face {

using Json = nlohmann::json;

/// One tensor: its name here and there, and how the numbers lie there.
struct TensorPlace {
  std::string ours, role, theirs;
  int layer = -1;
  bool transposed = false;        ///< there [in, out], here [out, in]
  std::int64_t part = 0, of = 1;  ///< this one of several that lie in one tensor, along its axis of outputs
  std::int64_t lead = 0;          ///< there with so many axes of length 1 in front
};

/// One of several models that lie in one directory.
struct Tower {
  std::string role, type;  ///< of its family
  std::string key;         ///< its part of the configuration
};

/// Answers whether the model's files hold a tensor.
using HasTensor = std::function<bool(const std::string&)>;

class Family {
 public:
  explicit Family(Json data) : data_(std::move(data)) {}

  /// The family that reads a configuration; throws Error (Exit::data) naming those that are known. `file` is where
  /// the configuration is from, for messages.
  static const Family& of(const Json& config, const std::string& file);
  /// The family whose layout fits the settings of a model here; throws Error (Exit::data) saying what fits none.
  static const Family& for_settings(const Table& settings);

  /// Settings of the model component. Throws Error (Exit::data) for a key that is missing, of the wrong type, or has
  /// a value that the component cannot follow.
  Table settings(const Json& config, const HasTensor& has, const std::string& file) const;
  /// config.json for settings; `model_type` is one of the family's, its first if empty.
  Json config(const Table& settings, const std::string& model_type) const;

  /// Every tensor of a model with these settings, in the order of its layers. `prefixed`: names of the trunk stand
  /// behind the family's prefix, as they do beside a head.
  std::vector<TensorPlace> tensors(const Table& settings, bool prefixed) const;
  /// Whether the names of a file's trunk stand behind the prefix.
  bool prefixed(const HasTensor& has) const;

  /// Tensors that repeat others, by name: the second name is what they repeat.
  std::vector<std::pair<std::string, std::string>> copies() const;
  /// True for buffers that the library computes and files may hold.
  bool derived(const std::string& name) const;
  /// Whether a head, or a projection of pooled states, stands beside the trunk of a model with these settings.
  static bool has_head(const Table& settings);

  /// The models of a directory that holds several; none: it holds one, and only then do the functions above work.
  std::vector<Tower> towers() const;
  /// The configuration of one of them; throws Error (Exit::data) if there is none.
  Json tower_config(const Json& config, const Tower& tower, const std::string& file) const;
  /// config.json of all of them, of theirs by key.
  Json joint_config(const std::map<std::string, Json>& towers) const;
  /// Tensors that belong to no single model, all scalars: name and the value of one that is not there.
  std::map<std::string, double> scalars(const Json& config) const;
  /// The family whose directories hold models of these families by role; null if there is none.
  static const Family* joint(const std::map<std::string, const Family*>& by_role);
  /// The family of a model_type; throws Error if there is none.
  static const Family& named(const std::string& model_type);

  /// preprocessor_config.json for settings; null if they say nothing of it.
  Json preprocessor(const Table& settings, const Json& config) const;
  /// What preprocessor_config.json says and the settings cannot.
  std::vector<std::string> lost_of_preprocessor(const Table& settings, const Json& preprocessor) const;

  const std::string& model_type() const { return data_.at("model_types").at(0).get_ref<const std::string&>(); }

 private:
  std::optional<std::string> misfit(const Table& settings) const;
  void check_requirements(const Json& config, const std::string& file) const;
  void check_layers(const Table& settings, const HasTensor& has, const std::string& file) const;
  void add_tensors(const char* part, const Table& settings, const std::string& prefix,
                   std::vector<TensorPlace>& out) const;

  Json data_;
};

}  // namespace xp::hugging_face
