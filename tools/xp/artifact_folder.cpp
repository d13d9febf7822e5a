#include "artifact_folder.h"

#include <algorithm>

#include "base/text.h"
#include "named_path.h"
#include "results/cache.h"

namespace xp::program {

namespace fs = std::filesystem;

fs::path artifact_folder(const Program& program, const std::string& named, const std::vector<std::string>& files) {
  const auto from = named_path(named);
  std::error_code none;
  if (fs::exists(from, none)) return from;
  const auto colon = from.find(':');
  if (colon == std::string::npos)
    throw Error("there is no file or folder " + backquoted(printable(from)) +
                    ", and it is no RECIPE:STAGE such as quickstart:target_tokenizer",
                Exit::usage);
  const auto results = open_results(program, {from.substr(0, colon)});
  const auto stage = from.substr(colon + 1);
  const auto* members = find(*results.front()->plan().as<Table>(), "members");
  for (const auto& member : members && members->as<List>() ? *members->as<List>() : List()) {
    const auto* digest = find(*member.as<Table>(), "stages." + stage);
    if (!digest || !digest->as<std::string>()) continue;
    const auto entry = Cache(program.results_folder()).find(*digest->as<std::string>());
    if (!entry)
      throw Error("the artifact of stage " + backquoted(stage) + " is not in the cache any more", Exit::data);
    for (const auto& inside : fs::directory_iterator(entry->folder))
      if (std::any_of(files.begin(), files.end(), [&](const auto& file) { return fs::exists(inside.path() / file); }))
        return inside.path();
    throw Error("stage " + backquoted(stage) + " made nothing with " + listed(files), Exit::data);
  }
  throw Error("the newest result of " + backquoted(from.substr(0, colon)) + " has no stage " + backquoted(stage),
              Exit::data);
}

}  // namespace xp::program
