#pragma once
#include "plugin/registry.h"

namespace xp::testing {

/// Checks (Catch2) a data source made from these settings: the same documents every time, by other instances too; ids
/// that are unique; text, languages and marks that are well formed; no group in two splits; a fingerprint that
/// depends on the documents. `changed`: settings that give other documents.
void check_data_source(const Registry& registry, const Table& settings, const Table& changed);

/// Checks (Catch2) a dataset made from these settings: groups that are the same every time and on several threads;
/// ids that are unique; the declared fields, of equal length along each axis; an error beyond the end; a fingerprint
/// that depends on the examples. `changed`: settings that give other examples.
void check_dataset(const Registry& registry, const Table& settings, const Table& changed);

}  // namespace xp::testing
