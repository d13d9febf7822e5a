#include "results/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/text.h"
#include "results/result_file.h"
#include "results/stage_depths.h"

namespace xp {
namespace {

constexpr std::size_t kMostCell = 60;  // characters of a ledger's cell that a message quotes

std::string hash_text(std::uint64_t hash) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 0; i < 16; ++i) out[15 - i] = kDigits[hash >> (4 * i) & 15];
  return out;
}

std::string cell_text(const std::string& cell) {
  const auto shown = printable(cell);
  return "\"" + (shown.size() > kMostCell ? shown.substr(0, kMostCell) + "..." : shown) + "\"";
}

// What depends on the machine and not on the experiment.
bool is_time(std::string_view name, const MetricSignature& what) {
  return what.unit.starts_with("second") || what.unit.ends_with("/second") || name == "seconds";
}

class Comparer {
 public:
  Comparer(const StageRecord& expected, const StageRecord& found, double tolerance)
      : a_(expected), b_(found), tolerance_(tolerance) {}

  std::vector<RecordDifference> run() {
    if (!a_.batches.empty() && !b_.batches.empty()) batches();
    if (!a_.weights.empty() && !b_.weights.empty() && tolerance_ == 0) weights();
    curves();
    each(a_.finals, b_.finals, "final", [&](const std::string& name, const FinalValue& a, const FinalValue& b) {
      if (a.what != b.what) return add("final", name, -1, signature_text(a.what), signature_text(b.what));
      if (!is_time(name, a.what) && !same(a.value, b.value)) add("final", name, -1, a.value, b.value);
    });
    each(a_.items, b_.items, "items", [&](const auto& name, const auto& a, const auto& b) { items(name, a, b); });
    each(a_.ledgers, b_.ledgers, "ledger",
         [&](const auto& name, const auto& a, const auto& b) { ledger(name, a, b); });
    counters();
    std::stable_sort(out_.begin(), out_.end(), [](const auto& a, const auto& b) { return when(a) < when(b); });
    return std::move(out_);
  }

 private:
  // The end of a stage comes after all its steps.
  static std::uint64_t when(const RecordDifference& one) { return static_cast<std::uint64_t>(one.step); }

  bool same(double a, double b) const {
    if (a == b || (std::isnan(a) && std::isnan(b))) return true;
    return tolerance_ > 0 && std::abs(a - b) <= tolerance_ * std::max(std::abs(a), std::abs(b));
  }

  void add(const std::string& kind, const std::string& name, std::int64_t step, std::string expected,
           std::string found) {
    auto known = std::find_if(out_.begin(), out_.end(), [&](const auto& one) { return one.kind == kind; });
    RecordDifference one{kind, name, step, std::move(expected), std::move(found)};
    if (known == out_.end())
      out_.push_back(std::move(one));
    else if (when(one) < when(*known))
      *known = std::move(one);
  }
  void add(const std::string& kind, const std::string& name, std::int64_t step, double expected, double found) {
    add(kind, name, step, number_text(expected), number_text(found));
  }

  static std::string signature_text(const MetricSignature& what) {
    return "in " + backquoted(what.unit) + " of " + backquoted(what.split) + ", version " + backquoted(what.version) +
           ", tokenizer " + backquoted(what.tokenizer);
  }

  // Calls `both` for names that both have; the others are differences.
  template <class T, class Both>
  void each(const std::map<std::string, T>& a, const std::map<std::string, T>& b, const std::string& kind,
            const Both& both) {
    for (const auto& [name, one] : a) {
      const auto other = b.find(name);
      if (other == b.end())
        add(kind, name, -1, "there", "missing");
      else
        both(name, one, other->second);
    }
    for (const auto& [name, one] : b)
      if (!a.contains(name)) add(kind, name, -1, "missing", "there");
  }

  void batches() {
    const auto n = std::max(a_.batches.size(), b_.batches.size());
    for (std::size_t i = 0; i < n; ++i) {
      const auto* a = i < a_.batches.size() ? &a_.batches[i] : nullptr;
      const auto* b = i < b_.batches.size() ? &b_.batches[i] : nullptr;
      if (a && b && *a == *b) continue;
      const auto step = std::min(a ? a->step : b->step, b ? b->step : a->step);
      const auto shown = [&](const auto* one) { return one && one->step == step ? hash_text(one->hash) : "missing"; };
      return add("batch", "", step, shown(a), shown(b));
    }
  }

