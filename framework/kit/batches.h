#pragma once
#include <string_view>

#include "api/batch.h"
#include "base/export.h"

namespace xp {

/// Throws Error, which says what `reader` reads, unless the batch is made of groups of two texts. A group that comes
/// again right behind itself is seen by its first member.
XP_API void check_pairs(const Batch& batch, std::string_view reader);

/// Which of two texts each token is in, int64 [items, time]: what ForwardInput::segments takes. Undefined if the
/// batch holds no pairs.
XP_API at::Tensor segments_of(const Batch& batch);

/// True at the first token of each word, bool [items, time]; `word` (int64 [items, time]) is -1 where there is none.
XP_API at::Tensor first_of_words(const at::Tensor& word);

}  // namespace xp
