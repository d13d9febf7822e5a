#pragma once
// GGUF, the model files of llama.cpp: typed metadata and tensors in ggml's number types.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kit/files/ggml_blocks.h"
#include "kit/files/mapped_file.h"

namespace xp {

class ByteReader;

/// Types of metadata; values are those in files.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

/// A list of the metadata. Texts and numbers are parts of the mapped file.
struct XP_API GgufArray {
  GgufType of = GgufType::u8;
  std::uint64_t count = 0;
  std::span<const std::byte> numbers;   ///< if `of` is a number or a boolean; may start at any byte
  std::vector<std::string_view> texts;  ///< if `of` is text
  std::vector<GgufArray> arrays;        ///< if `of` is array

  bool whole_numbers() const;                 ///< true if integer() can be asked
  std::int64_t integer(std::size_t i) const;  ///< u64 beyond int64 are given as the largest int64
  double real(std::size_t i) const;           ///< of any number; booleans are 0 and 1
};

/// One value. Texts need not be UTF-8.
using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, GgufArray>;

struct GgufTensor {
  GgmlType type = GgmlType::f32;
  std::vector<std::int64_t> shape;  ///< row-major: GGUF's own order reversed, the last axis is contiguous
  std::uint64_t count = 0;          ///< numbers
  std::span<const std::byte> data;  ///< blocks for dequantise(); may start at any byte
};

class XP_API GgufFile {
 public:
  /// Maps the file and reads what precedes the tensors; no tensor's page is touched. Throws Error (Exit::data) for
  /// versions other than 2 and 3, big-endian files, number types that cannot be read, names twice, and everything
  /// that does not fit into the file or into another thing's place.
  explicit GgufFile(const std::filesystem::path& file);

  std::uint32_t version() const { return version_; }
  const std::filesystem::path& path() const { return map_.path(); }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor& at(const std::string& name) const;  ///< throws Error naming the file and what there is

  /// Metadata of one type: nothing if the key is not there, Error (Exit::data) if it has another type.
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> real(std::string_view key) const;  ///< whole numbers too
  std::optional<bool> flag(std::string_view key) const;
  const GgufArray* array(std::string_view key) const;
  [[noreturn]] void refuse(const std::string& what) const;  ///< Error (Exit::data) that names the file

 private:
  void read_metadata(ByteReader& reader, std::uint64_t count);
  void read_tensors(ByteReader& reader, std::uint64_t count);
  const GgufValue* find(std::string_view key) const;

  MappedFile map_;
  std::uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, GgufTensor> tensors_;
};

}  // namespace xp
