#include "results/report_html.h"

#include <map>

#include "base/text.h"
#include "results/markup.h"
#include "results/report_files.h"
#include "results/report_parts.h"

namespace xp {
namespace {

using detail::element;
using detail::escaped;
using detail::ReportRun;

struct Section {
  std::string id, title, content;
};

std::vector<Section> sections_of(const std::vector<ReportRun>& runs) {
  std::vector<Section> all{{"runs", runs.size() > 1 ? "Runs" : "Run", runs_part(runs)},
                           {"claims", "Claims", claims_part(runs)},
                           {"tables", "Tables", tables_part(runs)},
                           {"figures", "Figures", figures_part(runs)},
                           {"arms", "What the arms change", arms_part(runs)},
                           {"numbers", "All numbers", numbers_part(runs)},
                           {"stages", "Stages", stages_part(runs)},
                           {"records", "Items and ledgers", records_part(runs)},
                           {"recipe", "Recipe", recipe_part(runs)},
                           {"environment", "Environment", environment_part(runs)},
                           {"log", "Log", log_part(runs)}};
  std::erase_if(all, [](const Section& one) { return one.content.empty(); });
  return all;
}

// No request can leave the page, and no script can run in it, whatever stands in a recipe.
constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

std::string head(const std::string& title) {
  return "<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"" +
         std::string(kPolicy) +
         "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n" +
         element("title", title) + "\n" + element("style", "\n" + std::string(report_files().at("report.css"))) +
         "\n</head>\n";
}

std::string title_of(const std::vector<ReportRun>& runs) {
  std::vector<std::string> names;
  for (const auto& run : runs)
    if (names.empty() || names.back() != run.study.name) names.push_back(run.study.name);
  return escaped(join(names, ", "));
}

std::string summary_of(const ReportRun& run) {
  const auto* summary = find(*run.result->plan().as<Table>(), "summary");
  return summary && summary->as<std::string>() ? *summary->as<std::string>() : std::string();
}

std::string header(const std::vector<ReportRun>& runs, const std::vector<Section>& sections) {
  std::string out = element("p", "xp report", "class=\"kind\"") + "\n" + element("h1", title_of(runs)) + "\n", last;
  for (const auto& run : runs) {
    const auto summary = summary_of(run);
    if (!summary.empty() && summary != last) out += element("p", escaped(summary), "class=\"summary\"") + "\n";
    last = summary;
  }
  std::map<Outcome, std::size_t> outcomes;
  for (const auto& run : runs)
    for (const auto& verdict : run.verdicts) ++outcomes[verdict.outcome];
  std::string badges;
  for (const auto& [outcome, n] : outcomes)
    badges += element("a", std::to_string(n) + " " + detail::badge(outcome), "href=\"#claims\"") + " ";
  if (!badges.empty()) out += element("p", badges, "class=\"verdicts\"") + "\n";
  std::string links;
  for (const auto& one : sections) links += element("a", one.title, "href=\"#" + one.id + "\"") + "\n";
  return element("header", "\n" + out + element("nav", "\n" + links, "aria-label=\"Parts\"") + "\n") + "\n";
}

std::string footer(const std::vector<ReportRun>& runs) {
  std::vector<std::string> files;
  for (const auto& run : runs)
    files.push_back(element("code", escaped(run.study.name + "/" + run.result->path().filename().string())));
  return element("footer", "Made by " + element("code", "xp report") + " from " + join(files, ", ") +
                               ". All numbers stand there in full, and any reader of HDF5 opens it.") +
         "\n";
}

}  // namespace

std::string report_html(const std::vector<const Result*>& results) {
  const auto runs = detail::runs_of(results);
  const auto sections = sections_of(runs);
  std::string main;
  for (const auto& one : sections)
    main += element("section", "\n" + element("h2", one.title) + "\n" + one.content, "id=\"" + one.id + "\"") + "\n";
  return "<!doctype html>\n<html lang=\"en\">\n" + head(title_of(runs)) + "<body>\n" + header(runs, sections) +
         element("main", "\n" + main) + "\n" + footer(runs) + "</body>\n</html>\n";
}

}  // namespace xp
