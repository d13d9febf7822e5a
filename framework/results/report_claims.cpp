// Verdicts of a report: numbers for readers, and dots that show each pair.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "results/figures.h"
#include "results/markup.h"
#include "results/report_parts.h"

namespace xp::detail {
namespace {

constexpr double kChart = 640, kSide = 14, kRow = 52, kTopRoom = 8, kAxisRoom = 50;
constexpr std::size_t kMostDots = 400;  // more would be one blot
constexpr std::size_t kMostPairs = 200;

std::string signed_number(double value) {
  return (value < 0 ? "\u2212" : "+") + escaped(short_number(std::abs(value)));
}

std::string interval_text(const Interval& interval) {
  if (!std::isfinite(interval.low) || !std::isfinite(interval.high)) return "\u2013";
  return signed_number(interval.low) + " to " + signed_number(interval.high);
}

std::string p_value(double p) { return std::isnan(p) ? "\u2013" : escaped(short_number(p)); }

struct NamedComparison {
  std::string arm, other;
  const Comparison* comparison;
  bool control;

  std::string title() const {
    return arm + " against " + (other.empty() ? "no slope" : other) + (control ? " (control)" : "");
  }
};

std::vector<NamedComparison> comparisons_of(const Verdict& verdict) {
  std::vector<NamedComparison> all;
  const auto add = [&](const std::string& arm, const Comparison& one, bool control) {
    if (!one.differences.empty()) all.push_back({arm, one.other, &one, control});
  };
  for (const auto& one : verdict.baselines) add(verdict.claim.arm, one, false);
  if (verdict.control) add(verdict.claim.arm, *verdict.control, true);
  for (const auto& one : verdict.control_gains) add(verdict.claim.control->arm, one, true);
  return all;
}

class DotChart {
 public:
  DotChart(const Verdict& verdict, std::vector<NamedComparison> rows) : verdict_(verdict), rows_(std::move(rows)) {
    const auto take = [&](double value) {
      if (std::isfinite(value)) low_ = std::min(low_, value), high_ = std::max(high_, value);
    };
    take(-verdict.claim.margin);
    for (const auto& row : rows_) {
      for (const double value : row.comparison->differences) take(value);
      take(row.comparison->interval.low), take(row.comparison->interval.high);
    }
    const double room = high_ > low_ ? (high_ - low_) * 0.05 : 1;
    low_ -= room, high_ += room;
    bottom_ = kTopRoom + kRow * static_cast<double>(rows_.size());
  }

  std::string svg() {
    axis();
    for (std::size_t i = 0; i < rows_.size(); ++i) row(rows_[i], kTopRoom + kRow * static_cast<double>(i));
    const auto height = fixed(bottom_ + kAxisRoom);
    return element("svg", "\n" + out_,
                   "xmlns=\"http://www.w3.org/2000/svg\" class=\"dots\" width=\"" + fixed(kChart) + "\" height=\"" +
                       height + "\" viewBox=\"0 0 " + fixed(kChart) + " " + height +
                       "\" role=\"img\" aria-label=\"Differences of each pair\"") +
           "\n";
  }

 private:
  double place(double value) const { return kSide + (value - low_) / (high_ - low_) * (kChart - 2 * kSide); }

  void line(double x1, double y1, double x2, double y2, const std::string& kind) {
    out_ += "<line class=\"" + kind + "\" x1=\"" + fixed(x1) + "\" y1=\"" + fixed(y1) + "\" x2=\"" + fixed(x2) +
            "\" y2=\"" + fixed(y2) + "\"/>\n";
  }

  void text(double x, double y, const std::string& anchor, const std::string& what, const std::string& kind = "") {
    out_ += element("text", what,
                    "x=\"" + fixed(x) + "\" y=\"" + fixed(y) + "\" text-anchor=\"" + anchor + "\"" +
                        (kind.empty() ? "" : " class=\"" + kind + "\"")) +
            "\n";
  }

  void axis() {
    for (const double tick : nice_ticks(low_, high_, 6)) {
      line(place(tick), kTopRoom, place(tick), bottom_, tick == 0 ? "zero" : "rule");
      text(place(tick), bottom_ + 18, "middle", escaped(short_number(tick)), "tick");
    }
    line(place(0), kTopRoom, place(0), bottom_, "zero");
    if (verdict_.claim.margin > 0)
      line(place(-verdict_.claim.margin), kTopRoom, place(-verdict_.claim.margin), bottom_, "margin");
    const auto unit = verdict_.what.unit.empty() ? "" : " in " + escaped(verdict_.what.unit);
    text(kChart / 2, bottom_ + 42, "middle", "difference" + unit + ", better to the right");
  }

