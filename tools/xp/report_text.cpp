#include "report_text.h"

#include "base/file.h"
#include "results/claims.h"
#include "results/figures.h"
#include "results/tables.h"

namespace xp::program {
namespace {

struct Report {
  Study study;
  std::vector<ClaimSpec> claims;
  std::vector<ResultTable> tables;
  std::vector<Verdict> verdicts;
};

Report report_of(const std::vector<const Result*>& results) {
  Report out;
  out.study = study_of(results);
  const auto& plan = results.front()->plan();
  out.claims = claims_from(plan);
  for (const auto& spec : shown_tables(plan)) out.tables.push_back(build_table(spec, out.study, out.claims));
  if (!out.claims.empty()) out.verdicts = judge(out.claims, out.study);
  return out;
}

}  // namespace

std::string result_text(const std::vector<const Result*>& results) {
  const auto report = report_of(results);
  std::string out;
  for (const auto& table : report.tables) out += render(table, "text") + "\n";
  for (const auto& verdict : report.verdicts) out += to_text(verdict) + "\n";
  return out;
}

std::string result_json(const std::vector<const Result*>& results) {
  const auto report = report_of(results);
  List tables, verdicts;
  for (const auto& table : report.tables) tables.push_back(value_from_json(render(table, "json")));
  for (const auto& verdict : report.verdicts) verdicts.push_back(to_value(verdict));
  return to_json(Value(Table{{"tables", std::move(tables)},
                             {"claims", std::move(verdicts)},
                             {"file", results.front()->path().string()}})) +
         "\n";
}

std::vector<std::filesystem::path> write_figures(const std::vector<const Result*>& results,
                                                 const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  const auto specs = figures_from(results.front()->plan());
  if (specs.empty()) return out;
  const auto study = study_of(results);
  std::filesystem::create_directories(folder);
  for (const auto& spec : specs) {
    const auto file = folder / (spec.id + ".svg");
    write_file(file, to_svg(build_figure(spec, study)));
    out.push_back(file);
  }
  return out;
}

}  // namespace xp::program
