#pragma once
// Another vocabulary for a model that somebody made, from files to files.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/registry.h"

namespace xp {

struct AdaptRequest {
  std::filesystem::path model;      ///< directory or file with weights and a tokenizer
  std::filesystem::path tokenizer;  ///< directory or file
  std::filesystem::path out;        ///< a directory that is not there yet
  Table initializer;                ///< with `type`
  std::vector<std::string> copy{"exact"};
  std::optional<std::filesystem::path> vectors;  ///< of words
  std::optional<Table> corpus;                   ///< a data source, with `type`: text for initializers that read some
  std::optional<std::filesystem::path> figure;   ///< where a picture (SVG) of both input tables goes
  std::uint64_t seed = 0;
  int threads = 0;                                      ///< 0: one per core
  std::function<void(std::string_view)> progress = {};  ///< told what begins
};

struct AdaptReport {
  std::int64_t source_tokens = 0, target_tokens = 0, rows = 0;
  std::map<std::string, std::int64_t> rules;  ///< rows by what set them
  std::optional<double> leak_bound;           ///< nats
  double hubness = 0;
  std::vector<std::string> capabilities;  ///< of the model, as api/model.h lists them
  std::vector<std::string> lost;          ///< what the model's files hold and the new ones do not
  std::filesystem::path ledger;
};

/// Throws Error; nothing stands at `out` then.
AdaptReport adapt(const AdaptRequest& request, const Catalogue& catalogue);

}  // namespace xp

/// As xp_engine_run.
extern "C" XP_API int xp_engine_adapt(const xp::AdaptRequest* request, const xp::Catalogue* catalogue,
                                      xp::AdaptReport* report, char** message);
