#pragma once
// Arms: the documents that a recipe multiplies out to.
#include <string>
#include <vector>

#include "recipe/document.h"

namespace xp::recipe {

/// One arm's whole recipe, with smoke and overrides laid over it.
struct Arm {
  std::string name;   ///< "ofa", "separate[0]"; "main" if the recipe has no arms
  std::string group;  ///< "separate": the table it comes from
  std::string label;
  Table document;
};

/// Overrides of the command line as values with places.
struct Overrides {
  struct One {
    std::string text;  ///< the path as written
    std::vector<PathStep> path;
    Value value;
    bool remove = false;
    std::string_view flag() const { return remove ? "--unset" : "--set"; }
  };
  std::vector<One> list;

  Overrides(const ResolveOptions& options, Problems& problems);
};

/// The recipe with everything outside components and stages as it will be: smoke's and the overrides' top keys laid
/// over.
Table outer_document(const Table& document, const Overrides& overrides, const ResolveOptions& options,
                     Problems& problems);

/// Lays smoke and overrides over the components and stages of the recipe itself, arms aside, for showing origins.
void lay_all(Table& document, const Overrides& overrides, const ResolveOptions& options, Problems& problems);

/// All arms in source order, those of options.arms only. Unknown paths are problems, except in [smoke] what the arm
/// had before its overlay.
std::vector<Arm> make_arms(const Table& document, const Overrides& overrides, const ResolveOptions& options,
                           Problems& problems);

}  // namespace xp::recipe
