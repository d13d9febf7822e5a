#pragma once
// What a component may ask for once the recipe is resolved. Nothing here depends on a model.
#include <cstdint>
#include <string_view>

#include "api/state.h"

namespace xp {

class Encoder;

class XP_API Resources {
 public:
  virtual ~Resources();
  virtual std::int64_t vocab_size() const = 0;  ///< 0 without a tokenizer
  /// The token id reserved for a purpose ("mask", "sentinel" with its index); throws Error if the tokenizer has none.
  virtual std::int64_t reserved(std::string_view purpose, std::int64_t index = 0) const = 0;
  /// True if the id stands for text, false for reserved ones ("mask", "pad", ...).
  virtual bool is_text(std::int64_t token) const = 0;
  virtual const State& artifact(std::string_view name) const = 0;  ///< output of a fit stage; name as in the recipe
  /// Names of the classes of a field; their index is the class. Those of a reference that predicts the field, else
  /// the distinct values of the training split, sorted.
  virtual Strings categories(std::string_view field) const = 0;
  virtual const Encoder* tokenizer() const = 0;  ///< null without one
};

}  // namespace xp
