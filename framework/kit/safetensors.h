#pragma once
// The safetensors file format: a JSON header, then raw little-endian numbers. Read by memory map, written atomically.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/export.h"

namespace xp {

/// Bytes of one tensor inside a mapped file or elsewhere; not owned.
struct TensorBytes {
  std::string dtype;  ///< "F32" "BF16" "F16" "F64" "I64" "I32" "I16" "I8" "U8" "BOOL"
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Bytes of one number of a dtype; 0 if the dtype is not known.
XP_API std::size_t dtype_size(std::string_view dtype);

class XP_API SafetensorsFile {
 public:
  /// Maps the file; throws Error (Exit::data) if the header, a shape, an offset or the size does not fit.
  explicit SafetensorsFile(const std::filesystem::path& file);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;

  const std::map<std::string, TensorBytes>& tensors() const { return tensors_; }
  const TensorBytes& at(const std::string& name) const;  ///< throws Error naming the file and what there is
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Map;
  std::unique_ptr<Map> map_;
  std::filesystem::path file_;
  std::map<std::string, TensorBytes> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes tensors sorted by name under a temporary name, syncs, renames.
XP_API void write_safetensors(const std::filesystem::path& file, const std::map<std::string, TensorBytes>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

}  // namespace xp
