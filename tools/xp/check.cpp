#include <cstdio>

#include "base/text.h"
#include "outlook.h"
#include "program.h"

namespace xp::program {
namespace {

std::string origins_text(const std::vector<Origin>& all) {
  std::string out;
  for (const auto& one : all)
    out += one.key + " = " + one.value + (one.place.empty() ? "" : "  # " + one.place) + "\n";
  return out;
}

std::string origins_json(const std::vector<Origin>& all) {
  List list;
  for (const auto& one : all) list.push_back(Table{{"key", one.key}, {"value", one.value}, {"place", one.place}});
  return to_json(Value(std::move(list))) + "\n";
}

}  // namespace

void add_check(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand(
      "check", "Finds every mistake of a recipe and says what it costs; loads no plugin, starts nothing.");
  auto options = std::make_shared<RecipeOptions>();
  options->add_to(*verb);
  verb->footer("Example: xp check recipes/quickstart.toml --set stage.adapt.stop='\"500k tokens\"'");
  verb->callback([options, &program] {
    const auto catalogue = options->catalogue(program);
    const auto plan = options->plan(program, catalogue);
    const auto ahead = outlook(plan, Cache(program.results_folder()));
    if (program.json) {
      auto out = to_value(plan);
      out.as<Table>()->insert_or_assign("cost", Value(to_table(ahead)));
      return print(to_json(out) + "\n");
    }
    print(backquoted(plan.name) + " is fine, with " + count(plan.claims.size(), "claim") + "\n" +
          outlook_text(plan, ahead));
  });
}

void add_show(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("show", "Prints the plan: arms and seeds multiplied out, every default filled in.");
  auto options = std::make_shared<RecipeOptions>();
  options->add_to(*verb);
  auto origin = std::make_shared<bool>(false), dot = std::make_shared<bool>(false);
  verb->add_flag("--origin", *origin, "Each value with the file and line that set it.");
  verb->add_flag("--dot", *dot, "The stage graph for Graphviz.");
  verb->footer("Equal text means equal experiment: diff <(xp show A) <(xp show B)");
  verb->callback([=, &program] {
    if (*dot && (*origin || program.json))
      throw Error("--dot prints a graph; it does not go with --origin or --json", Exit::usage);
    if (*origin) {
      Problems problems;
      const auto all = origins(options->recipe, options->resolve, problems);
      problems.raise();
      return print(program.json ? origins_json(all) : origins_text(all));
    }
    const auto catalogue = options->catalogue(program);
    const auto plan = options->plan(program, catalogue);
    print(*dot ? to_dot(plan) : program.json ? to_json(to_value(plan)) + "\n" : to_text(plan));
  });
}

}  // namespace xp::program
