#pragma once
// The files of a model directory beside its tensors.
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/tokenizer.h"

namespace xp::hugging_face {

/// True for a folder with config.json and safetensors.
bool has_model(const std::filesystem::path& path);
/// True for a folder with files of a tokenizer.
bool has_tokenizer(const std::filesystem::path& path);

/// config.json as a table; throws Error (Exit::data).
nlohmann::json read_config(const std::filesystem::path& file);
/// preprocessor_config.json, or what processor_config.json says of images; null if there is neither. Throws Error
/// (Exit::data).
nlohmann::json read_preprocessor(const std::filesystem::path& folder);
using IdOf = std::function<std::optional<std::int64_t>(std::string_view purpose)>;
/// A configuration with the ids of tokens by purpose: bos, eos, pad and so on. Where `old` says which ids it was for,
/// what names an id that is the same in both stays as it is.
nlohmann::json with_ids(nlohmann::json config, const IdOf& id_of, const IdOf& old = {});
/// How a sentence encoder pools, as its folder `1_Pooling` says: "first", "mean" or "last"; nothing if it says
/// nothing. Throws Error (Exit::data) for poolings that no model here does.
std::optional<std::string> pooling_of(const std::filesystem::path& folder);
/// The tokenizer of a folder; null if it has none. Throws Error (Exit::data).
std::shared_ptr<const Encoder> read_tokenizer(const std::filesystem::path& folder);
/// "float32" for "F32": what configurations call number types.
std::string torch_name(const std::string& dtype);

/// A directory that is there when it is whole: made under a temporary name beside its place.
class NewDirectory {
 public:
  /// Throws Error (Exit::usage) if there is something at `path` already.
  explicit NewDirectory(std::filesystem::path path);
  ~NewDirectory();
  NewDirectory(const NewDirectory&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  /// With the tokenizer's ids in it, below the key `tokens` unless that is empty; `old`: see with_ids().
  void write_config(nlohmann::json config, const std::string& tokens, const Encoder* tokenizer,
                    const Encoder* old = nullptr) const;
  void write_preprocessor(const nlohmann::json& preprocessor) const;
  void write_tokenizer(const Encoder& tokenizer) const;
  /// Files of `from` that depend on no vocabulary: descriptions, poolings, licences; not tensors, not tokenizers.
  void copy_others(const std::filesystem::path& from) const;
  void publish();

 private:
  std::filesystem::path path_, folder_;
  bool published_ = false;
};

}  // namespace xp::hugging_face
