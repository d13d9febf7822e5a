#include "results/claims_data.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"

namespace xp::detail {
namespace {

std::string run_text(const std::string& arm, std::int64_t seed) {
  return "arm " + backquoted(arm) + ", seed " + std::to_string(seed);
}

// All stages that a path reads.
void add_stages(const MetricPath& path, std::set<std::string>& out) {
  if (path.parts.empty()) out.insert(path.stage);
  for (const auto& part : path.parts) add_stages(part, out);
}

class Collector {
 public:
  Collector(const ClaimSpec& claim, const MetricPath& path, const Study& study)
      : claim_(claim), path_(path), study_(study) {
    add_stages(path, stages_);
  }

  Pairs collect(const std::string& arm, const std::string& against) {
    for (const auto& name : {arm, against})
      if (!name.empty() && study_.seeds(name).empty()) problem("arm " + backquoted(name) + " has no run here");
    if (!out_.problems.empty()) return out_;
    if (claim_.unit == "item") {
      by_item(arm, against);
    } else {
      by_seed(arm, against);
    }
    if (out_.names.empty() && out_.problems.empty()) problem("there is nothing to compare");
    return std::move(out_);
  }

 private:
  void problem(std::string text) { out_.problems.push_back(std::move(text)); }

  std::vector<std::int64_t> seeds(const std::string& arm, const std::string& against) const {
    std::set<std::int64_t> all;
    for (const auto& name : {arm, against})
      for (const auto seed : study_.seeds(name)) all.insert(seed);
    return {all.begin(), all.end()};
  }

  void by_seed(const std::string& arm, const std::string& against) {
    std::set<std::string> seen;
    for (const auto seed : seeds(arm, against)) {
      const auto mine = claim_.slope ? slope(arm, seed) : number(arm, seed);
      const auto other = against.empty() ? std::optional<double>(0)
                         : claim_.slope  ? slope(against, seed)
                                         : number(against, seed);
      if (!mine || !other) continue;
      const auto measured = measurement(arm, seed) + " " + measurement(against, seed);
      // Seeds that share the stages behind both numbers are one observation, however often they are listed.
      if (test_of(claim_) != "exact" && !claim_.slope && measured.size() > 1 && !seen.insert(measured).second) {
        ++out_.repeated;
        continue;
      }
      out_.names.push_back(std::to_string(seed)), out_.arm.push_back(*mine), out_.against.push_back(*other);
    }
  }

  std::string measurement(const std::string& arm, std::int64_t seed) const {
    std::string out;
    const auto* member = study_.find(arm, seed);
    if (!member) return out;
    for (const auto& [node, digest] : member->stages)
      for (const auto& stage : stages_)
        if (fits(node, stage)) out += digest + ";";
    return out;
  }

  std::optional<double> number(const std::string& arm, std::int64_t seed) {
    const auto* member = study_.find(arm, seed);
    if (!member) return problem(run_text(arm, seed) + " was not run"), std::nullopt;
    return number(*member);
  }

  std::optional<double> number(const StudyMember& member) {
    const auto run = run_text(member.arm, member.seed);
    if (!member.records) return problem(run + " has no records yet"), std::nullopt;
    std::string why;
    const auto value = evaluate(path_, *member.records, &why, claim_.better == "higher");
    if (!value) return problem(run + ": " + why), std::nullopt;
    if (!same_kind(*value, run)) return {};
    if (!std::isfinite(value->value)) {
      problem(run + " gave " + number_text(value->value) + ": a run that diverged cannot be compared");
      return {};
    }
    return value->value;
  }

  bool same_kind(const MetricValue& value, const std::string& run) {
    if (first_run_.empty()) {
      first_run_ = run, out_.what = value.what, of_ = value.of;
      return true;
    }
    if (value.what != out_.what) {
      problem("unlike numbers: " + first_run_ + " is (" + describe(out_.what) + "), " + run + " is (" +
              describe(value.what) + ")");
      return false;
    }
    if (value.of != of_) {
      problem("means of different numbers: " + first_run_ + " of " + listed(of_, 4) + ", " + run + " of " +
              listed(value.of, 4));
      return false;
    }
    return true;
  }

  std::optional<double> slope(const std::string& arm, std::int64_t seed) {
    Problems problems;
    const auto axis = parse_slope_axis(claim_.slope->over, {}, problems);
    if (!axis) return problem(problems.list().front().message), std::nullopt;
    std::map<double, double> points;
    for (const auto& member : study_.members) {
      if (member.arm != arm || member.seed != seed) continue;
      std::string why;
      const auto x = setting_of(member, axis->key, &why);
      if (!x) return problem(run_text(arm, seed) + ": " + why), std::nullopt;
      if (axis->log && !(*x > 0))
        return problem(axis->key + " = " + number_text(*x) + " has no logarithm"), std::nullopt;
      const double place = axis->log ? std::log(*x) : *x;
      if (points.contains(place)) continue;
      const auto y = number(member);
      if (!y) return {};
      points[place] = *y;
    }
    if (points.size() < 2) {
      problem(run_text(arm, seed) + " has " + count(points.size(), "value") + " of " + axis->key +
              "; a slope needs two");
      return {};
    }
    std::vector<double> x, y;
    for (const auto& [place, value] : points) x.push_back(place), y.push_back(value);
    return slope_of(x, y);
  }

