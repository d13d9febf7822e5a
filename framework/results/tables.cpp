#include "results/tables.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "results/statistics.h"

namespace xp {
namespace {

// The members behind one row, and the stage where rows are stages.
struct Group {
  std::string name, label, stage;
  std::vector<const StudyMember*> members;
};

std::vector<const StudyMember*> first_of_each_seed(const Study& study, std::string_view arm) {
  std::vector<const StudyMember*> out;
  for (const auto seed : study.seeds(arm)) out.push_back(study.find(arm, seed));
  return out;
}

std::vector<Group> by_arm(const Study& study) {
  std::vector<Group> out;
  for (const auto& arm : study.arms) out.push_back({arm.name, arm.label, {}, first_of_each_seed(study, arm.name)});
  return out;
}

std::vector<Group> by_seed(const Study& study) {
  std::vector<Group> out;
  for (const auto& arm : study.arms)
    for (const auto* member : first_of_each_seed(study, arm.name)) {
      const auto seed = ", seed " + std::to_string(member->seed);
      out.push_back({arm.name + seed, arm.label + seed, {}, {member}});
    }
  return out;
}

std::string before(const Study& study, const std::string& label) {
  return study.arms.size() > 1 ? label + ", " : std::string();
}

std::vector<Group> by_stage(const Study& study) {
  std::vector<Group> out;
  for (const auto& arm : study.arms) {
    const auto members = first_of_each_seed(study, arm.name);
    std::set<std::string> stages;
    for (const auto* member : members)
      for (const auto& stage : member->records ? member->records->nodes() : std::vector<std::string>())
        stages.insert(stage);
    for (const auto& stage : stages)
      out.push_back({before(study, arm.name) + stage, before(study, arm.label) + stage, stage, members});
  }
  return out;
}

std::vector<Group> by_key(const Study& study, const std::string& key) {
  std::vector<Group> out;
  std::string why;
  for (const auto& arm : study.arms)
    for (const auto& member : study.members) {
      if (member.arm != arm.name) continue;
      const auto* value = setting_value(member, key, &why);
      if (!value) continue;
      const auto text = value->as<std::string>() ? *value->as<std::string>() : to_text(*value);
      const auto name = before(study, arm.name) + text;
      auto group = std::find_if(out.begin(), out.end(), [&](const Group& g) { return g.name == name; });
      if (group == out.end()) group = out.insert(out.end(), {name, before(study, arm.label) + text, {}, {}});
      const auto same = [&](const StudyMember* other) { return other->seed == member.seed; };
      if (std::none_of(group->members.begin(), group->members.end(), same)) group->members.push_back(&member);
    }
  if (out.empty() && !study.members.empty())
    throw Error("rows = " + backquoted(key) + ": " + why +
                    "; rows are `arm`, `seed`, `stage` or a key such as "
                    "`stage.pretrain.lr`",
                Exit::usage);
  return out;
}

std::vector<Group> groups_of(const std::string& rows, const Study& study) {
  if (rows == "arm") return by_arm(study);
  if (rows == "seed") return by_seed(study);
  if (rows == "stage") return by_stage(study);
  return by_key(study, rows);
}

// A path with `*` gives a column for each number that any run has.
std::vector<MetricPath> columns_of(const TableSpec& spec, const Study& study) {
  Problems problems;
  std::vector<MetricPath> out;
  for (const auto& text : spec.columns) {
    const auto path = parse_metric_path(text, {}, problems);
    if (!path) continue;
    const bool rows_are_stages = spec.rows == "stage" && path->parts.empty() && path->stage == "*";
    if (!names_several(*path) || rows_are_stages) {
      out.push_back(*path);
      continue;
    }
    std::map<std::string, MetricPath> found;
    for (const auto& member : study.members)
      if (member.records)
        for (auto& one : expand(*path, *member.records)) found.emplace(one.text, one);
    if (found.empty()) out.push_back(*path);
    for (auto& [name, one] : found) out.push_back(std::move(one));
  }
  problems.raise("no table was made");
  if (out.empty()) throw Error("table " + backquoted(spec.id) + " has no columns", Exit::usage);
  return out;
}

std::optional<bool> direction(const MetricPath& path, const MetricSignature& what,
                              const std::vector<ClaimSpec>& claims) {
  for (const auto& claim : claims) {
    Problems problems;
    const auto other = parse_metric_path(claim.metric, {}, problems);
    if (!other) continue;
    const bool same = path.parts.empty() && other->parts.empty()
                          ? path.name == other->name && path.stage == other->stage
                          : path.text == other->text;
    if (same) return claim.better == "higher";
  }
  for (const auto* unit : {"bits", "nats", "second", "flops", "perplexity"})
    if (what.unit.starts_with(unit)) return false;
  // An evaluator's share counts what is right; a stage's own share may be of anything.
  const bool evaluated = path.name.find('.') != std::string::npos;
  if (evaluated && (what.unit == "share" || what.unit == "correlation")) return true;
  return {};
}

class Builder {
 public:
  Builder(const TableSpec& spec, const Study& study, const std::vector<ClaimSpec>& claims) : claims_(claims) {
    table_.id = spec.id, table_.title = spec.title, table_.corner = spec.rows, table_.by_seed = spec.rows == "seed";
    groups_ = groups_of(spec.rows, study);
    for (const auto& group : groups_) table_.rows.push_back({group.name, group.label, {}});
    for (auto& path : columns_of(spec, study)) add_column(std::move(path));
    if (spec.rows == "arm") mark_differences();
    count_seeds();
  }

