// Stages of a report, and what they left: items, ledgers, notes.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.h"
#include "results/markup.h"
#include "results/report_parts.h"

namespace xp::detail {
namespace {

constexpr std::size_t kMostRows = 200, kMostTables = 60;

std::string amount(double value) { return value > 0 ? escaped(short_number(value)) : "\u2013"; }
std::string time_html(double seconds) { return seconds > 0 ? escaped(duration_text(seconds)) : "\u2013"; }
std::string memory_html(double bytes) { return bytes > 0 ? escaped(bytes_text(bytes)) : "\u2013"; }

std::string status_html(const StageStatus& status) {
  if (status.status.empty()) return element("span", "not reached", "class=\"same\"");
  if (status.status.starts_with("failed")) return element("span", escaped(status.status), "class=\"bad\"");
  return escaped(status.status) + (status.complete ? "" : element("span", ", not finished", "class=\"bad\""));
}

struct Group {
  std::string name, type;
  std::size_t stages = 0, cached = 0, finished = 0;
  double seconds = 0, tokens = 0, memory = 0;
};

std::vector<Group> groups_of(const ReportRun& run) {
  std::vector<Group> out;
  for (const auto& stage : run.stages) {
    auto at = std::find_if(out.begin(), out.end(), [&](const Group& one) { return one.name == stage.name; });
    if (at == out.end()) at = out.insert(out.end(), {stage.name, stage.type, 0, 0, 0, 0, 0, 0});
    ++at->stages, at->cached += stage.status.status == "cached", at->finished += stage.status.complete;
    if (!stage.record) continue;
    const auto& counters = stage.record->counters;
    at->seconds += counters.seconds, at->tokens += static_cast<double>(counters.input_tokens);
    at->memory = std::max(at->memory, counters.memory);
  }
  return out;
}

std::string each_stage(const ReportRun& run) {
  HtmlTable table({"stage", "used by", "status", "steps", "tokens", "training", "memory", "digest"}, true);
  for (const auto& stage : run.stages) {
    const auto counters = stage.record ? stage.record->counters : Counters{};
    table.row({element("code", escaped(stage.name)), escaped(run.users(stage)), status_html(stage.status),
               amount(static_cast<double>(counters.steps)), amount(static_cast<double>(counters.input_tokens)),
               time_html(counters.seconds), memory_html(counters.memory),
               element("code", escaped(stage.digest.substr(0, 12)))});
  }
  return details("Each of " + count(run.stages.size(), "stage"), table.text());
}

std::string notes_of(const ReportRun& run) {
  std::string out;
  std::set<std::string> seen;
  for (const auto& stage : run.stages)
    for (const auto& note : stage.record ? stage.record->notes : std::vector<std::string>()) {
      if (!seen.insert(stage.name + '\n' + note).second) continue;
      out += element("li", element("code", escaped(stage.name)) + " (" + escaped(run.users(stage)) +
                               "): " + sentence(note)) +
             "\n";
    }
  return out.empty() ? out : details("Notes of the stages", element("ul", "\n" + out) + "\n");
}

std::string more_rows(std::size_t rows, std::size_t shown) {
  return rows <= shown
             ? ""
             : element("p", grouped(rows - shown) + " more rows in the result file.", "class=\"note\"") + "\n";
}

std::string items_html(const ItemTable& items) {
  std::vector<std::string> head{"id"};
  for (const auto& [name, column] : items.columns) head.push_back(escaped(name));
  HtmlTable table(head, true);
  const auto shown = std::min(items.ids.size(), kMostRows);
  for (std::size_t i = 0; i < shown; ++i) {
    std::vector<std::string> cells{escaped(items.ids[i])};
    for (const auto& [name, column] : items.columns)
      cells.push_back(i < column.size() && !std::isnan(column[i]) ? escaped(short_number(column[i])) : "\u2013");
    table.row(cells);
  }
  return table.text() + more_rows(items.ids.size(), shown);
}

std::string ledger_html(const LedgerHead& ledger) {
  std::vector<std::string> head;
  for (const auto& name : ledger.first.columns) head.push_back(escaped(name));
  HtmlTable table(head);
  for (const auto& row : ledger.first.rows) {
    std::vector<std::string> cells;
    for (const auto& cell : row) {
      const bool cut = display_width(cell) > 200;
      cells.push_back(escaped(cut ? utf8_slice(cell, 0, 200) + "…" : cell));
    }
    table.row(cells);
  }
  return table.text() + more_rows(ledger.rows, ledger.first.rows.size());
}

/// Stages whose tables are shown: of each arm those of its first seed.
std::vector<const ReportStage*> shown_stages(const ReportRun& run) {
  std::vector<const ReportStage*> out;
  for (const auto& stage : run.stages) {
    const bool first = std::any_of(stage.users.begin(), stage.users.end(), [&](const StudyMember* one) {
      return one->seed == run.so_far.seeds(one->arm).front();
    });
    if (first) out.push_back(&stage);
  }
  return out;
}

}  // namespace

std::string stages_part(const std::vector<ReportRun>& runs) {
  std::string out;
  for (const auto& run : runs) {
    if (run.stages.empty()) continue;
    HtmlTable table({"stage", "type", "stages", "finished", "taken from the cache", "tokens", "training", "memory"},
                    true);
    for (const auto& group : groups_of(run))
      table.row({element("code", escaped(group.name)), escaped(group.type), grouped(group.stages),
                 grouped(group.finished), grouped(group.cached), amount(group.tokens), time_html(group.seconds),
                 memory_html(group.memory)});
    out += run_heading(run) + table.text() +
           element("p", "Time is that of training alone, without evaluation and waits; memory is the largest peak.",
                   "class=\"note\"") +
           "\n" + each_stage(run) + notes_of(run);
  }
  return out;
}

std::string records_part(const std::vector<ReportRun>& runs) {
  std::string out;
  std::size_t tables = 0, left_out = 0;
  for (const auto& run : runs) {
    std::string own;
    const auto add = [&](const ReportStage& stage, const std::string& kind, const std::string& name, std::size_t rows,
                         const auto& content) {
      if (tables == kMostTables) {
        ++left_out;
        return;
      }
      ++tables;
      own +=
          details(kind + " " + element("code", escaped(name)) + " of " + element("code", escaped(stage.name)) +
                      " \u2013 " + escaped(run.users(stage)) + ": " + grouped(rows) + (rows == 1 ? " row" : " rows"),
                  content());
    };
    for (const auto* stage : shown_stages(run)) {
      if (!stage->record) continue;
      for (const auto& [name, items] : stage->record->items)
        add(*stage, "Items", name, items.ids.size(), [&items = items] { return items_html(items); });
      for (const auto& [name, ledger] : run.result->ledgers(stage->digest, kMostRows))
        add(*stage, "Ledger", name, ledger.rows, [&ledger = ledger] { return ledger_html(ledger); });
    }
    if (!own.empty()) out += run_heading(run) + own;
  }
  if (out.empty()) return out;
  return element("p",
                 "Of each arm those of its first seed, with " + std::to_string(kMostRows) +
                     " rows at most; the result file holds all." +
                     (left_out > 0 ? " " + escaped(count(left_out, "more table")) + " not shown." : ""),
                 "class=\"note\"") +
         "\n" + out;
}

}  // namespace xp::detail
