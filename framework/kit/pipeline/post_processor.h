#pragma once
// The `post_processor` of a `tokenizer.json`: puts special tokens around texts and trims offsets.
#include <memory>
#include <utility>

#include "kit/pipeline/framed.h"
#include "kit/pipeline/steps.h"

namespace xp::pipeline {

/// What a post-processor puts in front of a single text and behind it, if it does.
struct FrameEnds {
  std::vector<TokenId> front, back;
};

/// Immutable, used from any thread.
class XP_API PostProcessor {
 public:
  virtual ~PostProcessor();
  /// Changes the parts, one for each text at first. Without `special`, no token is added.
  virtual void apply(std::vector<FramePart>& parts, bool special) const = 0;
  virtual std::size_t added(bool pair) const = 0;  ///< number of tokens that apply() adds
  virtual bool trims() const { return false; }     ///< whether FramePart::blanks are looked at
  virtual FrameEnds ends() const { return {}; }
};

/// Null for null. Throws Error (Exit::data) for what is not known, naming its place.
XP_API std::unique_ptr<const PostProcessor> read_post_processor(const Entry& entry);

}  // namespace xp::pipeline
