#pragma once
// From two vocabularies to a plan for every row, and to a ledger that people read.
#include "api/vocab_initializer.h"
#include "kit/matching.h"

namespace xp {

/// The levels called `exact`, `word_start`, `casefold`; throws Error (Exit::usage) for others.
XP_API std::vector<MatchLevel> match_levels(const std::vector<std::string>& names);

/// A `match` parameter: which tokens of both vocabularies an initializer takes for the same.
enum class TokenMatch : std::uint8_t { as_told, exact, word_start, casefold, specials };

/// Names of a `match` parameter; `as_told` has none, it is what stands for where the recipe says nothing.
inline std::vector<std::pair<std::string, TokenMatch>> token_match_names() {
  return {{"exact", TokenMatch::exact},
          {"exact+word_start", TokenMatch::word_start},
          {"exact+casefold", TokenMatch::casefold},
          {"specials", TokenMatch::specials}};
}

/// What VocabInitializer::match() returns for it.
XP_API std::optional<Strings> match_of(TokenMatch match);

/// Rule of rows that are an old token under a new id.
constexpr const char* kCopyRule = "copy";

/// Rows that both vocabularies share by kCopyRule, then the initializer's, then the mean of all old rows for those
/// that are left open. Throws Error (Exit::usage) if the initializer needs vectors and there are none.
XP_API MixPlan plan_vocabulary(const VocabSetting& setting, VocabInitializer& initializer,
                               const std::vector<MatchLevel>& levels);

/// Columns of the ledger, and what they say of one row: its five heaviest sources with their weights among them.
XP_API const Strings& ledger_columns();
XP_API Strings ledger_row(const Encoder& source, const Encoder& target, TokenId id, const MixRow& row);

}  // namespace xp
