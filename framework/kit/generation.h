#pragma once
// Text from a language model, token by token: greedy, drawn, or by beams.
#include <functional>
#include <span>
#include <vector>

#include "api/tensor.h"
#include "api/tokenizer.h"
#include "schema/value.h"

namespace xp {

/// How tokens are chosen. Drawn ones come from softmax(scores / temperature), cut to the `top_k` likeliest, then to
/// the likeliest whose sum reaches `top_p` (Holtzman et al. 2020, section 3.1).
struct Decoding {
  std::int64_t max_tokens = 64;
  double temperature = 0;  ///< 0: the likeliest token each time
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1;
  std::int64_t beams = 1;     ///< above 1: the likeliest text that a search of this width finds; draws nothing
  double length_penalty = 1;  ///< of beams: log-probabilities are divided by length to this power

  /// Throws Error (Exit::usage) naming a key that is none of these or a value out of range, and what there is.
  XP_API static Decoding read(const Table& table);
};

/// Several texts that a model goes on with, one token each at a time.
class XP_API OpenTexts {
 public:
  virtual ~OpenTexts();
  /// Scores of the token after the prompt, [items, vocabulary].
  virtual at::Tensor start() = 0;
  /// The same after `ids`, [items] int64, were appended.
  virtual at::Tensor next(const at::Tensor& ids) = 0;
  /// Goes on with the items at `rows`, [n] int64; repeats allowed.
  virtual void select(const at::Tensor& rows) = 0;
};

/// What ends a text, and how many tokens it may get.
struct Limits {
  std::function<bool(TokenId)> ends;
  std::vector<std::int64_t> room;  ///< by item, beside Decoding::max_tokens
};

/// The tokens that were written, by item, without the one that ended them. `streams`: one an item, for draws.
XP_API std::vector<std::vector<TokenId>> generate(OpenTexts& texts, const Decoding& sampling, const Limits& limits,
                                                  std::span<RandomStream> streams);

}  // namespace xp
