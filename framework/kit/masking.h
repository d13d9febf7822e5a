#pragma once
// Corruption of single tokens, shared by every objective that hides some and asks for them.
#include <array>

#include "api/transform.h"

namespace xp {

/// How tokens are chosen and what becomes of them.
struct MaskOptions {
  double rate = 0.15;                           ///< share of the tokens that may be chosen
  std::array<double, 3> mix = {0.8, 0.1, 0.1};  ///< of the chosen: mask, random token, unchanged; sums to 1
  bool whole_words = false;                     ///< choose words (field `word`), each with all its tokens
};

/// Throws Error unless 0 <= rate <= 1 and `mix` holds three shares that sum to 1.
XP_API MaskOptions mask_options(double rate, const std::vector<double>& mix, bool whole_words);

/// Reads `ids` (and honours `maskable`: 0 = leave alone), writes `masked_ids` and `labels`: the original id where a
/// token was chosen, else -1. Only ids that stand for text are chosen, and random tokens are text too. A word is a
/// run of equal numbers in `word`; each of its tokens meets its own fate. `mask_rate` is schedulable. The scheme is
/// that of BERT (Devlin et al. 2019, section 3.1), drawn per token: counts per item vary.
class XP_API MaskTokens final : public Transform {
 public:
  explicit MaskTokens(MaskOptions options) : options_(options) {}

  void start(const Resources& resources) override;
  void set(std::string_view parameter, double value) override;
  FieldUse fields() const override;
  void apply(std::vector<Example>& group, RandomStream& random) const override;

 private:
  void mask(Example& item, RandomStream& random) const;

  MaskOptions options_;
  std::int64_t mask_ = 0;
  std::vector<std::int64_t> text_;     // ids that stand for text
  std::vector<std::uint8_t> is_text_;  // by id
};

}  // namespace xp
