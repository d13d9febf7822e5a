#pragma once
// A model directory that was opened: its configuration and its tensors by name, none of them read.
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/format.h"
#include "family.h"
#include "kit/files/tensor_files.h"

namespace xp::hugging_face {

/// Role of a tensor that belongs to no single model.
inline constexpr const char* kScalar = "scalar";

/// One model of the directory.
struct Part {
  std::string role;
  const Family* family = nullptr;
  Json config;  ///< with preprocessor_config.json as `preprocessor`, if the model reads images
  Table settings;
  std::vector<TensorPlace> places;
};

class Opened {
 public:
  /// Throws Error (Exit::data).
  explicit Opened(const std::filesystem::path& path);

  const std::filesystem::path& folder() const { return folder_; }
  const Json& config() const { return config_; }  ///< as the file says
  const TensorFiles& files() const { return *files_; }
  const std::vector<Part>& parts() const { return parts_; }
  /// Tensors that belong to no single model, and their usual values.
  std::map<std::string, double> scalars() const { return family_->scalars(config_); }

  /// The first model, the others as its towers; tensors are views of the files.
  Checkpoint checkpoint(const Encoder* tokenizer) const;
  /// Of the only model, or of each by its role.
  Table settings() const;
  /// What is in the files and in no place.
  Strings lost() const;
  /// Where a parameter of the vocabulary lies; throws Error if nowhere.
  const TensorPlace& table_place(const std::string& name) const;
  std::vector<std::pair<std::string, std::string>> copies() const;
  /// The configuration with this many rows in the tables, and the key below which it names tokens ("": none).
  std::pair<Json, std::string> config_for(std::int64_t rows) const;

 private:
  void add_part(const std::string& role, const Family& family, Json config);
  Checkpoint checkpoint_of(const Part& part) const;
  std::map<std::string, std::int64_t> reserved(const Part& part, const Encoder* tokenizer) const;

  std::filesystem::path folder_;
  Json config_;
  std::shared_ptr<const TensorFiles> files_;
  const Family* family_ = nullptr;
  std::vector<Part> parts_;
};

}  // namespace xp::hugging_face
