#pragma once
// The tables of a new vocabulary, made block by block into files that are mapped: they cost disk, not memory.
#include <filesystem>

#include "api/parameters.h"
#include "api/vocab_initializer.h"

namespace xp {

/// The parameters of `old` with roles "vocab.*" under the plan, tied ones once. Rows beyond the old tokens go over
/// where the vocabulary keeps its size. Their files are made in `folder` and have no name any more when this returns;
/// their place on the disk is free again when the last tensor goes. Throws Error if there is no such parameter or the
/// disk is full.
Parameters vocabulary_tables(const Parameters& old, const MixPlan& plan, const std::filesystem::path& folder);

/// The same where the plan mixes coordinates: input tables are those times the primitives, in the old table's number
/// type, and in memory.
Parameters folded_tables(const Parameters& old, const MixPlan& plan, const Factorisation& factors);

}  // namespace xp
