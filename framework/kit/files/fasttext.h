#pragma once
// The models of fastText: words and character n-grams that share rows of one matrix.
#include <cstdint>
#include <memory>

#include "kit/files/word_vectors.h"

namespace xp {

constexpr std::int32_t kFasttextMark = 793712314;

/// The words of a `.bin` or `.ftz` and how vectors come from them. Throws Error (Exit::data) if it does not fit. The
/// map must outlive the table; its own address may change.
std::unique_ptr<VectorTable> read_fasttext(const MappedFile& map);

}  // namespace xp
