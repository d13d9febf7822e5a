#pragma once
// Rows of another model for the tokens of the new vocabulary.
#include <vector>

#include "api/tensor.h"
#include "api/vocab_initializer.h"
#include "kit/anchors.h"

namespace xp {

struct DonorRows {
  at::Tensor input;   ///< [target tokens, width] double; zero where the donor lacks the token
  at::Tensor output;  ///< the same of its output table; undefined where that is its input table
  std::vector<bool> covered;
  std::vector<Anchor> anchors;  ///< tokens of both vocabularies that the donor has too
};

/// Throws Error (Exit::usage) if the setting has no donor or it shares no token with both vocabularies, and Error if
/// it has no input table.
XP_API DonorRows donor_rows(const VocabSetting& setting, const MixPlan& plan);

/// Of each table with role "vocab.*" of the old model, tied tables once: its role and its rows [old tokens, width] in
/// double; a bias has width 1.
XP_API std::vector<std::pair<std::string, at::Tensor>> old_tables(const VocabSetting& setting);

}  // namespace xp
