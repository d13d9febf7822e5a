// What the arms of runs have in their settings that others have not.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "results/markup.h"
#include "results/report_parts.h"
#include "results/settings.h"

namespace xp::detail {
namespace {

// "transfer.initializer.rank" of "stage.transfer.initializer.rank".
std::string without_kind(const std::string& key) {
  constexpr std::string_view kStage = "stage.";
  return key.starts_with(kStage) ? key.substr(kStage.size()) : key;
}

}  // namespace

std::string arms_part(const std::vector<ReportRun>& runs) {
  std::vector<const ReportRun*> all;
  for (const auto& run : runs) all.push_back(&run);
  const auto study = side_by_side(all, false);
  SettingsReader reader;
  std::vector<FlatSettings> columns;
  std::vector<std::string> head{"setting"};
  std::set<std::string> keys;
  for (const auto& arm : study.arms) {
    const auto seeds = study.seeds(arm.name);
    if (seeds.empty()) continue;
    columns.push_back(reader.all(*study.find(arm.name, seeds.front())));
    head.push_back(escaped(arm.label));
    for (const auto& [key, value] : columns.back()) keys.insert(key);
  }
  if (columns.size() < 2 || keys.empty()) return {};
  HtmlTable table(head);
  std::size_t same = 0;
  for (const auto& key : keys) {
    const auto at = [&](const FlatSettings& settings) {
      const auto found = settings.find(key);
      return found == settings.end() ? std::string() : found->second;
    };
    const auto first = at(columns.front());
    if (std::all_of(columns.begin(), columns.end(), [&](const FlatSettings& one) { return at(one) == first; })) {
      ++same;
      continue;
    }
    std::vector<std::string> cells{element("code", escaped(without_kind(key)))};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto text = at(columns[i]);
      const auto shown = text.empty() ? "\u2013" : escaped(text);
      cells.push_back(element("span", shown, i > 0 && text == first ? "class=\"same\"" : ""));
    }
    table.row(cells);
  }
  if (same == keys.size())
    return element("p", "Nothing: all " + grouped(same) + " settings are equal.", "class=\"note\"") + "\n";
  return element(
             "p",
             "Of " + grouped(keys.size()) + " settings, the " + grouped(keys.size() - same) +
                 " that differ; what equals the first column is pale, \u2013 means that the arm has no such setting.",
             "class=\"note\"") +
         "\n" + table.text();
}

}  // namespace xp::detail
