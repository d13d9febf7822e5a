#pragma once
// A vocabulary table as coordinates times primitives.
#include "kit/vocab_tables.h"

namespace xp {

/// Where singular values go: all into the primitives, or their roots to both sides.
enum class FactorScale : std::uint8_t { primitives, even };

/// Names of a `scale` parameter.
inline std::vector<std::pair<std::string, FactorScale>> factor_scale_names() {
  return {{"primitives", FactorScale::primitives}, {"even", FactorScale::even}};
}

/// The best product of this rank for the input table: the thin singular value decomposition of the table, not centred
/// (OFA, Liu et al. 2023, section 3.1). Throws Error unless there is one input table and no output table of its own,
/// and (Exit::usage) for a rank above the table's sides.
XP_API Factorisation input_factors(const Parameters& weights, std::int64_t rank, FactorScale scale);

/// The coordinates, [rows, rank].
XP_API at::Tensor coordinates_of(const Factorisation& factors);

/// What random rows are drawn like where the new table is such a product: vocab_statistics() with those of the
/// coordinates in the place of the tables'.
XP_API std::vector<TableStatistics> factored_statistics(const Parameters& weights, const Factorisation& factors);

}  // namespace xp
