// Numbers from records: the other half of metric_path.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "results/metric_path.h"

namespace xp {
const Curve* RecordSource::curve(std::string_view node, const std::string& name) const {
  const auto* of = record(node);
  if (!of) return nullptr;
  const auto found = of->curves.find(name);
  return found == of->curves.end() ? nullptr : &found->second;
}

std::optional<FinalValue> RecordSource::last(std::string_view node, const std::string& name) const {
  const auto* of = curve(node, name);
  if (!of || of->points.empty()) return {};
  return FinalValue{of->points.back().value, of->what};
}

namespace {

void say(std::string* why, std::string text) {
  if (why) *why = std::move(text);
}

bool is_counter(const MetricPath& path) {
  const auto& names = counter_names();
  return path.view.empty() && std::find(names.begin(), names.end(), path.name) != names.end();
}

std::string counter_unit(std::string_view name) {
  if (name == "memory") return "bytes";
  if (name == "seconds_per_step") return "seconds/step";
  if (name == "flops_effective") return "flops";
  return std::string(name);
}

// "similarity.spearman[1x32]" -> name and view.
std::pair<std::string_view, std::string_view> cut_view(std::string_view key) {
  const auto open = key.find('[');
  if (open == std::string_view::npos || key.back() != ']') return {key, {}};
  return {key.substr(0, open), key.substr(open + 1, key.size() - open - 2)};
}

// `*` stands for any run of characters within one segment.
bool fits_segments(std::string_view name, std::string_view pattern) {
  const auto names = split(name, '.'), patterns = split(pattern, '.');
  if (names.size() != patterns.size()) return false;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!fits(names[i], patterns[i])) return false;
  return true;
}

std::vector<std::string> keys_of(const StageRecord& record) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : record.finals) keys.push_back(key);
  for (const auto& [key, value] : record.curves)
    if (!record.finals.contains(key)) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::string missing_key(const std::string& stage, const MetricPath& path, const StageRecord& record) {
  const std::string wanted = path.name + (path.view.empty() ? "" : "[" + path.view + "]");
  const auto keys = keys_of(record);
  std::string text = "stage " + backquoted(stage) + " recorded no " + backquoted(wanted);
  std::vector<std::string> views;
  for (const auto& key : keys)
    if (const auto [name, view] = cut_view(key); name == path.name && !view.empty()) views.emplace_back(view);
  if (!views.empty()) return text + "; its views are " + listed(views);
  if (const auto near = nearest(wanted, keys)) return text + "; did you mean " + backquoted(*near) + "?";
  return text + (keys.empty() ? ", and no other metric" : "; it recorded " + listed(keys));
}

std::vector<std::string> stages_of(const MetricPath& path, const RecordSource& records) {
  std::vector<std::string> stages;
  for (const auto& node : records.nodes())
    if (fits(node, path.stage)) stages.push_back(node);
  std::sort(stages.begin(), stages.end());
  return stages;
}

MetricPath concrete(const MetricPath& path, const std::string& stage, std::string_view name, std::string_view view) {
  MetricPath one = path;
  one.stage = stage, one.name = std::string(name), one.view = std::string(view);
  const auto shape = path.stage + "." + path.name + (path.view.empty() ? "" : "[" + path.view + "]");
  const auto form =
      path.text.size() >= shape.size() && path.text.starts_with(shape) ? path.text.substr(shape.size()) : "";
  one.text = stage + "." + one.name + (view.empty() ? "" : "[" + one.view + "]") + form;
  return one;
}

std::optional<double> at_point(const Curve& curve, const MetricPath& path, std::string* why) {
  const auto x = [&](const CurvePoint& point) { return counter(point.at, path.over); };
  for (auto point = curve.points.rbegin(); point != curve.points.rend(); ++point)
    if (x(*point) == path.at) return point->value;
  for (std::size_t i = 1; i < curve.points.size(); ++i) {
    const auto &left = curve.points[i - 1], &right = curve.points[i];
    if (!(x(left) < path.at && path.at < x(right))) continue;
    const double share = (path.at - x(left)) / (x(right) - x(left));
    return left.value + share * (right.value - left.value);
  }
  say(why, backquoted(path.text) + " lies outside the curve, which runs from " +
               short_number(x(curve.points.front())) + " to " + short_number(x(curve.points.back())) + " " +
               path.over + "; nothing is extrapolated");
  return {};
}

