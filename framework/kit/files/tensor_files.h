#pragma once
// The tensors of a model, whether they are in one safetensors file or in shards with an index.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "kit/safetensors.h"

namespace xp {

class XP_API TensorFiles {
 public:
  /// A .safetensors file, a .safetensors.index.json, or a folder that has `model.safetensors` or else
  /// `model.safetensors.index.json`. Maps the files and reads their headers; no tensor's page is touched.
  /// Throws Error (Exit::data) if a file does not fit, or the index names a shard that is no plain file name or a
  /// tensor that is not in its shard. What the index says of sizes is not looked at.
  explicit TensorFiles(const std::filesystem::path& where);

  const std::map<std::string, TensorBytes>& tensors() const { return tensors_; }
  const TensorBytes& at(const std::string& name) const;  ///< throws Error naming the place and what there is
  /// Of the file, or of the shards: the first shard that has a key gives its value.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Tensors that are in a shard and that the index does not place there, as "name in shard": callers must tell.
  const std::vector<std::string>& lost() const { return lost_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  void read_index(const std::filesystem::path& index);

  std::filesystem::path where_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, TensorBytes> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> lost_;
};

/// Writes `model.safetensors`, or, if the tensors have more than `most_bytes` together,
/// `model-00001-of-0000N.safetensors` ... and `model.safetensors.index.json`. A shard is larger than that only if one
/// tensor is. Everything is written and synced under temporary names and then renamed, the index last; what an
/// earlier write left under these names goes. A reader never sees old and new together: while shards that an old
/// index names are being replaced there is no index. Throws Error as write_safetensors() does, and reads as it does.
XP_API void write_tensor_files(const std::filesystem::path& folder, const std::map<std::string, TensorBytes>& tensors,
                               const std::map<std::string, std::string>& metadata, std::uint64_t most_bytes,
                               const ReadTensor& read = {});

}  // namespace xp