  void weights() {
    const auto n = std::max(a_.weights.size(), b_.weights.size());
    for (std::size_t i = 0; i < n; ++i) {
      const auto* a = i < a_.weights.size() ? &a_.weights[i] : nullptr;
      const auto* b = i < b_.weights.size() ? &b_.weights[i] : nullptr;
      if (a && b && *a == *b) continue;
      const auto* first = !a || (b && b->step < a->step) ? b : a;
      const auto shown = [&](const auto* one) {
        return one && one->step == first->step && one->tensor == first->tensor ? hash_text(one->hash) : "missing";
      };
      return add("weights", first->tensor, first->step, shown(a), shown(b));
    }
  }

  void curves() {
    each(a_.curves, b_.curves, "curve", [&](const std::string& name, const Curve& a, const Curve& b) {
      if (a.what != b.what) return add("curve", name, -1, signature_text(a.what), signature_text(b.what));
      for (std::size_t i = 0; i < std::max(a.points.size(), b.points.size()); ++i) {
        if (i >= a.points.size()) return add("curve", name, b.points[i].at.steps, "no point", "a point");
        if (i >= b.points.size()) return add("curve", name, a.points[i].at.steps, "a point", "no point");
        const auto &p = a.points[i], &q = b.points[i];
        if (p.at.steps != q.at.steps)
          return add("curve", name, std::min(p.at.steps, q.at.steps), "a point at step " + std::to_string(p.at.steps),
                     "a point at step " + std::to_string(q.at.steps));
        if (!is_time(name, a.what) && !same(p.value, q.value))
          return add("curve", name, p.at.steps, p.value, q.value);
        counters_at(p.at, q.at, p.at.steps);
      }
    });
  }

  void items(const std::string& name, const ItemTable& a, const ItemTable& b) {
    if (a.ids != b.ids) {
      const auto [p, q] = std::mismatch(a.ids.begin(), a.ids.end(), b.ids.begin(), b.ids.end());
      return add("items", name, -1, p == a.ids.end() ? "no more ids" : "id " + cell_text(*p),
                 q == b.ids.end() ? "no more ids" : "id " + cell_text(*q));
    }
    each(a.columns, b.columns, "items", [&](const std::string& column, const auto& p, const auto& q) {
      for (std::size_t i = 0; i < std::min(p.size(), q.size()); ++i)
        if (!same(p[i], q[i]))
          return add("items", name + "." + column + "[" + printable(a.ids[i]) + "]", -1, p[i], q[i]);
    });
  }

  void ledger(const std::string& name, const LedgerTable& a, const LedgerTable& b) {
    if (a.columns != b.columns) return add("ledger", name, -1, listed(a.columns), listed(b.columns));
    for (std::size_t row = 0; row < std::min(a.rows.size(), b.rows.size()); ++row)
      for (std::size_t i = 0; i < a.columns.size(); ++i)
        if (a.rows[row].at(i) != b.rows[row].at(i))
          return add("ledger", name + "." + a.columns[i] + "[" + std::to_string(row) + "]", -1,
                     cell_text(a.rows[row][i]), cell_text(b.rows[row][i]));
    if (a.rows.size() != b.rows.size())
      add("ledger", name, -1, count(a.rows.size(), "row"), count(b.rows.size(), "row"));
  }

  void counters_at(const Counters& a, const Counters& b, std::int64_t step) {
    constexpr std::array kIntegers = {&Counters::steps, &Counters::input_tokens, &Counters::supervised_tokens,
                                      &Counters::items, &Counters::bytes};
    constexpr std::array kIntegerNames = {"steps", "input_tokens", "supervised_tokens", "items", "bytes"};
    constexpr std::array kReals = {&Counters::epochs, &Counters::flops, &Counters::flops_effective};
    constexpr std::array kRealNames = {"epochs", "flops", "flops_effective"};
    for (std::size_t i = 0; i < kIntegers.size(); ++i)
      if (a.*kIntegers[i] != b.*kIntegers[i])
        return add("counters", kIntegerNames[i], step, std::to_string(a.*kIntegers[i]),
                   std::to_string(b.*kIntegers[i]));
    for (std::size_t i = 0; i < kReals.size(); ++i)
      if (!same(a.*kReals[i], b.*kReals[i])) return add("counters", kRealNames[i], step, a.*kReals[i], b.*kReals[i]);
  }
  void counters() { counters_at(a_.counters, b_.counters, -1); }

