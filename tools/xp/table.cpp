#include "base/file.h"
#include "base/text.h"
#include "program.h"
#include "report_text.h"
#include "results/claims.h"
#include "results/figures.h"
#include "results/tables.h"

namespace xp::program {
namespace {

struct TableOptions {
  std::vector<std::string> results, columns;
  std::string rows = "arm", format = "text", id;
  bool claims = false;
};

std::vector<const Result*> pointers(const std::vector<std::unique_ptr<Result>>& results) {
  std::vector<const Result*> out;
  for (const auto& one : results) out.push_back(one.get());
  return out;
}

void show_tables(const Program& program, const TableOptions& options) {
  const auto results = open_results(program, options.results);
  const auto study = study_of(pointers(results));
  const auto claims = claims_from(results.front()->plan());
  auto specs = shown_tables(results.front()->plan());
  if (!options.columns.empty()) {
    TableSpec own;
    own.id = "table", own.rows = options.rows, own.columns = options.columns;
    specs = {own};
  } else if (!options.id.empty()) {
    std::vector<std::string> ids;
    for (const auto& spec : specs) ids.push_back(spec.id);
    std::erase_if(specs, [&](const auto& spec) { return spec.id != options.id; });
    if (specs.empty())
      throw Error("the result has no table " + backquoted(options.id) + "; it has " + listed(ids), Exit::usage);
  }
  if (specs.empty())
    throw Error(
        "the recipe states neither [[table]] nor [[claim]]; name columns, e.g. --columns score.retrieval.top10",
        Exit::usage);
  for (const auto& spec : specs)
    print(render(build_table(spec, study, claims), program.json ? "json" : options.format) + "\n");
  if (options.claims)
    for (const auto& verdict : judge(claims, study))
      print(program.json ? to_json(to_value(verdict)) + "\n" : to_text(verdict) + "\n");
}

void add_results(CLI::App& verb, std::vector<std::string>& into) {
  verb.add_option("results", into,
                  "Result files, or recipes' names for their newest result (default: the newest of all).");
}

}  // namespace

void add_table(CLI::App& app, Program& program) {
  auto* verb =
      app.add_subcommand("table", "Tables from result files alone: means over seeds, with what is missing and why.");
  auto options = std::make_shared<TableOptions>();
  add_results(*verb, options->results);
  verb->add_option("--columns", options->columns, "Metric paths, instead of the recipe's tables.");
  verb->add_option("--rows", options->rows, "arm, seed, stage, or a key of the recipe.");
  verb->add_option("--id", options->id, "Only this table of the recipe.");
  verb->add_option("--format", options->format, "text, md, csv, json or latex.")
      ->check(CLI::IsMember(table_formats()));
  verb->add_flag("--claims", options->claims, "The claims' verdicts too.");
  verb->footer(
      "Example: xp table quickstart --columns adapt.bits_per_byte.bits.final score.retrieval.top10 --format md");
  verb->callback([=, &program] { show_tables(program, *options); });
}

void add_plot(CLI::App& app, Program& program) {
  auto* verb = app.add_subcommand("plot", "Figures as SVG from result files alone.");
  auto results = std::make_shared<std::vector<std::string>>();
  auto x = std::make_shared<std::string>(), y = std::make_shared<std::string>(),
       out = std::make_shared<std::string>();
  add_results(*verb, *results);
  verb->add_option("--x", *x, "Counter, e.g. adapt.bytes; with --y instead of the recipe's figures.");
  verb->add_option("--y", *y, "Curve, e.g. adapt.bits_per_byte.bits.");
  verb->add_option("--out,-o", *out, "Folder for the files (default: beside the result).");
  verb->footer("Example: xp plot quickstart --x adapt.bytes --y adapt.bits_per_byte.bits -o figures");
  verb->callback([=, &program] {
    const auto opened = open_results(program, *results);
    const auto& first = opened.front()->path();
    const std::filesystem::path folder =
        out->empty() ? first.parent_path() / first.stem() : std::filesystem::path(*out);
    if (x->empty() != y->empty()) throw Error("--x and --y go together", Exit::usage);
    if (x->empty()) {
      const auto files = write_figures(pointers(opened), folder);
      if (files.empty()) throw Error("the recipe states no [[figure]]; give --x and --y", Exit::usage);
      for (const auto& file : files) print(file.string() + "\n");
      return;
    }
    FigureSpec spec;
    spec.id = "figure", spec.x = *x, spec.y = *y;
    std::filesystem::create_directories(folder);
    write_file(folder / "figure.svg", to_svg(build_figure(spec, study_of(pointers(opened)))));
    print((folder / "figure.svg").string() + "\n");
  });
}

}  // namespace xp::program
