#include "base/text.h"
#include "new_plugin.h"
#include "program.h"

namespace xp::program {
namespace {

void print_kinds(bool json) {
  const auto kinds = new_kinds();
  if (json) return print(to_json(List(kinds.begin(), kinds.end())) + "\n");
  print(join(kinds, "\n") + "\n");
}

}  // namespace

void add_new(CLI::App& app, Program& program) {
  auto* verb =
      app.add_subcommand("new", "Writes a small plugin that works at once: source, test, recipe, build line.");
  auto kind = std::make_shared<std::string>(), name = std::make_shared<std::string>(),
       folder = std::make_shared<std::string>(".");
  auto in_tree = std::make_shared<bool>(false), kinds = std::make_shared<bool>(false);
  verb->add_option("kind", *kind, "Interface, e.g. initializer, objective, evaluator.");
  verb->add_option("name", *name, "Name of the plugin and its component.");
  verb->add_option("--in", *folder, "Folder (default: this one).");
  verb->add_flag("--in-tree", *in_tree, "The folder is xp's own source tree.");
  verb->add_flag("--kinds", *kinds, "Lists the kinds instead.");
  verb->footer("Kinds: " + join(new_kinds(), ", ") + "\nExample: xp new initializer my_init --in ~/plugins");
  verb->callback([=, &program] {
    if (*kinds) return print_kinds(program.json);
    if (kind->empty()) throw Error("xp new: wants kind; `xp new --kinds` lists them", Exit::usage);
    if (name->empty()) throw Error("xp new: wants name, e.g. my_" + *kind, Exit::usage);
    const auto files = new_plugin(*kind, *name, *folder, *in_tree);
    for (const auto& file : files) print(file.string() + "\n");
    if (!program.quiet && !*in_tree)
      std::fprintf(stderr,
                   "build: cmake -S %s -B build -Dxp_DIR=<xp build folder, or lib/cmake/xp of an install> && "
                   "cmake --build build\n",
                   folder->c_str());
  });
}

}  // namespace xp::program
