#include "results/figures.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/text.h"
#include "results/statistics.h"

namespace xp {
namespace {

constexpr std::size_t kMostPoints = 400;

struct Trace {
  std::vector<double> x, y;  // x rising
};

double at(const Trace& trace, double x) {
  const auto right = std::lower_bound(trace.x.begin(), trace.x.end(), x);
  const auto i = static_cast<std::size_t>(right - trace.x.begin());
  if (*right == x || i == 0) return trace.y[i];
  const double share = (x - trace.x[i - 1]) / (trace.x[i] - trace.x[i - 1]);
  return trace.y[i - 1] + share * (trace.y[i] - trace.y[i - 1]);
}

class Builder {
 public:
  Builder(const FigureSpec& spec, const Study& study) : spec_(spec), study_(study) {
    Problems problems;
    const auto x = parse_metric_path(spec.x, {}, problems), y = parse_metric_path(spec.y, {}, problems);
    problems.raise("no figure was made");
    x_ = *x, y_ = *y;
    check();
    figure_.id = spec.id, figure_.title = spec.title, figure_.log_x = spec.log_x, figure_.log_y = spec.log_y;
    for (const auto& arm : study.arms) add_arm(arm), ++arm_;
    figure_.x_label = x_.name + " (" + x_.stage + ")";
    figure_.y_label =
        y_.name + (y_.view.empty() ? "" : "[" + y_.view + "]") + (what_.unit.empty() ? "" : " (" + what_.unit + ")");
  }

  ResultFigure take() { return std::move(figure_); }

 private:
  void check() const {
    const auto& counters = counter_names();
    if (!x_.parts.empty() || std::find(counters.begin(), counters.end(), x_.name) == counters.end())
      throw Error("figure " + backquoted(spec_.id) + ": x is " + backquoted(spec_.x) +
                      ", which is no counter; write the stage and one of " + listed(counters),
                  Exit::usage);
    if (!y_.parts.empty() || y_.form != CurveForm::none || names_several(y_) || y_.stage != x_.stage)
      throw Error("figure " + backquoted(spec_.id) + ": y is " + backquoted(spec_.y) +
                      ", which is not one curve of stage " + backquoted(x_.stage) + " as x is",
                  Exit::usage);
  }

  void add_arm(const StudyArm& arm) {
    std::vector<Trace> traces;
    std::size_t traced = 0;
    for (const auto seed : study_.seeds(arm.name)) {
      auto trace = trace_of(*study_.find(arm.name, seed));
      if (!trace) continue;
      if (spec_.by == "seed") {
        add_line(arm.label + ", seed " + std::to_string(seed), {*trace}, traced++);
      } else {
        traces.push_back(std::move(*trace));
      }
    }
    if (!traces.empty()) add_line(arm.label, traces, 0);
  }

  std::optional<Trace> trace_of(const StudyMember& member) {
    const auto run = arm_label(member) + ", seed " + std::to_string(member.seed);
    const auto leave = [&](const std::string& why) {
      figure_.notes.push_back(run + ": " + why);
      return std::nullopt;
    };
    const auto* record = member.records ? member.records->record(y_.stage) : nullptr;
    if (!record) return leave("stage " + y_.stage + " has no record");
    const auto key = y_.name + (y_.view.empty() ? "" : "[" + y_.view + "]");
    const auto* curve = member.records->curve(y_.stage, key);
    if (!curve) return leave("stage " + y_.stage + " has no curve " + key);
    same_kind(curve->what, run);
    Trace trace;
    std::size_t left_out = 0;
    for (const auto& point : curve->points) {
      const double x = counter(point.at, x_.name);
      const bool shown = std::isfinite(x) && std::isfinite(point.value) && (!spec_.log_x || x > 0) &&
                         (!spec_.log_y || point.value > 0);
      if (!shown) {
        ++left_out;
      } else if (!trace.x.empty() && x <= trace.x.back()) {
        if (x == trace.x.back())
          trace.y.back() = point.value;  // the later one of two at one place
        else
          ++left_out;
      } else {
        trace.x.push_back(x), trace.y.push_back(point.value);
      }
    }
    if (left_out > 0) figure_.notes.push_back(run + ": " + count(left_out, "point") + " cannot be shown");
    if (trace.x.empty()) return leave("the curve has no points that can be shown");
    return trace;
  }

  std::string arm_label(const StudyMember& member) const {
    const auto* arm = study_.arm(member.arm);
    return arm ? arm->label : member.arm;
  }

  void same_kind(const MetricSignature& what, const std::string& run) {
    if (first_.empty()) {
      first_ = run, what_ = what;
    } else if (what != what_) {
      throw Error("figure " + backquoted(spec_.id) + " would mix unlike numbers: " + first_ + " is (" +
                      describe(what_) + "), " + run + " is (" + describe(what) + ")",
                  Exit::usage);
    }
  }

  void add_line(const std::string& label, const std::vector<Trace>& traces, std::size_t dash) {
    double from = traces.front().x.front(), to = traces.front().x.back();
    for (const auto& trace : traces) from = std::max(from, trace.x.front()), to = std::min(to, trace.x.back());
    std::set<double> places;
    for (const auto& trace : traces)
      for (const double x : trace.x)
        if (x >= from && x <= to) places.insert(x);
    if (places.empty()) {
      figure_.notes.push_back(label + ": the seeds have no " + x_.name + " in common");
      return;
    }
    std::vector<double> grid(places.begin(), places.end());
    if (grid.size() > kMostPoints) {
      std::vector<double> fewer;
      for (std::size_t i = 0; i < kMostPoints; ++i) fewer.push_back(grid[i * (grid.size() - 1) / (kMostPoints - 1)]);
      grid = std::move(fewer);
    }
    FigureLine line{label, traces.size(), arm_, dash, {}};
    for (const double x : grid) {
      std::vector<double> values;
      for (const auto& trace : traces) values.push_back(at(trace, x));
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      line.points.push_back({x, mean_of(values), *low, *high});
    }
    figure_.lines.push_back(std::move(line));
  }

  const FigureSpec& spec_;
  const Study& study_;
  MetricPath x_, y_;
  MetricSignature what_;
  std::string first_;
  std::size_t arm_ = 0;
  ResultFigure figure_;
};

}  // namespace

ResultFigure build_figure(const FigureSpec& spec, const Study& study) { return Builder(spec, study).take(); }

std::vector<double> nice_ticks(double low, double high, int about) {
  if (!(high > low) || !std::isfinite(high - low)) return {low};
  const double rough = (high - low) / std::max(about, 1);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough * 0.999) step = factor * power;
  std::vector<double> out;
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
    out.push_back(i == 0 ? 0 : i * step);
  return out;
}

std::vector<double> log_ticks(double low, double high) {
  std::vector<double> decades, fine;
  const int first = static_cast<int>(std::floor(std::log10(low))),
            last = static_cast<int>(std::ceil(std::log10(high)));
  for (int power = first; power <= last; ++power)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * std::pow(10.0, power);
      if (tick < low * (1 - 1e-9) || tick > high * (1 + 1e-9)) continue;
      fine.push_back(tick);
      if (factor == 1) decades.push_back(tick);
    }
  if (decades.size() >= 3) return decades;
  return fine.size() >= 3 ? fine : nice_ticks(low, high, 8);
}

}  // namespace xp
