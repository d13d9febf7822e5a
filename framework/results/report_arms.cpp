// What the arms of runs have in their settings that others have not.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "results/markup.h"
#include "results/report_parts.h"

namespace xp::detail {
namespace {

constexpr std::size_t kMostDigits = 12;

std::string text_at(const Table& table, std::string_view key) {
  const auto* value = find(table, key);
  const auto* text = value ? value->as<std::string>() : nullptr;
  return text ? *text : std::string();
}

/// A stage by its name, other artifacts with what identifies their content.
std::string reference_text(const Table& reference) {
  const auto text = text_at(reference, "reference"), split = text_at(reference, "split");
  if (!text_at(reference, "node").empty()) return text;
  return text + (split.empty() || text.find(':') != std::string::npos ? "" : ":" + split) + " @" +
         text_at(reference, "digest").substr(0, kMostDigits);
}

std::string value_text(const Value& value) {
  if (const auto* table = value.as<Table>(); table && table->contains("reference")) return reference_text(*table);
  if (const auto* list = value.as<List>()) {
    std::vector<std::string> parts;
    for (const auto& one : *list) parts.push_back(value_text(one));
    return "[" + join(parts, ", ") + "]";
  }
  if (const auto* text = value.as<std::string>()) return *text;
  return to_text(value);
}

using Settings = std::map<std::string, std::string>;  // "transfer.initializer.rank" -> "64"

void collect(const Value& value, const std::string& key, Settings& out) {
  const auto* table = value.as<Table>();
  if (!table || table->empty() || table->contains("reference")) {
    out[key] = value_text(value);
    return;
  }
  for (const auto& [name, one] : *table) collect(one, key + "." + name, out);
}

Settings settings_of(const StudyMember& member) {
  Settings out;
  if (!member.nodes) return out;
  for (const auto& [node, digest] : member.stages) {
    const auto found = member.nodes->find(digest);
    const auto* stage = found == member.nodes->end() ? nullptr : found->second.as<Table>();
    const auto* settings = stage ? find(*stage, "settings") : nullptr;
    if (settings) collect(*settings, node, out);
  }
  return out;
}

}  // namespace

std::string arms_part(const std::vector<ReportRun>& runs) {
  std::vector<const ReportRun*> all;
  for (const auto& run : runs) all.push_back(&run);
  const auto study = side_by_side(all, false);
  std::vector<Settings> columns;
  std::vector<std::string> head{"setting"};
  std::set<std::string> keys;
  for (const auto& arm : study.arms) {
    const auto seeds = study.seeds(arm.name);
    if (seeds.empty()) continue;
    columns.push_back(settings_of(*study.find(arm.name, seeds.front())));
    head.push_back(escaped(arm.label));
    for (const auto& [key, value] : columns.back()) keys.insert(key);
  }
  if (columns.size() < 2 || keys.empty()) return {};
  HtmlTable table(head);
  std::size_t same = 0;
  for (const auto& key : keys) {
    const auto at = [&](const Settings& settings) {
      const auto found = settings.find(key);
      return found == settings.end() ? std::string() : found->second;
    };
    const auto first = at(columns.front());
    if (std::all_of(columns.begin(), columns.end(), [&](const Settings& one) { return at(one) == first; })) {
      ++same;
      continue;
    }
    std::vector<std::string> cells{element("code", escaped(key))};
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
