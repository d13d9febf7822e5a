#pragma once
// What the searches share: axes as dimensions, points of them as values, conditions.
#include <string_view>

#include "api/search.h"

namespace xp::searches {

/// What is chosen at once: one axis, or the axes of one `zip`.
struct Dimension {
  std::string name;               ///< names its random streams
  std::vector<std::size_t> axes;  ///< indices, rising
  std::size_t rows = 0;           ///< values of each axis; 0: a range
};

/// One number for each dimension: the row, or the place in a range from 0 to 1.
using Point = std::vector<double>;
using Values = std::map<std::string, Value>;

/// The axes of a study; a value.
class Axes {
 public:
  Axes() = default;
  /// Throws Error (Exit::usage) for a `zip` with a range or lists of different lengths.
  explicit Axes(std::vector<SearchAxis> axes);

  const std::vector<SearchAxis>& list() const { return axes_; }
  const std::vector<Dimension>& dimensions() const { return dimensions_; }  ///< in the order of their first axes
  bool is_asked(std::size_t dimension, const Values& values) const;         ///< one of its axes at least
  Values values(const Point& point) const;                                  ///< without the keys that are not asked

 private:
  std::vector<SearchAxis> axes_;
  std::vector<Dimension> dimensions_;
};

/// True if numbers are equal, or the values are.
bool same(const Value& a, const Value& b);
bool is_asked(const SearchAxis& axis, const Values& values);

/// The value at a place from 0 to 1 of a range. Whole numbers have shares of equal width (of the logarithm where the
/// axis is logarithmic); others have nine digits, so that the last bit of a mathematical library changes nothing.
Value value_at(const SearchAxis& axis, double place);
/// The middle of a whole number's share; of other ranges the place itself.
double settled(const SearchAxis& axis, double place);

/// Every dimension drawn by itself, from streams of the number and the dimension's name.
Point random_point(const Axes& axes, const RandomStreams& random, std::int64_t number);
/// From the standard normal distribution.
double normal(RandomStream& random);

/// True if the goal can be compared.
inline bool is_good(const TrialResult& result) { return result.done && result.goal == result.goal; }
/// Without axes there is one trial to make.
inline std::int64_t most_trials(const Axes& axes, std::int64_t trials) { return axes.list().empty() ? 1 : trials; }

/// The index of a trial that is told; throws Error if there were only `proposed`.
std::size_t proposed_index(std::int64_t number, std::int64_t proposed);
[[noreturn]] void refuse(const std::string& text);  ///< Error (Exit::usage)

}  // namespace xp::searches
