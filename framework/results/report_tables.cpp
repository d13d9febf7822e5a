// Tables and figures of a report, and every final value there is.
#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "results/figures.h"
#include "results/markup.h"
#include "results/report_parts.h"
#include "results/tables.h"

namespace xp::detail {
namespace {

constexpr std::size_t kMostCharts = 12;

// A path breaks behind its dots, so that headings stay narrow.
std::string breakable(std::string_view path) {
  std::string out;
  for (const auto& part : split(path, '.')) out += (out.empty() ? "" : ".<wbr>") + escaped(part);
  return out;
}

std::string note_marks(const TableCell& cell) {
  std::string marks;
  for (const auto index : cell.notes) marks += (marks.empty() ? "" : ",") + std::to_string(index + 1);
  return marks.empty() ? "" : element("sup", marks);
}

std::string cell_html(const ResultTable& table, const TableCell& cell) {
  if (cell.values.empty()) return "\u2013" + note_marks(cell);
  const bool several = cell.values.size() > 1;
  auto text = escaped(mean_text(cell.mean, several ? cell.sd : std::nan("")));
  if (const auto sign = text.find(" ± "); sign != std::string::npos)
    text = text.substr(0, sign) + element("span", text.substr(sign), "class=\"spread\"");
  if (cell.best) text = element("strong", text);
  if (cell.differs) text += "†";
  if (table.n == 0 && !table.by_seed)
    text += element("span", " n = " + std::to_string(cell.values.size()), "class=\"spread\"");
  return text + note_marks(cell);
}

std::string unit_html(const TableColumn& column) {
  return column.what.unit.empty() ? "" : element("span", escaped(column.what.unit), "class=\"unit\"");
}

std::string legend_html(const ResultTable& table) {
  bool best = false, differs = false;
  for (const auto& row : table.rows)
    for (const auto& cell : row.cells) best = best || cell.best, differs = differs || cell.differs;
  std::vector<std::string> lines;
  if (!table.by_seed && !table.rows.empty())
    lines.push_back(table.n == 1 ? "One seed."
                                 : "Mean ± standard deviation over " +
                                       (table.n == 0 ? "n" : std::to_string(table.n)) + " seeds.");
  if (best) lines.push_back(element("strong", "Bold") + ": best of the column.");
  if (differs)
    lines.push_back("†: differs from " + escaped(table.rows[0].label) +
                    " (two-sided paired sign-flip, p ≤ 0.05, each by itself).");
  std::string out = lines.empty() ? "" : element("p", join(lines, " "), "class=\"note\"") + "\n";
  std::string notes;
  for (const auto& note : table.notes) notes += element("li", sentence(note)) + "\n";
  return out + (notes.empty() ? "" : element("ol", "\n" + notes, "class=\"note\"") + "\n");
}

std::string table_html(const ResultTable& table) {
  std::vector<std::string> head{escaped(table.corner)};
  for (const auto& column : table.columns) head.push_back(breakable(column.path.text) + unit_html(column));
  HtmlTable out(head, true);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells{escaped(row.label)};
    for (const auto& cell : row.cells) cells.push_back(cell_html(table, cell));
    out.row(cells);
  }
  return out.text() + legend_html(table);
}

std::string cannot(const std::string& what, const Error& why) {
  return element("p", what + " cannot be made: " + sentence(why.what()), "class=\"warning\"") + "\n";
}

/// Runs by what they ask for: those with the same specification stand in one table or figure.
template <class Spec>
struct Asked {
  Spec spec;
  std::vector<const ReportRun*> runs;
};
template <class Spec, class SpecsOf>
std::vector<Asked<Spec>> asked_by(const std::vector<ReportRun>& runs, SpecsOf specs_of) {
  std::vector<Asked<Spec>> out;
  for (const auto& run : runs)
    for (const auto& spec : specs_of(run)) {
      const auto same = std::find_if(out.begin(), out.end(), [&](const Asked<Spec>& one) {
        return to_value(one.spec) == to_value(spec) && one.runs.front()->study.name == run.study.name;
      });
      if (same == out.end())
        out.push_back({spec, {&run}});
      else if (same->runs.back() != &run)
        same->runs.push_back(&run);
    }
  return out;
}

/// Charts of all curves but those of one view, "loss" first, where the recipe states no figure.
std::vector<FigureSpec> charts_of(const ReportRun& run) {
  std::vector<FigureSpec> out;
  std::set<std::string> seen;
  for (const auto& stage : run.stages) {
    if (!stage.record || stage.users.empty() || seen.contains(stage.name)) continue;
    const auto& member = *stage.users.front();
    const auto* source = run.result->member(member.arm, member.seed, true);
    std::vector<FigureSpec> own;
    for (const auto& [name, curve] : stage.record->curves) {
      if (name.find('[') != std::string::npos) continue;
      const auto* points = source ? source->curve(stage.name, name) : nullptr;
      if (!points || points->points.size() < 2) continue;
      FigureSpec spec;
      spec.id = stage.name + "." + name, spec.title = stage.name + ": " + name, spec.y = spec.id;
      spec.x = stage.name + (points->points.back().at.input_tokens > 0 ? ".tokens" : ".steps");
      own.push_back(std::move(spec));
    }
    if (own.empty()) continue;
    seen.insert(stage.name);
    const auto loss = stage.name + ".loss";
    std::stable_partition(own.begin(), own.end(), [&](const FigureSpec& spec) { return spec.id == loss; });
    out.insert(out.end(), own.begin(), own.end());
  }
  return out;
}

std::string ends_html(const ResultFigure& figure) {
  HtmlTable table({"line", escaped(figure.x_label), "mean", "lowest seed", "highest seed", "seeds"}, true);
  for (const auto& line : figure.lines) {
    const auto& end = line.points.back();
    table.row({escaped(line.label), escaped(short_number(end.x)), escaped(short_number(end.mean)),
               escaped(short_number(end.low)), escaped(short_number(end.high)), std::to_string(line.seeds)});
  }
  return details("Values at the right end", table.text());
}

std::string figure_html(const Asked<FigureSpec>& asked) {
  try {
    const auto figure = build_figure(asked.spec, side_by_side(asked.runs, true));
    return element("figure", "\n" + element("div", "\n" + to_svg(figure), "class=\"scroll\" tabindex=\"0\"") + "\n" +
                                 (figure.lines.empty() ? "" : ends_html(figure))) +
           "\n";
  } catch (const Error& error) {
    return cannot("The figure " + element("code", escaped(asked.spec.id)), error);
  }
}

/// Names of final values by stage, in the order of the graph.
std::vector<std::pair<std::string, std::set<std::string>>> finals_of(const ReportRun& run) {
  std::vector<std::pair<std::string, std::set<std::string>>> out;
  for (const auto& stage : run.stages) {
    if (!stage.record || stage.record->finals.empty()) continue;
    auto at = std::find_if(out.begin(), out.end(), [&](const auto& one) { return one.first == stage.name; });
    if (at == out.end()) at = out.insert(out.end(), {stage.name, {}});
    for (const auto& [name, value] : stage.record->finals) at->second.insert(name);
  }
  return out;
}

/// One metric a line and one arm a column: there are more metrics than arms.
std::string stage_numbers(const Study& study, const std::string& stage, const std::set<std::string>& names) {
  std::vector<std::string> head{"value", "unit"}, notes;
  for (const auto& arm : study.arms) head.push_back(escaped(arm.label));
  HtmlTable table(head, true);
  for (const auto& name : names) {
    TableSpec spec;
    spec.id = stage, spec.columns = {stage + "." + name};
    try {
      const auto one = build_table(spec, study);
      std::vector<std::string> cells{breakable(name), one.columns.empty() ? "" : escaped(one.columns[0].what.unit)};
      for (const auto& arm : study.arms) {
        const auto row = std::find_if(one.rows.begin(), one.rows.end(), [&](auto& r) { return r.name == arm.name; });
        auto cell = row == one.rows.end() ? TableCell{} : row->cells.front();
        cell.notes.clear(), cell.best = cell.differs = false;
        cells.push_back(cell_html(one, cell));
      }
      table.row(cells);
    } catch (const Error& error) {
      notes.push_back(cannot(element("code", escaped(name)), error));
    }
  }
  return table.text() + join(notes, "");
}

}  // namespace

