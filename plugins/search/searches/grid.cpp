#include <algorithm>
#include <cmath>

#include "axes.h"
#include "base/text.h"
#include "components.h"

namespace xp::searches {
namespace {

/// Every combination of the axes' values once, the last axis fastest. Axes that are not asked add no combinations.
class Grid final : public Search {
 public:
  struct Params {
    std::int64_t steps = 0;
    static void describe(Fields<Params>& f) {
      f.add(&Params::steps, "steps",
            "Points of a range, both ends included, evenly spaced (their logarithms where it is logarithmic); 0: "
            "ranges are refused.")
          .min(0)
          .max(1000);
    }
  };
  explicit Grid(Params params) : p_(params) {
    if (p_.steps == 1) refuse("a range has two ends, which `steps` = 1 cannot hold; write 0 or at least 2");
  }

  void start(SearchSpace space) override {
    for (auto& axis : space.axes)
      if (axis.values.empty()) axis.values = points(axis);
    axes_ = Axes(std::move(space.axes));
    rows_.assign(axes_.dimensions().size(), 0);
    set_reach();
  }

  std::optional<Trial> propose() override {
    if (finished()) return {};
    Trial out{number_++, axes_.values(Point(rows_.begin(), rows_.end()))};
    if (rows_.empty()) finished_ = true;
    if (!finished_) advance(rows_.size() - 1);
    return out;
  }

  void tell(const TrialResult&) override {}
  bool finished() const override { return finished_; }

 private:
  List points(const SearchAxis& axis) const {
    if (p_.steps == 0)
      refuse(
          backquoted(axis.key) +
          " is a range, of which a grid has no points; write `values`, give the grid `steps`, or search at random");
    auto plain = axis;
    plain.whole = false;  // the ends are points themselves, without half a step around them
    List out;
    for (std::int64_t i = 0; i < p_.steps; ++i) {
      const double place = static_cast<double>(i) / static_cast<double>(p_.steps - 1);
      const double value = i == 0 ? axis.low : place == 1 ? axis.high : value_at(plain, place).number();
      if (axis.whole)
        out.emplace_back(std::llround(value));
      else
        out.emplace_back(value);
    }
    return out;
  }

  /// Up to which dimension all lies that decides whether the axes of one are asked.
  void set_reach() {
    const auto& all = axes_.dimensions();
    std::map<std::string, std::size_t> of_key;
    reach_.assign(all.size(), 0);
    std::vector<std::size_t> place(axes_.list().size());
    for (std::size_t d = 0; d < all.size(); ++d)
      for (const auto i : all[d].axes) place[i] = d;
    for (std::size_t i = 0; i < axes_.list().size(); ++i) {
      const auto& axis = axes_.list()[i];
      std::size_t reach = place[i];
      for (const auto& condition : axis.when)
        if (const auto found = of_key.find(condition.key); found != of_key.end())
          reach = std::max(reach, found->second);
      of_key[axis.key] = reach;
      reach_[place[i]] = std::max(reach_[place[i]], reach);
    }
  }

  /// The next combination with another row in this dimension or an earlier one, passing over those that were there.
  void advance(std::size_t dimension) {
    for (auto at = std::optional(dimension); at; at = repeated()) {
      std::fill(rows_.begin() + static_cast<std::ptrdiff_t>(*at) + 1, rows_.end(), 0);
      while (++rows_[*at] == axes_.dimensions()[*at].rows) {
        rows_[*at] = 0;
        if ((*at)-- == 0) {
          finished_ = true;
          return;
        }
      }
    }
  }

  /// Where an earlier row of a dimension gives the same trial: the dimension up to which this is so for all others.
  std::optional<std::size_t> repeated() const {
    const auto values = axes_.values(Point(rows_.begin(), rows_.end()));
    for (std::size_t d = 0; d < rows_.size(); ++d)
      for (std::size_t row = 0; row < rows_[d]; ++row)
        if (is_same_row(d, row, values)) return reach_[d];
    return {};
  }

  bool is_same_row(std::size_t dimension, std::size_t row, const Values& values) const {
    const auto& all = axes_.dimensions()[dimension].axes;
    return std::all_of(all.begin(), all.end(), [&](std::size_t i) {
      const auto& axis = axes_.list()[i];
      return !values.contains(axis.key) || axis.values[row] == axis.values[rows_[dimension]];
    });
  }

  Params p_;
  Axes axes_;
  std::vector<std::size_t> rows_, reach_;
  std::int64_t number_ = 0;
  bool finished_ = false;
};

}  // namespace

void add_grid(Registry& registry) { registry.add<Grid>("grid", "Every combination of the axes' values."); }

}  // namespace xp::searches
