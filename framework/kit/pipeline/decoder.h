#pragma once
// The `decoder` of a `tokenizer.json`: tokens back into text.
#include <memory>
#include <string>
#include <vector>

#include "kit/pipeline/steps.h"

namespace xp::pipeline {

/// How a vocabulary writes text: what its decoder undoes.
struct Spelling {
  bool byte_level = false;   ///< bytes as printable characters
  std::string space;         ///< what stands for a space ("▁"); empty: nothing
  bool byte_tokens = false;  ///< "<0x0A>" is a byte
  bool word_pieces = false;  ///< tokens without the model's prefix begin words
  bool operator==(const Spelling&) const = default;
};

/// Immutable, used from any thread.
class XP_API Decoder {
 public:
  virtual ~Decoder();
  /// Rewrites the tokens; joined without anything between, they are the text. Throws Error (Exit::data) naming the
  /// step that would make them longer than `most` bytes together.
  virtual void apply(std::vector<std::string>& tokens, std::size_t most) const = 0;
  virtual void describe(Spelling& spelling) const = 0;  ///< adds what this decoder undoes
};

/// Null for null. Throws Error (Exit::data) for what is not known, naming its place.
XP_API std::unique_ptr<const Decoder> read_decoder(const Entry& entry);

}  // namespace xp::pipeline