  void row(const NamedComparison& row, double y) {
    const auto& one = *row.comparison;
    text(kSide, y + 18, "start", escaped(row.title()), "name");
    const double middle = y + 37;
    const std::string kind = row.control ? "control" : "baseline";
    const auto step = (one.differences.size() + kMostDots - 1) / kMostDots;
    for (std::size_t i = 0; i < one.differences.size(); i += step) {
      if (!std::isfinite(one.differences[i])) continue;
      const auto pair = i < one.pairs.size() ? verdict_.claim.unit + " " + one.pairs[i] + ": " : std::string();
      out_ += element("circle", element("title", escaped(pair) + signed_number(one.differences[i])),
                      "class=\"" + kind + "\" cx=\"" + fixed(place(one.differences[i])) + "\" cy=\"" + fixed(middle) +
                          "\" r=\"5\"") +
              "\n";
    }
    if (std::isfinite(one.interval.low) && std::isfinite(one.interval.high)) {
      line(place(one.interval.low), middle, place(one.interval.high), middle, "interval");
      for (const double end : {one.interval.low, one.interval.high})
        line(place(end), middle - 5, place(end), middle + 5, "interval");
    }
    if (std::isfinite(one.mean)) line(place(one.mean), middle - 9, place(one.mean), middle + 9, "mean");
  }

  const Verdict& verdict_;
  std::vector<NamedComparison> rows_;
  double low_ = 0, high_ = 0, bottom_ = 0;
  std::string out_;
};

std::string numbers_of(const Verdict& verdict, const std::vector<NamedComparison>& rows) {
  HtmlTable table({"comparison", "mean difference", "95 % interval", "sd", escaped(verdict.claim.unit) + "s", "p",
                   "p, Holm over baselines"},
                  true);
  for (const auto& row : rows) {
    const auto& one = *row.comparison;
    const bool baseline = !row.control;
    table.row({escaped(row.title()), signed_number(one.mean), interval_text(one.interval),
               std::isfinite(one.sd) ? escaped(short_number(one.sd)) : "\u2013", grouped(one.pairs.size()),
               p_value(one.p), baseline ? p_value(one.adjusted) : "\u2013"});
  }
  return table.text();
}

std::string pair_tables(const Verdict& verdict, const std::vector<NamedComparison>& rows) {
  std::string out;
  for (const auto& row : rows) {
    const auto& one = *row.comparison;
    if (one.arm.size() != one.differences.size() || one.pairs.size() != one.differences.size()) continue;
    HtmlTable table({escaped(verdict.claim.unit), escaped(row.arm),
                     row.other.empty() ? "no slope" : escaped(row.other), "difference"},
                    true);
    const auto shown = std::min(one.pairs.size(), kMostPairs);
    for (std::size_t i = 0; i < shown; ++i)
      table.row({escaped(one.pairs[i]), escaped(short_number(one.arm[i])),
                 i < one.against.size() ? escaped(short_number(one.against[i])) : "\u2013",
                 signed_number(one.differences[i])});
    out += table.text();
    if (shown < one.pairs.size())
      out += element("p", grouped(one.pairs.size() - shown) + " more in the result file.", "class=\"note\"") + "\n";
  }
  return out.empty() ? out : details("Values of each pair", out);
}

std::string claim_html(const Verdict& verdict) {
  const auto& claim = verdict.claim;
  std::string kind(outcome_name(verdict.outcome)), out;
  for (char& c : kind) c = static_cast<char>(c - 'A' + 'a');
  out += element("h3", badge(verdict.outcome) + " " + escaped(claim.id)) + "\n";
  if (!claim.says.empty())
    out += element("p", escaped(claim.says) + (claim.paper.empty() ? "" : " [" + escaped(claim.paper) + "]"),
                   "class=\"says\"") +
           "\n";
  out += element("p", sentence(verdict.reason), "class=\"reason\"") + "\n";
  const auto rows = comparisons_of(verdict);
  if (!rows.empty())
    out += element("div", "\n" + DotChart(verdict, rows).svg(), "class=\"scroll\" tabindex=\"0\"") + "\n" +
           numbers_of(verdict, rows);
  std::string about = element("code", escaped(claim.metric)) + ", " + escaped(claim.better) + " is better; " +
                      escaped(verdict.test) + ", alpha " + escaped(number_text(claim.alpha));
  if (claim.margin > 0) about += ", margin " + escaped(number_text(claim.margin)) + " (dashed)";
  if (claim.primary) about += "; primary";
  if (!claim.gate.empty()) about += "; gates: " + element("code", escaped(join(claim.gate, ", ")));
  out += element("p", about, "class=\"note\"") + "\n";
  for (const auto& note : verdict.notes) out += element("p", sentence(note), "class=\"note\"") + "\n";
  out += pair_tables(verdict, rows);
  return element("article", "\n" + out, "class=\"claim " + kind + "\"") + "\n";
}

}  // namespace

std::string badge(Outcome outcome) {
  const bool pass = outcome == Outcome::pass, fail = outcome == Outcome::fail;
  return element("span",
                 std::string(pass   ? "\u2713 "
                             : fail ? "\u2717 "
                                    : "? ") +
                     std::string(outcome_name(outcome)),
                 std::string("class=\"badge ") +
                     (pass   ? "pass"
                      : fail ? "fail"
                             : "undecided") +
                     "\"");
}

std::string claims_part(const std::vector<ReportRun>& runs) {
  std::string out;
  for (const auto& run : runs) {
    std::string own;
    for (const auto& verdict : run.verdicts) own += claim_html(verdict);
    if (!run.problem.empty())
      own += element("p", "The claims cannot be judged: " + sentence(run.problem), "class=\"warning\"") + "\n";
    if (!own.empty()) out += run_heading(run) + own;
  }
  return out;
}

}  // namespace xp::detail
