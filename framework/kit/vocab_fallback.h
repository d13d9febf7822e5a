#pragma once
// Rows for tokens of which a method knows nothing.
#include <string>
#include <utility>
#include <vector>

#include "kit/vocab_tables.h"

namespace xp {

enum class Fallback : std::uint8_t {
  random,  ///< normal with the old rows' mean and standard deviation per dimension
  pieces,  ///< the mean of the rows of its pieces under the old tokenizer; random if it has none
  mean,    ///< the mean of all old rows
  token,   ///< the row of an old token that is drawn
  unk,     ///< the row of the old token for what is unknown
  open,    ///< not set: for the next initializer
};

/// Names of a `fallback` parameter.
inline std::vector<std::pair<std::string, Fallback>> fallback_names() {
  return {{"random", Fallback::random}, {"pieces", Fallback::pieces}, {"mean", Fallback::mean},
          {"token", Fallback::token},   {"unk", Fallback::unk},       {"open", Fallback::open}};
}

/// Sets `rows`, each noted with `why`. `tables` says what random rows are drawn like; empty: the old tables.
XP_API void fall_back(const VocabSetting& setting, MixPlan& plan, const std::vector<TokenId>& rows, Fallback fallback,
                      std::string_view why, std::vector<TableStatistics> tables = {});

/// The same weight for each of the token's pieces under the old tokenizer; empty if it has none.
XP_API std::vector<MixPart> uniform_pieces(const VocabSetting& setting, TokenId row);

}  // namespace xp