  const StageRecord &a_, &b_;
  double tolerance_;
  std::vector<RecordDifference> out_;
};

std::size_t numbers_of(const StageRecord& record) {
  std::size_t n = record.finals.size();
  for (const auto& [name, curve] : record.curves) n += curve.points.size();
  for (const auto& [name, items] : record.items) n += items.columns.size() * items.ids.size();
  for (const auto& [name, ledger] : record.ledgers) n += ledger.columns.size() * ledger.rows.size();
  return n;
}

std::string stage_text(const ComparedStage& stage) {
  return "stage " + stage.node + " of arm " + stage.arm + ", seed " + std::to_string(stage.seed);
}

std::string place_text(const RecordDifference& one) {
  const auto at = one.step < 0 ? std::string() : " after step " + std::to_string(one.step);
  if (one.kind == "batch") return "the batch of step " + std::to_string(one.step);
  const auto what = one.kind == "weights" ? "the weights" : one.kind == "final" ? "the final value" : one.kind;
  return what + " " + backquoted(printable(one.name)) + at;
}

}  // namespace

std::vector<RecordDifference> differences(const StageRecord& expected, const StageRecord& found, double tolerance) {
  return Comparer(expected, found, tolerance).run();
}

std::vector<ComparedStage> compared_stages(const Value& plan,
                                           const std::function<bool(const ComparedStage&)>& wanted) {
  const auto members = detail::members_of(plan, "the result");
  detail::StageDepths depths(plan);
  std::vector<std::pair<std::size_t, ComparedStage>> found;
  std::set<std::string> seen;
  for (const auto& member : members)
    for (const auto& [node, digest] : member.stages)
      if (ComparedStage stage{member.arm, member.seed, node}; wanted(stage) && seen.insert(digest).second)
        found.emplace_back(depths.of(digest), std::move(stage));
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<ComparedStage> out;
  for (auto& [depth, stage] : found) out.push_back(std::move(stage));
  return out;
}

ResultComparison compare(const Result& expected, const Result& found, const std::vector<ComparedStage>& stages,
                         double tolerance) {
  ResultComparison out;
  for (const auto& stage : stages) {
    const auto a = expected.whole(stage.arm, stage.seed, stage.node);
    if (!a) {
      ++out.unknown;
      continue;
    }
    const auto b = found.whole(stage.arm, stage.seed, stage.node);
    if (b) out.where = differences(*a, *b, tolerance);
    if (!b || !out.where.empty()) {
      out.stage = stage;
      return out;
    }
    ++out.same, out.numbers += numbers_of(*a);
    out.batches += std::min(a->batches.size(), b->batches.size());
    if (tolerance == 0) out.weights += std::min(a->weights.size(), b->weights.size());
  }
  return out;
}

std::string to_text(const ResultComparison& comparison) {
  const auto unknown = comparison.unknown == 0
                           ? std::string()
                           : count(comparison.unknown, "stage") + " not compared: the file has them unfinished\n";
  if (!comparison.stage) {
    return unknown + "identical: " + count(comparison.same, "stage") +
           " (batches: " + std::to_string(comparison.batches) + ", tensors: " + std::to_string(comparison.weights) +
           ", numbers: " + std::to_string(comparison.numbers) + ")\n";
  }
  auto out = unknown + "differs first in " + stage_text(*comparison.stage) +
             (comparison.same > 0 ? "; " + count(comparison.same, "stage") + " before it the same" : "") + "\n";
  if (comparison.where.empty()) return out + "  it was not finished\n";
  for (const auto& one : comparison.where)
    out += "  " + place_text(one) + ": expected " + one.expected + ", found " + one.found + "\n";
  return out;
}

Table to_table(const ResultComparison& comparison) {
  Table out{{"identical", !comparison.stage},      {"stages", comparison.same},
            {"unfinished", comparison.unknown},    {"batch_hashes", comparison.batches},
            {"weight_hashes", comparison.weights}, {"numbers", comparison.numbers}};
  if (!comparison.stage) return out;
  const auto& stage = *comparison.stage;
  List where;
  for (const auto& one : comparison.where)
    where.push_back(Table{{"kind", one.kind},
                          {"name", one.name},
                          {"step", one.step},
                          {"expected", one.expected},
                          {"found", one.found}});
  out.emplace("difference",
              Table{{"arm", stage.arm}, {"seed", stage.seed}, {"stage", stage.node}, {"where", std::move(where)}});
  return out;
}

}  // namespace xp