  ResultTable take() { return std::move(table_); }

 private:
  void add_column(MetricPath path) {
    TableColumn column{std::move(path), {}, {}};
    std::string first;
    // The direction may come from the unit, which the first number tells; `.best` needs it before.
    column.what = peek(column.path);
    column.higher = direction(column.path, column.what, claims_);
    for (std::size_t row = 0; row < groups_.size(); ++row)
      table_.rows[row].cells.push_back(cell(column, groups_[row], first));
    mark_best(column);
    table_.columns.push_back(std::move(column));
  }

  static MetricPath within(const MetricPath& path, const Group& group) {
    MetricPath out = path;
    if (!group.stage.empty() && path.parts.empty() && path.stage == "*") out.stage = group.stage;
    return out;
  }

  MetricSignature peek(const MetricPath& path) const {
    for (const auto& group : groups_)
      for (const auto* member : group.members) {
        if (!member->records) continue;
        if (const auto value = evaluate(within(path, group), *member->records, nullptr, true)) return value->what;
      }
    return {};
  }

  TableCell cell(const TableColumn& column, const Group& group, std::string& first) {
    TableCell out;
    std::string why;
    std::size_t missing = 0;
    for (const auto* member : group.members) {
      std::string reason = "it was planned, but nothing was recorded yet";
      const auto value = member->records
                             ? evaluate(within(column.path, group), *member->records, &reason, column.higher)
                             : std::nullopt;
      if (!value) {
        if (why.empty()) why = reason;
        ++missing;
        continue;
      }
      const auto run = backquoted(member->arm) + " (seed " + std::to_string(member->seed) + ")";
      if (first.empty()) first = run;
      if (value->what != column.what) refuse(column, first, run, value->what);
      out.seeds.push_back(member->seed), out.values.push_back(value->value);
    }
    out.mean = mean_of(out.values), out.sd = sd_of(out.values);
    if (missing > 0 || group.members.empty()) {
      const auto all = group.members.size();
      std::string text =
          out.values.empty() || all == 1 ? "" : std::to_string(missing) + " of " + count(all, "seed") + " missing: ";
      out.notes.push_back(note(text + (why.empty() ? "no run of it" : why)));
    }
    if (std::any_of(out.values.begin(), out.values.end(), [](double v) { return !std::isfinite(v); }))
      out.notes.push_back(note("a run diverged"));
    return out;
  }

  [[noreturn]] static void refuse(const TableColumn& column, const std::string& first, const std::string& run,
                                  const MetricSignature& what) {
    const bool tokenizers = what.unit == column.what.unit && what.tokenizer != column.what.tokenizer;
    throw Error("column " + backquoted(column.path.text) + " would mix unlike numbers: " + first + " is (" +
                    describe(column.what) + "), " + run + " is (" + describe(what) + ")" +
                    (tokenizers ? "; numbers per token do not compare across tokenizers, bits per byte do" : ""),
                Exit::usage);
  }

  std::size_t note(const std::string& text) {
    const auto found = std::find(table_.notes.begin(), table_.notes.end(), text);
    if (found != table_.notes.end()) return static_cast<std::size_t>(found - table_.notes.begin());
    table_.notes.push_back(text);
    return table_.notes.size() - 1;
  }

  void mark_best(const TableColumn& column) {
    if (!column.higher || table_.rows.size() < 2) return;
    std::optional<double> best;
    for (const auto& row : table_.rows) {
      const double mean = row.cells.back().mean;
      if (std::isfinite(mean) && (!best || (*column.higher ? mean > *best : mean < *best))) best = mean;
    }
    for (auto& row : table_.rows) row.cells.back().best = best && row.cells.back().mean == *best;
  }

  void mark_differences() {
    for (std::size_t row = 1; row < table_.rows.size(); ++row)
      for (std::size_t c = 0; c < table_.columns.size(); ++c) {
        auto& cell = table_.rows[row].cells[c];
        const auto& first = table_.rows[0].cells[c];
        if (cell.seeds != first.seeds || cell.values.empty()) continue;
        std::vector<double> up, down;
        for (std::size_t i = 0; i < cell.values.size(); ++i) {
          up.push_back(cell.values[i] - first.values[i]);
          down.push_back(-up.back());
        }
        const double p = 2 * std::min(sign_flip(up), sign_flip(down));
        cell.differs = p <= 0.05;
      }
  }

  void count_seeds() {
    std::set<std::size_t> sizes;
    for (const auto& row : table_.rows)
      for (const auto& cell : row.cells)
        if (!cell.values.empty()) sizes.insert(cell.values.size());
    table_.n = sizes.size() == 1 ? *sizes.begin() : 0;
  }

  const std::vector<ClaimSpec>& claims_;
  std::vector<Group> groups_;
  ResultTable table_;
};

}  // namespace

ResultTable build_table(const TableSpec& spec, const Study& study, const std::vector<ClaimSpec>& claims) {
  return Builder(spec, study, claims).take();
}

}  // namespace xp
