// Differences for people and as JSON.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/difference.h"
#include "results/table_text.h"

namespace xp {
namespace {

constexpr std::size_t kWidestValue = 60;  // characters of a value that a terminal shows

std::string shown_value(const std::string& text) {
  if (text.empty()) return "–";
  return display_width(text) > kWidestValue ? utf8_slice(text, 0, kWidestValue - 1) + "…" : text;
}

// Of long values what is equal in front is left out but for a little: their ends would be cut off.
std::string shown_values(const Change& one) {
  constexpr std::size_t kLead = 12;
  auto before = printable(one.before), after = printable(one.after);
  if (std::max(display_width(before), display_width(after)) > kWidestValue) {
    const auto [a, b] = std::mismatch(before.begin(), before.end(), after.begin(), after.end());
    auto same = static_cast<std::size_t>(a - before.begin());
    same -= std::min(same, kLead);
    while (same > 0 && (static_cast<unsigned char>(before[same]) & 0xC0) == 0x80) --same;
    if (same > 0) before = "…" + before.substr(same), after = "…" + after.substr(same);
  }
  return shown_value(before) + " → " + shown_value(after);
}

std::string arms_text(const std::vector<std::string>& arms) {
  return arms.empty() ? "" : "(" + printable(join(arms, "; ")) + ")";
}

std::string changes_text(const std::vector<Change>& changes) {
  std::string out, part;
  std::vector<std::vector<std::string>> grid;
  const auto flush = [&] {
    if (!grid.empty()) out += "  " + part + "\n";
    for (const auto& line : split(detail::text_grid(grid, 0), '\n'))
      if (!line.empty()) out += "    " + line + "\n";
    grid.clear();
  };
  for (const auto& one : changes) {
    if (one.part != part) flush(), part = one.part;
    grid.push_back({printable(one.key), shown_values(one), arms_text(one.arms)});
  }
  flush();
  return out;
}

std::string why_text(const StageChange& one) {
  std::vector<std::string> parts;
  if (!one.own.empty()) parts.push_back("its own " + printable(join(one.own, ", ")));
  if (!one.inputs.empty())
    parts.push_back("its " + std::string(one.inputs.size() > 1 ? "inputs " : "input ") +
                    printable(join(one.inputs, ", ")));
  return parts.empty() ? "its library or the engine: the results do not tell which" : join(parts, "; ");
}

std::string stages_text(const std::vector<StageChange>& stages) {
  std::vector<std::vector<std::string>> grid;
  for (const auto& one : stages)
    grid.push_back(
        {printable(one.stage), (one.first ? "begins here: " : "follows: ") + why_text(one), arms_text(one.arms)});
  std::string out;
  for (const auto& line : split(detail::text_grid(grid, 0), '\n'))
    if (!line.empty()) out += "    " + line + "\n";
  return out.empty() ? out : "  stages that differ\n" + out;
}

std::string side_number(const NumberOfSide& side) {
  if (side.n == 0) return "–";
  return mean_text(side.mean, side.n > 1 ? side.sd : std::nan("")) + " (n = " + std::to_string(side.n) + ")";
}

std::string numbers_text(const Difference& difference, bool all) {
  std::vector<std::vector<std::string>> grid{{"arm", "metric", "before", "after", "after - before", "p", ""}};
  std::size_t equal = 0;
  for (const auto& one : difference.numbers) {
    equal += one.equal;
    if (one.equal && !all) continue;
    const bool compared = !std::isnan(one.difference);
    grid.push_back({printable(one.arm), printable(one.metric + (one.unit.empty() ? "" : " (" + one.unit + ")")),
                    side_number(one.before), side_number(one.after),
                    compared ? (one.difference > 0 ? "+" : "") + mean_text(one.difference, std::nan("")) : "–",
                    one.p ? mean_text(*one.p, std::nan("")) : "–", printable(one.why)});
  }
  std::string out;
  if (grid.size() > 1) {
    out += "\nnumbers (mean ± standard deviation; p: two-sided paired sign-flip over the seeds, each by itself)\n";
    out += detail::text_grid(grid, 1);
  }
  if (equal > 0)
    out += (out.empty() ? "\n" : "") + count(equal, "number") + (equal == 1 ? " is" : " are") +
           " equal to the last bit\n";
  return out;
}

List texts_of(const std::vector<std::string>& all) {
  List out;
  for (const auto& one : all) out.emplace_back(one);
  return out;
}

List changes_value(const std::vector<Change>& changes) {
  List out;
  for (const auto& one : changes)
    out.emplace_back(Table{{"part", one.part},
                           {"key", one.key},
                           {"before", one.before},
                           {"after", one.after},
                           {"arms", texts_of(one.arms)}});
  return out;
}

Value finite_or_text(double value) { return std::isfinite(value) ? Value(value) : Value(number_text(value)); }

Table side_value(const NumberOfSide& side) {
  Table out{{"n", side.n}};
  if (side.n > 0) out["mean"] = finite_or_text(side.mean);
  if (side.n > 1) out["sd"] = finite_or_text(side.sd);
  return out;
}

}  // namespace

std::string to_text(const Difference& d, bool all) {
  std::string out = "before  " + printable(d.before) + "\nafter   " + printable(d.after) + "\n\n";
  out += d.same        ? "same experiment\n"
         : d.same_plan ? "same recipe and data, other binaries\n"
                       : "different experiments\n";
  if (const auto text = changes_text(d.can) + stages_text(d.stages); !text.empty())
    out += "\ncan change results\n" + text;
  if (!d.cannot.empty()) out += "\ncannot change results\n" + changes_text(d.cannot);
  return out + numbers_text(d, all);
}

Value to_value(const Difference& d) {
  List stages, numbers;
  for (const auto& one : d.stages)
    stages.emplace_back(Table{{"stage", one.stage},
                              {"first", one.first},
                              {"own", texts_of(one.own)},
                              {"inputs", texts_of(one.inputs)},
                              {"arms", texts_of(one.arms)}});
  for (const auto& one : d.numbers) {
    Table entry{{"arm", one.arm},
                {"metric", one.metric},
                {"unit", one.unit},
                {"before", side_value(one.before)},
                {"after", side_value(one.after)},
                {"equal", one.equal}};
    if (!std::isnan(one.difference)) entry["difference"] = finite_or_text(one.difference);
    if (one.p) entry["p"] = finite_or_text(*one.p);
    if (!one.why.empty()) entry["why"] = one.why;
    numbers.emplace_back(std::move(entry));
  }
  return Table{{"before", d.before},
               {"after", d.after},
               {"same", d.same},
               {"same_plan", d.same_plan},
               {"can_change", changes_value(d.can)},
               {"cannot_change", changes_value(d.cannot)},
               {"stages", std::move(stages)},
               {"numbers", std::move(numbers)}};
}

}  // namespace xp
