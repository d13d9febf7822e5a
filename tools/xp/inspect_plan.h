#pragma once
// How the rows of a new vocabulary came about, from the ledger of `xp adapt` or from a mixing artifact.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "schema/value.h"

namespace xp::program {

struct PlanSource {
  std::int64_t id = 0;
  double weight = 0;
};

struct PlanRow {
  std::string token, rule, note;
  bool copied = false;
  double mean = 0;  ///< weight of the mean of all old rows
  std::vector<PlanSource> sources = {};
};

struct PlanView {
  std::vector<PlanRow> rows;                  ///< by new id
  std::map<std::int64_t, std::string> names;  ///< of old tokens that a row has
};

/// A file `vocabulary.jsonl` of `xp adapt`, or the folder of a mixing artifact; nothing if the path is neither.
/// Throws Error (Exit::data) with the place if it is one and broken.
std::optional<PlanView> read_plan(const std::filesystem::path& path);

/// Rows by rule and by the reason of a fallback, entropy of mixed rows in nats, the most used old tokens by their
/// mass.
Table summary_of(const PlanView& plan);
/// The rows of new tokens that are spelt so, heaviest old tokens first. Throws Error (Exit::usage) if there is none.
Table rows_of(const PlanView& plan, const std::string& token);

std::string summary_text(const Table& summary);
std::string rows_text(const Table& rows);

}  // namespace xp::program
