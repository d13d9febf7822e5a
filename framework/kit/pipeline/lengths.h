#pragma once
// `truncation` and `padding` of a `tokenizer.json`.
#include <optional>

#include "kit/pipeline/framed.h"
#include "kit/pipeline/steps.h"

namespace xp::pipeline {

struct Truncation {
  enum class Strategy { longest_first, only_first, only_second };
  Strategy strategy = Strategy::longest_first;
  std::uint64_t max_length = 0;  ///< in tokens, those of post-processing included
  std::uint64_t stride = 0;      ///< tokens that overflowing parts would share; must be less than what is kept
  bool left = false;             ///< tokens go at the front
};
/// Nothing for null.
std::optional<Truncation> read_truncation(const Entry& entry);
/// Shortens one or two texts so that they and `added` tokens have at most max_length. Throws Error (Exit::data) if
/// the strategy cannot reach that.
void truncate(std::vector<FramePart>& parts, const Truncation& to, std::size_t added);

struct Padding {
  std::optional<std::size_t> fixed;  ///< nothing: the longest of the batch
  std::size_t multiple = 0;          ///< lengths are rounded up to a multiple; 0: they are not
  bool left = false;
  TokenId id = 0;
  std::int32_t type = 0;
};
/// Nothing for null.
std::optional<Padding> read_padding(const Entry& entry);
/// The length that texts are padded to if the longest has `longest` tokens.
std::size_t padded_length(const Padding& padding, std::size_t longest);

}  // namespace xp::pipeline