std::optional<double> area_of(const Curve& curve, const MetricPath& path, std::string* why) {
  const auto x = [&](const CurvePoint& point) { return counter(point.at, path.over); };
  const double length = x(curve.points.back()) - x(curve.points.front());
  if (!(length > 0)) {
    say(why, backquoted(path.text) + ": the curve has " + count(curve.points.size(), "point") + " and no length in " +
                 path.over);
    return {};
  }
  double area = 0;
  for (std::size_t i = 1; i < curve.points.size(); ++i) {
    const double width = x(curve.points[i]) - x(curve.points[i - 1]);
    if (width < 0) {
      say(why, backquoted(path.text) + ": " + path.over + " falls along the curve");
      return {};
    }
    area += width * (curve.points[i].value + curve.points[i - 1].value) / 2;
  }
  return area / length;
}

std::optional<double> best_of(const Curve& curve, const MetricPath& path, std::optional<bool> higher,
                              std::string* why) {
  if (!higher) {
    say(why, backquoted(path.text) + ": whether the highest or the lowest is best is not said here");
    return {};
  }
  double best = std::numeric_limits<double>::quiet_NaN();
  for (const auto& point : curve.points)
    if (std::isnan(best) || (*higher ? point.value > best : point.value < best)) best = point.value;
  return best;
}

std::optional<double> of_curve(const Curve& curve, const MetricPath& path, std::optional<bool> higher,
                               std::string* why) {
  if (curve.points.empty()) {
    say(why, backquoted(path.text) + ": the curve has no points");
    return {};
  }
  switch (path.form) {
    case CurveForm::none:
    case CurveForm::final: return curve.points.back().value;
    case CurveForm::best: return best_of(curve, path, higher, why);
    case CurveForm::area: return area_of(curve, path, why);
    case CurveForm::at: return at_point(curve, path, why);
  }
  return {};
}

std::optional<MetricValue> single(const MetricPath& path, const RecordSource& records, std::string* why,
                                  std::optional<bool> higher) {
  const auto* record = records.record(path.stage);
  if (!record) {
    const auto nodes = records.nodes();
    const bool known = std::find(nodes.begin(), nodes.end(), path.stage) != nodes.end();
    const auto near = known ? std::nullopt : nearest(path.stage, nodes);
    say(why, "stage " + backquoted(path.stage) + (known ? " has not ended here" : " has no record here") +
                 (near    ? "; did you mean " + backquoted(*near) + "?"
                  : known ? ""
                          : "; stages are " + listed(nodes)));
    return {};
  }
  if (is_counter(path))
    return MetricValue{counter(record->counters, path.name), {counter_unit(path.name), {}, {}, {}}, {path.text}};
  const auto key = path.name + (path.view.empty() ? "" : "[" + path.view + "]");
  const auto final = record->finals.find(key);
  const bool has_final = final != record->finals.end(), has_curve = record->curves.contains(key);
  if (!has_final && !has_curve) return say(why, missing_key(path.stage, path, *record)), std::nullopt;
  const bool whole_curve = path.form != CurveForm::none && path.form != CurveForm::final;
  if (has_final && (path.form == CurveForm::none || !has_curve)) {
    if (whole_curve) {
      say(why, backquoted(key) + " of stage " + backquoted(path.stage) + " is one value, not a curve");
      return {};
    }
    return MetricValue{final->second.value, final->second.what, {path.text}};
  }
  if (!whole_curve)
    if (const auto last = records.last(path.stage, key)) return MetricValue{last->value, last->what, {path.text}};
  const auto* curve = records.curve(path.stage, key);
  const auto value = of_curve(*curve, path, higher, why);
  if (!value) return {};
  return MetricValue{*value, curve->what, {path.text}};
}