std::string tables_part(const std::vector<ReportRun>& runs) {
  std::string out;
  for (const auto& asked :
       asked_by<TableSpec>(runs, [](const ReportRun& run) { return shown_tables(run.result->plan()); })) {
    const auto& spec = asked.spec;
    out += element("h3", escaped(spec.title.empty() ? spec.id : spec.title)) + "\n";
    try {
      out += table_html(
          build_table(spec, side_by_side(asked.runs, false), claims_from(asked.runs.front()->result->plan())));
    } catch (const Error& error) {
      out += cannot("This table", error);
    }
  }
  return out;
}

std::string figures_part(const std::vector<ReportRun>& runs) {
  std::string out;
  std::size_t charts = 0, left_out = 0;
  for (const auto& asked : asked_by<FigureSpec>(runs, [](const ReportRun& run) {
         auto stated = figures_from(run.result->plan());
         return stated.empty() ? charts_of(run) : stated;
       })) {
    if (charts == kMostCharts) {
      ++left_out;
      continue;
    }
    out += figure_html(asked), ++charts;
  }
  if (left_out > 0)
    out +=
        element("p",
                escaped(count(left_out, "more curve")) + " in the result file; a " + element("code", "[[figure]]") +
                    " in the recipe, or " + element("code", "xp plot --x --y") + ", draws any of them.",
                "class=\"note\"") +
        "\n";
  return out;
}

std::string numbers_part(const std::vector<ReportRun>& runs) {
  std::string out;
  for (const auto& run : runs) {
    const auto study = side_by_side({&run}, false);
    std::string own;
    for (const auto& [stage, names] : finals_of(run))
      own += details(element("code", escaped(stage)) + ": " + count(names.size(), "value"),
                     stage_numbers(study, stage, names));
    if (!own.empty()) out += run_heading(run) + own;
  }
  return out;
}

}  // namespace xp::detail
