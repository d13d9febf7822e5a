#include "results/tables.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"
#include "results/settings.h"
#include "results/statistics.h"
#include "results/table_axes.h"
#include "results/table_filter.h"
#include "results/table_text.h"

namespace xp {
namespace {

using detail::MemberSet;
using detail::TableFilter;
using detail::TableGroup;

// A path with `*` gives a column for each number that any run has.
std::vector<MetricPath> columns_of(const TableSpec& spec, bool by_stage, const Study& study) {
  Problems problems;
  std::vector<MetricPath> out;
  for (const auto& text : spec.columns) {
    const auto path = parse_metric_path(text, {}, problems);
    if (!path) continue;
    const bool of_stages = by_stage && path->parts.empty() && path->stage == "*";
    if (!names_several(*path) || of_stages) {
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

class Builder {
 public:
  Builder(const TableSpec& spec, const Study& study, const std::vector<ClaimSpec>& claims, const TableView& view)
      : claims_(claims), filter_(view.keep, view.drop) {
    const std::string rows = view.listing ? "run" : spec.rows;
    table_.id = spec.id, table_.title = spec.title, table_.corner = rows, table_.digits = view.digits;
    table_.listing = view.listing, table_.by_seed = view.listing || rows == "seed" || view.cols == "seed";
    groups_ = view.listing ? detail::listed_groups(study) : detail::row_groups(rows, view.cols, study);
    filter_.apply(groups_, [](const TableGroup& group) { return std::vector{group.name, group.label}; });
    for (const auto& group : groups_) table_.rows.push_back({group.name, group.label, {}, {}, nullptr});
    if (view.listing) add_settings(view.all_settings);
    add_columns(spec, study, view.cols);
    filter_.finish();
    for (auto& column : planned_) add_column(std::move(column));
    if (view.only_changed) drop_equal_columns();
    if (rows == "arm" || !view.baseline.empty()) mark_differences(view.baseline);
    if (!view.sort_by.empty()) detail::sort_rows(table_, view.sort_by);
    count_seeds();
  }

  ResultTable take() { return std::move(table_); }

 private:
  // A column before its cells are made: of a key's value those of the members in `of`.
  struct Planned {
    MetricPath path;
    std::string name, label, stage;
    std::optional<MemberSet> of = {};
  };

  void add_columns(const TableSpec& spec, const Study& study, const std::string& cols) {
    auto paths = columns_of(spec, spec.rows == "stage" || cols == "stage", study);
    if (cols.empty()) {
      for (auto& path : paths) planned_.push_back({std::move(path), {}, {}, {}});
      filter_.apply(planned_, [](const Planned& column) { return std::vector{column.path.text}; });
      return;
    }
    if (paths.size() != 1)
      throw Error("columns that are values of " + backquoted(cols) + " show one metric, but " +
                      count(paths.size(), "metric") + " are named: " + listed(spec.columns),
                  Exit::usage);
    table_.cell = paths.front().text;
    for (auto& group : detail::column_groups(cols, study))
      planned_.push_back({paths.front(), group.name, group.label, group.stage,
                          MemberSet(group.members.begin(), group.members.end())});
    filter_.apply(planned_, [](const Planned& column) { return std::vector{column.name, column.label}; });
  }

  void add_settings(bool all) {
    detail::SettingsReader reader;
    std::vector<detail::FlatSettings> rows;
    std::map<std::string, std::pair<std::string, std::size_t>> first;  ///< value, and how many rows have the key
    std::set<std::string> differing;
    for (const auto& group : groups_) {
      rows.push_back(reader.all(*group.members.front()));
      for (const auto& [key, text] : rows.back()) {
        auto& [value, times] = first.try_emplace(key, text, 0).first->second;
        if (value != text) differing.insert(key);
        ++times;
      }
    }
    for (const auto& [key, seen] : first)
      if (all || differing.contains(key) || seen.second != rows.size()) table_.settings.push_back(key);
    filter_.apply(table_.settings, [](const std::string& key) { return std::vector{key}; });
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      table_.rows[i].member = groups_[i].members.front();
      for (const auto& key : table_.settings) {
        const auto found = rows[i].find(key);
        table_.rows[i].settings.push_back(found == rows[i].end() ? "" : found->second);
      }
    }
  }

  void add_column(Planned planned) {
    TableColumn column{planned.path, planned.label, {}, {}};
    std::vector<Runs> runs;
    for (const auto& group : groups_)
      runs.push_back({within(planned.path, group.stage.empty() ? planned.stage : group.stage),
                      detail::one_for_each_seed(group, planned.of ? &*planned.of : nullptr)});
    std::string first;
    // The direction may come from the unit, which the first number tells; `.best` needs it before.
    column.what = peek(runs);
    column.higher = detail::direction_of(column.path, column.what, claims_);
    for (std::size_t row = 0; row < groups_.size(); ++row)
      table_.rows[row].cells.push_back(cell(column, runs[row], first));
    mark_best(column);
    table_.columns.push_back(std::move(column));
  }

  // The runs behind a cell, and the path to their number.
  struct Runs {
    MetricPath path;
    std::vector<const StudyMember*> members;
  };

  static MetricPath within(const MetricPath& path, const std::string& stage) {
    MetricPath out = path;
    if (!stage.empty() && path.parts.empty() && path.stage == "*") out.stage = stage;
    return out;
  }

  static MetricSignature peek(const std::vector<Runs>& all) {
    for (const auto& runs : all)
      for (const auto* member : runs.members) {
        if (!member->records) continue;
        if (const auto value = evaluate(runs.path, *member->records, nullptr, true)) return value->what;
      }
    return {};
  }

  TableCell cell(const TableColumn& column, const Runs& runs, std::string& first) {
    TableCell out;
    std::string why;
    for (const auto* member : runs.members) {
      std::string reason = "it was planned, but nothing was recorded yet";
      const auto value =
          member->records ? evaluate(runs.path, *member->records, &reason, column.higher) : std::nullopt;
      if (!value) {
        if (why.empty()) why = reason;
        ++out.missing;
        continue;
      }
      const auto run = backquoted(member->arm) + " (seed " + std::to_string(member->seed) + ")";
      if (first.empty()) first = run;
      if (value->what != column.what) refuse(column, first, run, value->what);
      out.seeds.push_back(member->seed), out.values.push_back(value->value);
    }
    out.mean = mean_of(out.values), out.sd = sd_of(out.values);
    const auto all = runs.members.size();
    if (all == 0) out.missing = 1;
    if (out.missing > 0) {
      const std::string text = out.values.empty() || all == 1
                                   ? ""
                                   : std::to_string(out.missing) + " of " + count(all, "seed") + " missing: ";
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

  void drop_equal_columns() {
    const auto same = [](const TableCell& a, const TableCell& b) {
      return a.seeds == b.seeds && a.values == b.values;
    };
    for (std::size_t c = table_.columns.size(); c-- > 0;) {
      const auto& rows = table_.rows;
      const bool equal = std::all_of(rows.begin(), rows.end(),
                                     [&](const TableRow& row) { return same(row.cells[c], rows.front().cells[c]); });
      if (!equal || rows.size() < 2) continue;
      const auto at = static_cast<std::ptrdiff_t>(c);
      table_.columns.erase(table_.columns.begin() + at);
      for (auto& row : table_.rows) row.cells.erase(row.cells.begin() + at);
    }
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

  // Against the first row unless another is asked for; without pairs there is nothing to test.
  void mark_differences(const std::string& asked) {
    if (table_.by_seed && !asked.empty())
      throw Error("a row of one seed has no pairs to test; `--baseline` wants rows of several seeds", Exit::usage);
    if (table_.rows.size() < 2 && asked.empty()) return;
    const auto baseline = asked.empty() ? 0 : detail::row_named(table_, asked);
    bool any = false;
    std::set<std::size_t> pairs;
    for (std::size_t row = 0; row < table_.rows.size(); ++row)
      for (std::size_t c = 0; c < table_.columns.size(); ++c) {
        auto& cell = table_.rows[row].cells[c];
        const auto& other = table_.rows[baseline].cells[c];
        if (row == baseline || cell.seeds != other.seeds || cell.values.empty()) continue;
        std::vector<double> differences;
        for (std::size_t i = 0; i < cell.values.size(); ++i) differences.push_back(cell.values[i] - other.values[i]);
        cell.differs = sign_flip_two_sided(differences) <= kDiffers;
        any |= cell.differs, pairs.insert(cell.values.size());
      }
    if (!any && asked.empty()) return;
    table_.baseline = table_.rows[baseline].label;
    table_.pairs.assign(pairs.begin(), pairs.end());
  }

  void count_seeds() {
    std::set<std::size_t> sizes;
    for (const auto& row : table_.rows)
      for (const auto& cell : row.cells)
        if (!cell.values.empty()) sizes.insert(cell.values.size());
    table_.n = sizes.size() == 1 ? *sizes.begin() : 0;
  }

  static constexpr double kDiffers = 0.05;

  const std::vector<ClaimSpec>& claims_;
  TableFilter filter_;
  std::vector<TableGroup> groups_;
  std::vector<Planned> planned_;
  ResultTable table_;
};

}  // namespace

std::optional<bool> detail::direction_of(const MetricPath& path, const MetricSignature& what,
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

ResultTable build_table(const TableSpec& spec, const Study& study, const std::vector<ClaimSpec>& claims,
                        const TableView& view) {
  return Builder(spec, study, claims, view).take();
}

std::size_t missing_cells(const ResultTable& table) {
  std::size_t out = 0;
  for (const auto& row : table.rows)
    out += static_cast<std::size_t>(
        std::count_if(row.cells.begin(), row.cells.end(), [](const TableCell& cell) { return cell.missing > 0; }));
  return out;
}

}  // namespace xp
