#pragma once
// Merges applied to plain bytes, for byte-level vocabularies.
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "kit/pipeline/merge_rules.h"
#include "kit/pipeline/model.h"

namespace xp::pipeline {

class LongMerges;

/// Immutable, used from any thread.
class ByteMerges {
 public:
  /// Null unless every byte has a token and the model is plain merges. The model must outlive it.
  static std::unique_ptr<const ByteMerges> of(const Model& model);
  ~ByteMerges();

  /// Appends the ids of a word that is not empty.
  void cut(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  struct Step {
    std::uint32_t rank = MergeRules::kNone;
    TokenId result = 0;
  };

  explicit ByteMerges(const Model& model);
  Step step(TokenId left, TokenId right) const {
    const auto& rule = rules_.find(left, right);
    return {rule.rank, rule.result};
  }
  void cut_short(std::string_view word, std::vector<TokenId>& ids) const;
  void cut_long(std::string_view word, std::vector<TokenId>& ids) const;

  const Model& model_;
  const MergeRules& rules_;
  std::array<TokenId, 256> bytes_{};
  std::vector<Step> first_;                 ///< of every two bytes
  std::unique_ptr<const LongMerges> long_;  ///< null: the rules are none that it takes
};

}  // namespace xp::pipeline
