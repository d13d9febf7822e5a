#pragma once
// The folder of one sweep: results/<recipe>/sweep-<time>/ with what was asked, the journal of decisions, workers'
// files and the results of trials.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "recipe/plan.h"
#include "sweep/trials.h"

namespace xp::sweep {

/// The file that makes a folder one of a sweep.
inline constexpr const char* kHeaderFile = "sweep.json";

/// What a sweep was begun with.
struct Header {
  std::string recipe;      ///< path of the file
  std::string name;        ///< of the recipe
  ResolveOptions options;  ///< without `sweep` and `to_run`
  std::string source;      ///< all recipe files, each under its name
  std::vector<std::string> identity;
  std::vector<std::string> binaries;  ///< "engine HASH", "plugin NAME HASH"
  std::string started;                ///< UTC time
  std::map<std::string, std::int64_t> retries = {};
  std::string goal = {};
  bool higher = false;
};

/// Makes the folder of a new sweep below results/<recipe>/ and returns it. Throws Error.
XP_API std::filesystem::path begin_sweep(const std::filesystem::path& results, const Header& header);
/// Replaces what is said of a sweep in its folder. Throws Error.
XP_API void write_header(const std::filesystem::path& folder, const Header& header);
/// Throws Error (Exit::data) if the folder holds no sweep.
XP_API Header read_header(const std::filesystem::path& folder);
/// Folders of all sweeps of one recipe, or of all; newest first.
XP_API std::vector<std::filesystem::path> find_sweeps(const std::filesystem::path& results,
                                                      std::string_view recipe = {});

/// Trials of a sweep as its journal has them now. Throws Error (Exit::data).
XP_API Trials read_trials(const std::filesystem::path& folder, const Header& header);

/// Results of a sweep's trials for tables and claims: of each arm the best by goal; all that are done, in the order
/// proposed, where there is no goal or `every` one is asked for.
XP_API std::vector<std::filesystem::path> chosen_results(const std::filesystem::path& folder, bool every = false);

}  // namespace xp::sweep
