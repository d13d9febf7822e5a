#pragma once
// The number types of ggml (GGUF files): blocks of small integers that share scales.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/export.h"

namespace xp {

/// Values are those in files.
enum class GgmlType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  bf16 = 30,
};

struct GgmlLayout {
  GgmlType type;
  std::string_view name;  ///< as ggml spells it: "Q4_K"
  std::size_t block = 0;  ///< numbers in a block
  std::size_t bytes = 0;  ///< of a block
};

/// Null if the type is none that can be read.
XP_API const GgmlLayout* ggml_layout(std::uint32_t type);
XP_API const GgmlLayout& ggml_layout(GgmlType type);
/// The name of a type of a file, also of those that cannot be read; empty if ggml knows none.
XP_API std::string_view ggml_type_name(std::uint32_t type);

/// The `count` numbers of the blocks as floats, by ggml's formulas in its order of operations. `count` must be whole
/// blocks (else Error), so that a caller streams a tensor part by part; `blocks` may start at any byte.
XP_API void dequantise(GgmlType type, const std::byte* blocks, std::size_t count, float* out);

}  // namespace xp
