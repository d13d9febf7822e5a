#pragma once
// Checkpoints as model directories of other tools, and what such directories hold.
#include <filesystem>
#include <string>
#include <vector>

#include "api/format_report.h"
#include "plugin/registry.h"

namespace xp {

struct ExportRequest {
  std::filesystem::path model;      ///< a checkpoint of a stage, a model directory or a file that a format reads
  std::filesystem::path tokenizer;  ///< for models without one; empty: their own
  std::filesystem::path out;        ///< a directory that is not there yet
};

/// What the model holds and the new directory does not. Throws Error; nothing stands at `out` then.
std::vector<std::string> export_model(const ExportRequest& request, const Catalogue& catalogue);

/// What a format says of a file or directory, and of its tokenizer.
FormatReport report_on(const std::filesystem::path& path, const Catalogue& catalogue);

}  // namespace xp

/// As xp_engine_run.
extern "C" XP_API int xp_engine_export(const xp::ExportRequest* request, const xp::Catalogue* catalogue,
                                       std::vector<std::string>* lost, char** message);
extern "C" XP_API int xp_engine_report(const std::filesystem::path* path, const xp::Catalogue* catalogue,
                                       xp::FormatReport* report, char** message);
