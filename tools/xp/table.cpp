#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "base/text.h"
#include "program.h"
#include "results/claims.h"
#include "results/tables.h"

namespace xp::program {
namespace {

struct TableOptions {
  std::vector<std::string> results, columns;
  std::string rows = "arm", format, id, cell, out;
  TableView view;
  bool claims = false, every = false, strict = false;
};

// "t.tex" wants LaTeX unless a format is named.
std::string format_of(const Program& program, const TableOptions& options) {
  if (program.json) return "json";
  if (!options.format.empty()) return options.format;
  const auto ending = std::filesystem::path(options.out).extension();
  if (ending == ".tex") return "latex";
  for (const std::string format : {"md", "csv", "json"})
    if (ending == "." + format) return format;
  return "text";
}

// The recipe's tables, one of them, or one put together on the command line.
std::vector<TableSpec> wanted_tables(const TableOptions& options, const Value& plan) {
  auto specs = shown_tables(plan);
  const bool own_shape = options.rows != "arm" || !options.view.cols.empty() || options.view.listing;
  TableSpec own;
  own.id = "table", own.rows = options.rows, own.columns = options.columns;
  if (!options.cell.empty()) {
    if (!own.columns.empty()) throw Error("--cell and --columns exclude each other", Exit::usage);
    own.columns = {options.cell};
  }
  if (!own.columns.empty()) return {own};
  if (!options.id.empty()) {
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
  if (!own_shape) return specs;
  // In another shape the recipe's metrics stand in one table.
  for (const auto& spec : specs)
    for (const auto& column : spec.columns)
      if (std::find(own.columns.begin(), own.columns.end(), column) == own.columns.end())
        own.columns.push_back(column);
  return {own};
}

void show_tables(Program& program, const TableOptions& options) {
  // Claims may be about items, which an index does not have.
  const auto results = open_results(program, options.results,
                                    !options.every   ? WhichRuns::newest
                                    : options.claims ? WhichRuns::all
                                                     : WhichRuns::all_for_tables);
  const auto study = study_of(pointers(results));
  const auto claims = claims_from(results.front()->plan());
  const auto format = format_of(program, options);
  std::string out;
  std::size_t missing = 0;
  for (const auto& spec : wanted_tables(options, results.front()->plan())) {
    const auto table = build_table(spec, study, claims, options.view);
    missing += missing_cells(table);
    out += render(table, format) + "\n";
  }
  if (options.claims)
    for (const auto& verdict : judge(claims, study))
      out += format == "json" ? to_json(to_value(verdict)) + "\n" : to_text(verdict) + "\n";
  if (options.out.empty())
    print(out);
  else
    write_file(options.out, out);
  if (!options.strict || missing == 0) return;
  std::fprintf(stderr, "%s without all of their runs; the notes say which\n", count(missing, "cell").c_str());
  program.exit = static_cast<int>(Exit::verdict);
}

}  // namespace

void add_table(CLI::App& app, Program& program) {
  auto* verb =
      app.add_subcommand("table", "Tables from result files alone: means over seeds, with what is missing and why.");
  auto options = std::make_shared<TableOptions>();
  add_results_to(*verb, options->results);
  auto& view = options->view;
  verb->add_flag("--all-runs", options->every, "All runs of the recipes named, not the newest of each.");
  verb->add_option("--columns", options->columns, "Metric paths, instead of the recipe's tables.");
  verb->add_option("--rows", options->rows, "arm, seed, stage, recipe, run, or a key such as stage.pretrain.lr.");
  verb->add_option("--cols", view.cols, "What a column is, as --rows: a pivot of one metric, named by --cell.");
  verb->add_option("--cell", options->cell, "The metric of a pivot.");
  verb->add_flag("--settings", view.listing, "A row for each run, arm and seed, with the settings that differ.");
  verb->add_flag("--all", view.all_settings, "With --settings: the settings that are equal too.");
  verb->add_flag("--only-changed", view.only_changed, "Without columns whose numbers are equal in all rows.");
  verb->add_option("--sort-by", view.sort_by, "COLUMN, COLUMN:asc or COLUMN:desc (default: best first).");
  verb->add_option("--keep", view.keep, "Only rows or columns that fit a pattern; `*` is any text; may be repeated.")
      ->allow_extra_args(false);
  verb->add_option("--drop", view.drop, "Without rows and columns that fit a pattern; may be repeated.")
      ->allow_extra_args(false);
  verb->add_option("--precision", view.digits, "Significant digits (default: 4; csv and json have all).")
      ->check(CLI::Range(1, 17));
  verb->add_option("--baseline", view.baseline, "The row that the others are tested against (default: the first).");
  verb->add_option("--id", options->id, "Only this table of the recipe.");
  verb->add_option("--format", options->format, "text, md, csv, json or latex (default: by the ending of --out).")
      ->check(CLI::IsMember(table_formats()));
  verb->add_option("--out,-o", options->out, "File to write, instead of the standard output.");
  verb->add_flag("--strict", options->strict, "Exit code 5 if a cell lacks a run.");
  verb->add_flag("--claims", options->claims, "The claims' verdicts too.");
  verb->footer(
      "Examples:\n"
      "  xp table quickstart --columns adapt.bits_per_byte.bits.final score.retrieval.top10 --format md\n"
      "  xp table quickstart --cols seed --cell score.retrieval.top10\n"
      "  xp table quickstart --settings --all-runs --sort-by score.retrieval.top10\n"
      "  xp table quickstart --baseline random --drop shuffled -o table.tex");
  verb->callback([=, &program] { show_tables(program, *options); });
}

}  // namespace xp::program