std::string signature_text(const MetricSignature& what) {
  std::string text = what.unit.empty() ? "no unit" : what.unit;
  if (!what.tokenizer.empty()) text += ", tokenizer " + what.tokenizer.substr(0, 12);
  if (!what.split.empty()) text += ", " + what.split;
  if (!what.version.empty()) text += ", version " + what.version;
  return text;
}

// Where all agree, that; where they differ, a word that no evaluator gives.
MetricSignature common(const std::vector<MetricValue>& values) {
  MetricSignature out = values.front().what;
  for (const auto& value : values) {
    if (value.what.unit != out.unit) out.unit = "mixed";
    if (value.what.tokenizer != out.tokenizer) out.tokenizer = "mixed";
    if (value.what.split != out.split) out.split = "mixed";
    if (value.what.version != out.version) out.version = "mixed";
  }
  return out;
}

std::optional<MetricValue> mean_of(const MetricPath& path, const RecordSource& records, std::string* why,
                                   std::optional<bool> higher) {
  std::vector<MetricValue> values;
  for (const auto& part : path.parts) {
    const auto expanded = expand(part, records, why);
    if (expanded.empty()) return {};
    for (const auto& one : expanded) {
      auto value = evaluate(one, records, why, higher);
      if (!value) return {};
      values.push_back(std::move(*value));
    }
  }
  MetricValue out{0, values.front().what, {}};
  for (const auto& value : values) {
    if (!path.mix && value.what != values.front().what)
      throw Error(backquoted(path.text) + " mixes unlike numbers: " + backquoted(values.front().of.front()) +
                      " is (" + signature_text(values.front().what) + "), " + backquoted(value.of.front()) + " is (" +
                      signature_text(value.what) + "); write `mix = true` if that is meant",
                  Exit::usage);
    out.value += value.value / static_cast<double>(values.size());
    out.of.insert(out.of.end(), value.of.begin(), value.of.end());
  }
  out.what = common(values);
  return out;
}

}  // namespace

std::string describe(const MetricSignature& what) { return signature_text(what); }

std::vector<MetricPath> expand(const MetricPath& path, const RecordSource& records, std::string* why) {
  if (!names_several(path)) return {path};
  const auto stages = stages_of(path, records);
  if (stages.empty()) {
    say(why, "no stage fits " + backquoted(path.stage) + "; stages are " + listed(records.nodes()));
    return {};
  }
  std::vector<MetricPath> out;
  std::string reason;
  for (const auto& stage : stages) {
    const auto* record = records.record(stage);
    if (!record) {
      reason = "stage " + backquoted(stage) + " has no record here";
      continue;
    }
    if (is_counter(path)) {
      out.push_back(concrete(path, stage, path.name, {}));
      continue;
    }
    const auto before = out.size();
    for (const auto& key : keys_of(*record)) {
      const auto [name, view] = cut_view(key);
      if (!fits_segments(name, path.name)) continue;
      if (path.view.empty() ? view.empty() : !view.empty() && fits(view, path.view))
        out.push_back(concrete(path, stage, name, view));
    }
    if (out.size() == before) reason = missing_key(stage, path, *record);
  }
  if (out.empty()) say(why, reason);
  return out;
}

std::optional<MetricValue> evaluate(const MetricPath& path, const RecordSource& records, std::string* why,
                                    std::optional<bool> higher) {
  if (!path.parts.empty()) return mean_of(path, records, why, higher);
  if (!names_several(path)) return single(path, records, why, higher);
  const auto expanded = expand(path, records, why);
  if (expanded.empty()) return {};
  if (expanded.size() == 1) return single(expanded.front(), records, why, higher);
  std::vector<std::string> names;
  for (const auto& one : expanded) names.push_back(one.text);
  say(why, backquoted(path.text) + " names " + count(names.size(), "number") + " (" + listed(names, 4) +
               "); write mean(" + path.text + ")");
  return {};
}

}  // namespace xp
