#pragma once
// The safetensors file format: a JSON header, then raw little-endian numbers. Read by memory map, written atomically.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"
#include "kit/files/mapped_file.h"
#include "kit/files/pending_file.h"

namespace xp {

/// Bytes of one tensor inside a mapped file or elsewhere; not owned. In files of other writers they may start
/// anywhere: read numbers by memcpy, not through a pointer to them.
struct TensorBytes {
  std::string dtype;  ///< "F32" "BF16" "F16" "F64" "I64" "I32" "I16" "I8" "U8" "BOOL", see dtype_size()
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Bytes of one number of a dtype, F8_E4M3 and F8_E5M2 among them; 0 if the dtype is not known.
XP_API std::size_t dtype_size(std::string_view dtype);

class XP_API SafetensorsFile {
 public:
  /// Maps the file; throws Error (Exit::data) if the header, a shape, an offset or the size does not fit, or if the
  /// tensors overlap or leave bytes out.
  explicit SafetensorsFile(const std::filesystem::path& file, Pages pages = Pages::read_only);

  const std::map<std::string, TensorBytes>& tensors() const { return tensors_; }
  const TensorBytes& at(const std::string& name) const;  ///< throws Error naming the file and what there is
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  MappedFile map_;
  std::map<std::string, TensorBytes> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Gives the bytes of a tensor when it is their turn to be written; what it gave before may go then.
using ReadTensor = std::function<TensorBytes(const std::string& name)>;

/// Writes tensors under a temporary name, syncs, renames. Those of larger numbers come first, so that all are
/// aligned. Throws Error for a tensor whose dtype is not known or whose size is not that of its shape.
XP_API void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorBytes>& tensors,
                              const std::map<std::string, std::string>& metadata = {});
/// The same into a file that the caller syncs and publishes. Tensors without `data` are asked of `read`, each once;
/// throws Error if what it gives is of another type or shape.
XP_API void write_safetensors(PendingFile& file, const std::map<std::string, TensorBytes>& tensors,
                              const std::map<std::string, std::string>& metadata = {}, const ReadTensor& read = {});

}  // namespace xp