  // Of metric "rerank.mrr[v]": column `mrr` of table `rerank` or of one below it; the view stands at the table or
  // column.
  const std::vector<double>* column(const StageRecord& record, const ItemTable** table) const {
    const auto dot = path_.name.rfind('.');
    if (dot == std::string::npos) return nullptr;
    const auto owner = path_.name.substr(0, dot), name = path_.name.substr(dot + 1);
    const std::string view = path_.view.empty() ? "" : "[" + path_.view + "]";
    const auto find = [&](const ItemTable& items, const std::string& key) -> const std::vector<double>* {
      const auto found = items.columns.find(key);
      return found == items.columns.end() ? nullptr : &found->second;
    };
    for (const auto& [title, items] : record.items) {
      if (title != owner && title != owner + view && !title.starts_with(owner + ".")) continue;
      const bool viewed = !view.empty() && title.ends_with(view);
      if (const auto* values = find(items, viewed ? name : name + view)) return *table = &items, values;
    }
    return nullptr;
  }

  bool items_of(const std::string& arm, std::int64_t seed, std::map<std::string, double>& out) {
    const auto run = run_text(arm, seed);
    const auto* member = study_.find(arm, seed);
    if (!member) return problem(run + " was not run"), false;
    const auto* record = member->records ? member->records->record(path_.stage) : nullptr;
    if (!record) return problem(run + ": stage " + backquoted(path_.stage) + " has no record"), false;
    const ItemTable* table = nullptr;
    const auto* values = column(*record, &table);
    if (!values) return problem(run + " recorded no items for " + backquoted(path_.text)), false;
    for (std::size_t i = 0; i < table->ids.size() && i < values->size(); ++i) {
      if (!std::isfinite((*values)[i]))
        return problem(run + ": item " + backquoted(table->ids[i]) + " has no value"), false;
      out[table->ids[i]] += (*values)[i];
    }
    std::string why;
    if (const auto value = evaluate(path_, *member->records, &why)) return same_kind(*value, run);
    return true;
  }

  void by_item(const std::string& arm, const std::string& against) {
    if (!path_.parts.empty() || names_several(path_))
      return problem("items need one metric, not " + backquoted(path_.text));
    std::map<std::string, double> mine, other;
    const auto all = seeds(arm, against);
    for (const auto seed : all) {
      std::map<std::string, double> a, b;
      if (!items_of(arm, seed, a) || !items_of(against, seed, b)) return;
      const bool same =
          a.size() == b.size() &&
          std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) { return x.first == y.first; }) &&
          (mine.empty() || a.size() == mine.size());
      if (!same) return problem("seed " + std::to_string(seed) + ": the arms were scored on different items");
      for (const auto& [id, value] : a) mine[id] += value / static_cast<double>(all.size());
      for (const auto& [id, value] : b) other[id] += value / static_cast<double>(all.size());
      if (mine.size() != a.size()) return problem("seed " + std::to_string(seed) + " was scored on other items");
    }
    for (const auto& [id, value] : mine)
      out_.names.push_back(id), out_.arm.push_back(value), out_.against.push_back(other.at(id));
  }

  const ClaimSpec& claim_;
  const MetricPath& path_;
  const Study& study_;
  std::set<std::string> stages_;
  Pairs out_;
  std::string first_run_;
  std::vector<std::string> of_;
};

bool holds(double value, const Gate& gate) {
  if (gate.compare == ">") return value > gate.bound;
  if (gate.compare == ">=") return value >= gate.bound;
  if (gate.compare == "<") return value < gate.bound;
  return value <= gate.bound;
}

}  // namespace

Pairs pairs_of(const ClaimSpec& claim, const MetricPath& path, const Study& study, const std::string& arm,
               const std::string& against) {
  return Collector(claim, path, study).collect(arm, against);
}

std::vector<std::string> failed_gates(const ClaimSpec& claim, const Study& study,
                                      const std::vector<std::string>& arms) {
  std::vector<std::string> out;
  for (const auto& text : claim.gate) {
    Problems problems;
    const auto gate = parse_gate(text, {}, problems);
    if (!gate) {
      out.push_back(problems.list().front().message);
      continue;
    }
    for (const auto& member : study.members) {
      if (std::find(arms.begin(), arms.end(), member.arm) == arms.end() || !member.records) continue;
      std::string why;
      const auto value = evaluate(gate->path, *member.records, &why, gate->compare[0] == '>');
      if (value && holds(value->value, *gate)) continue;
      out.push_back("the gate " + backquoted(text) + " does not hold for " + run_text(member.arm, member.seed) +
                    ": " + (value ? "it is " + number_text(value->value) : why));
    }
  }
  return out;
}

std::vector<std::string> clock_problems(const ClaimSpec& claim, const Study& study,
                                        const std::vector<std::string>& arms) {
  std::vector<std::string> out;
  if (!claim.exclusive) out.push_back("a claim about time needs `exclusive = true`: nothing else ran on the host");
  std::set<std::string> hosts;
  for (const auto& member : study.members)
    if (std::find(arms.begin(), arms.end(), member.arm) != arms.end()) hosts.insert(member.host);
  if (hosts.contains("")) out.push_back("a claim about time needs to know the host, which a result does not say");
  if (hosts.size() > 1)
    out.push_back("a claim about time needs one host, but the runs are from " + listed({hosts.begin(), hosts.end()}));
  return out;
}

bool is_time(const MetricPath& path, const MetricSignature& what) {
  if (what.unit.starts_with("second") || path.name == "seconds" || path.name == "seconds_per_step") return true;
  return std::any_of(path.parts.begin(), path.parts.end(), [](const MetricPath& part) { return is_time(part, {}); });
}

}  // namespace xp::detail
