#include "named_path.h"

#include "base/error.h"
#include "recipe/plan.h"
#include "recipe/world.h"

namespace xp::program {

std::string named_path(const std::string& text) {
  constexpr std::string_view kPackage = "package:";
  if (!text.starts_with(kPackage)) return text;
  Problems problems;
  recipe::Files files(project_root(std::filesystem::current_path()), {}, problems);
  const auto found = files.outside("package", text.substr(kPackage.size()), {});
  problems.raise();
  for (const auto& missing : files.not_fetched()) throw Error(missing.message + "; " + missing.hint, Exit::data);
  return found->path.string();
}

}  // namespace xp::program
