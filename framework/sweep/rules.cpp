#include "sweep/rules.h"

#include <algorithm>
#include <regex>
#include <set>

#include "base/text.h"
#include "recipe/reports.h"
#include "schema/quantity.h"

namespace xp::sweep {
namespace {

const Table* table_at(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : found->second.as<Table>();
}

double seconds_at(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  if (found == table.end()) return 0;
  const auto* text = found->second.as<std::string>();
  const auto quantity = text ? parse_quantity(*text) : std::nullopt;
  return quantity && quantity->unit == Unit::seconds ? quantity->amount : 0;
}

std::map<std::string, std::int64_t> retries_of(const Table& sweep) {
  std::map<std::string, std::int64_t> out;
  const auto found = sweep.find("retries");
  for (const auto& name : failure_classes()) {
    out[name] = 0;
    if (found == sweep.end()) continue;
    if (const auto* all = found->second.as<std::int64_t>()) out[name] = *all;
    if (const auto* table = found->second.as<Table>())
      if (const auto one = table->find(name); one != table->end() && one->second.as<std::int64_t>())
        out[name] = *one->second.as<std::int64_t>();
  }
  return out;
}

// "separate[0]" is a member of the group "separate".
bool is_arm(const Value& name, const std::string& arm) {
  const auto* text = name.as<std::string>();
  return text && (*text == arm || *text == arm.substr(0, arm.find('[')));
}

const std::regex kDigest(" ?@[0-9a-f]{12}");

List listed_values(const Value& value) { return value.as<List>() ? *value.as<List>() : List{value}; }

bool asked_in(const Table& axis, const std::string& arm) {
  const auto* when = table_at(axis, "when");
  const auto names = when ? when->find("arm") : Table::const_iterator{};
  if (!when || names == when->end()) return true;
  const auto all = listed_values(names->second);
  return std::any_of(all.begin(), all.end(), [&](const Value& name) { return is_arm(name, arm); });
}

SearchAxis axis_of(const Table& table) {
  SearchAxis axis;
  axis.key = *table.at("key").as<std::string>();
  for (const auto& [form, value] : table) {
    const auto* list = value.as<List>();
    if (form == "zip") axis.zip = *value.as<std::string>();
    if (form == "when")
      for (const auto& [key, values] : *value.as<Table>())
        if (key != "arm") axis.when.push_back({key, listed_values(values)});
    if (form == "key" || form == "when" || form == "zip" || !list) continue;
    if (form == "values") {
      axis.values = *list;
      continue;
    }
    axis.low = list->at(0).number(), axis.high = list->at(1).number();
    axis.logarithmic = form.find("log") != std::string::npos, axis.whole = form.starts_with("int");
  }
  return axis;
}

}  // namespace

const std::vector<std::string>& failure_classes() { return recipe::failure_classes(); }

Rules rules_of(const Plan& plan) {
  if (plan.axes.empty())
    throw Error("the recipe " + backquoted(plan.name) + " has no [[sweep.axis]]; `xp run` runs it as it is",
                Exit::usage);
  Rules out;
  if (const auto* goal = table_at(plan.sweep, "goal")) {
    out.goal = *goal->at("metric").as<std::string>();
    out.higher = *goal->at("better").as<std::string>() == "higher";
  }
  for (auto [name, into] : {std::pair{"method", &out.method}, {"prune", &out.prune}, {"launcher", &out.launcher}})
    if (const auto* table = table_at(plan.sweep, name)) *into = *table;
  out.retries = retries_of(plan.sweep);
  out.timeout = seconds_at(plan.sweep, "timeout"), out.budget = seconds_at(plan.sweep, "budget");
  for (const auto& member : plan.members)
    if (std::find(out.arms.begin(), out.arms.end(), member.arm) == out.arms.end()) out.arms.push_back(member.arm);
  out.seeds = plan.seeds, out.axes = plan.axes;
  return out;
}

std::vector<SearchAxis> axes_of(const Rules& rules, const std::string& arm) {
  std::vector<SearchAxis> open, out;
  for (const auto& one : rules.axes)
    if (asked_in(*one.as<Table>(), arm)) open.push_back(axis_of(*one.as<Table>()));
  std::set<std::string> known;
  while (!open.empty()) {
    // A condition over an axis that this arm does not have can never hold.
    std::erase_if(open, [&](const SearchAxis& axis) {
      return std::any_of(axis.when.begin(), axis.when.end(), [&](const SearchCondition& condition) {
        return !known.contains(condition.key) &&
               std::none_of(open.begin(), open.end(), [&](const auto& other) { return other.key == condition.key; });
      });
    });
    const auto ready = std::find_if(open.begin(), open.end(), [&](const SearchAxis& axis) {
      return std::all_of(axis.when.begin(), axis.when.end(),
                         [&](const SearchCondition& condition) { return known.contains(condition.key); });
    });
    if (ready == open.end()) {
      if (open.empty()) break;
      throw Error("the axes' conditions go round in a circle at " + backquoted(open.front().key), Exit::usage);
    }
    known.insert(ready->key);
    out.push_back(std::move(*ready));
    open.erase(ready);
  }
  return out;
}

std::vector<std::string> identity_of(const Plan& plan, const Rules& rules) {
  auto out = split(to_text(plan), '\n');
  // Stages' digests change with every build of a plugin; settings, plan id and data sets' digests say what is meant.
  for (auto& line : out)
    if (!line.starts_with("dataset ")) line = std::regex_replace(line, kDigest, "");
  // The text ends with the sweep, of which only what decides about trials counts.
  if (const auto sweep = std::find(out.begin(), out.end(), "sweep"); sweep != out.end()) out.erase(sweep, out.end());
  while (!out.empty() && out.back().empty()) out.pop_back();
  auto method = rules.method;
  method.erase("trials");
  out.push_back("method = " + to_text(Value(std::move(method))));
  out.push_back("prune = " + to_text(Value(rules.prune)));
  out.push_back("goal = " + rules.goal + (rules.higher ? ", higher is better" : ", lower is better"));
  for (const auto& axis : rules.axes) out.push_back("axis " + to_text(axis));
  return out;
}

std::string difference_of(const std::vector<std::string>& before, const std::vector<std::string>& now,
                          std::size_t most) {
  const std::multiset<std::string> old(before.begin(), before.end()), fresh(now.begin(), now.end());
  std::vector<std::string> lines;
  for (const auto& line : before)
    if (!fresh.contains(line)) lines.push_back("- " + line);
  for (const auto& line : now)
    if (!old.contains(line)) lines.push_back("+ " + line);
  if (lines.size() > most) {
    const auto rest = lines.size() - most;
    lines.resize(most);
    lines.push_back("  and " + count(rest, "line") + " more");
  }
  return join(lines, "\n");
}

}  // namespace xp::sweep
