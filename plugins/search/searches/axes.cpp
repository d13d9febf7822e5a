#include "axes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/text.h"

namespace xp::searches {
namespace {

/// The ends of a range as `place` runs through it: of whole numbers half a step further, logarithms taken.
struct Ends {
  double low, high;

  explicit Ends(const SearchAxis& axis) : low(axis.low), high(axis.high) {
    if (axis.whole) low -= 0.5, high += 0.5;
    if (axis.logarithmic) low = std::log(low), high = std::log(high);
  }
};

double nine_digits(double value) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value, std::chars_format::general, 9).ptr;
  std::from_chars(std::begin(text), end, value);
  return value;
}

void join(Dimension& group, std::size_t index, const std::vector<SearchAxis>& axes) {
  const auto& first = axes[group.axes.front()];
  const auto& axis = axes[index];
  if (axis.values.empty() || first.values.empty())
    refuse(backquoted(axis.values.empty() ? axis.key : first.key) +
           " is a range and cannot advance with other axes of `zip` = \"" + axis.zip + "\"; write its `values`");
  if (axis.values.size() != first.values.size())
    refuse(backquoted(first.key) + " and " + backquoted(axis.key) + " of `zip` = \"" + axis.zip + "\" have " +
           std::to_string(first.values.size()) + " and " + count(axis.values.size(), "value") +
           "; axes that advance together have equally many");
  group.axes.push_back(index);
}

}  // namespace

void refuse(const std::string& text) { throw Error(text, Exit::usage); }

std::size_t proposed_index(std::int64_t number, std::int64_t proposed) {
  if (number < 0 || number >= proposed)
    throw Error("trial " + std::to_string(number) + " was told and " +
                count(static_cast<std::size_t>(proposed), "trial") + " proposed");
  return static_cast<std::size_t>(number);
}

bool same(const Value& a, const Value& b) {
  return a.is_number() && b.is_number() ? a.number() == b.number() : a == b;
}

bool is_asked(const SearchAxis& axis, const Values& values) {
  return std::all_of(axis.when.begin(), axis.when.end(), [&](const SearchCondition& condition) {
    const auto found = values.find(condition.key);
    return found != values.end() && std::any_of(condition.values.begin(), condition.values.end(),
                                                [&](const Value& one) { return same(one, found->second); });
  });
}

Axes::Axes(std::vector<SearchAxis> axes) : axes_(std::move(axes)) {
  std::map<std::string, std::size_t> groups;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const auto& axis = axes_[i];
    if (!axis.zip.empty()) {
      const auto [group, is_new] = groups.try_emplace(axis.zip, dimensions_.size());
      if (!is_new) {
        join(dimensions_[group->second], i, axes_);
        continue;
      }
    }
    dimensions_.push_back({axis.zip.empty() ? axis.key : "zip " + axis.zip, {i}, axis.values.size()});
  }
}

bool Axes::is_asked(std::size_t dimension, const Values& values) const {
  const auto& all = dimensions_[dimension].axes;
  return std::any_of(all.begin(), all.end(), [&](std::size_t i) { return values.contains(axes_[i].key); });
}

Values Axes::values(const Point& point) const {
  std::vector<std::size_t> dimension_of(axes_.size());
  for (std::size_t d = 0; d < dimensions_.size(); ++d)
    for (const auto i : dimensions_[d].axes) dimension_of[i] = d;
  Values out;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const auto& axis = axes_[i];
    if (!searches::is_asked(axis, out)) continue;
    const double at = point[dimension_of[i]];
    out.emplace(axis.key, axis.values.empty() ? value_at(axis, at) : axis.values[static_cast<std::size_t>(at)]);
  }
  return out;
}

Value value_at(const SearchAxis& axis, double place) {
  const Ends ends(axis);
  double value = ends.low + place * (ends.high - ends.low);
  if (axis.logarithmic) value = std::exp(value);
  value = std::clamp(axis.whole ? std::round(value) : nine_digits(value), axis.low, axis.high);
  return axis.whole ? Value(static_cast<std::int64_t>(value)) : Value(value);
}

double settled(const SearchAxis& axis, double place) {
  if (!axis.whole) return place;
  const Ends ends(axis);
  const double value = value_at(axis, place).number();
  return ((axis.logarithmic ? std::log(value) : value) - ends.low) / (ends.high - ends.low);
}

Point random_point(const Axes& axes, const RandomStreams& random, std::int64_t number) {
  Point out;
  for (const auto& dimension : axes.dimensions()) {
    auto stream = random.child(dimension.name).stream(number);
    out.push_back(dimension.rows > 0 ? static_cast<double>(stream.below(static_cast<std::int64_t>(dimension.rows)))
                                     : stream.uniform());
  }
  return out;
}

double normal(RandomStream& random) {
  const double radius = std::sqrt(-2 * std::log(random.uniform()));  // Box and Muller 1958, one of the pair
  return radius * std::cos(2 * std::numbers::pi * random.uniform());
}

}  // namespace xp::searches
