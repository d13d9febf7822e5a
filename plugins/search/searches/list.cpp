#include "axes.h"
#include "base/text.h"
#include "components.h"

namespace xp::searches {
namespace {

/// Trial i takes the i-th value of every axis.
class Listed final : public Search {
 public:
  struct Params {
    static void describe(Fields<Params>&) {}
  };
  explicit Listed(Params) {}

  void start(SearchSpace space) override {
    rows_ = space.axes.empty() ? 1 : static_cast<std::int64_t>(space.axes.front().values.size());
    for (const auto& axis : space.axes) {
      if (axis.values.empty()) refuse(backquoted(axis.key) + " is a range; a list of trials needs its `values`");
      if (static_cast<std::int64_t>(axis.values.size()) != rows_)
        refuse(backquoted(space.axes.front().key) + " has " + count(static_cast<std::size_t>(rows_), "value") +
               " and " + backquoted(axis.key) + " has " + std::to_string(axis.values.size()) +
               "; in a list of trials every axis has a value for each");
    }
    axes_ = Axes(std::move(space.axes));
  }

  std::optional<Trial> propose() override {
    if (finished()) return {};
    const auto row = static_cast<double>(next_);
    return Trial{next_++, axes_.values(Point(axes_.dimensions().size(), row))};
  }

  void tell(const TrialResult&) override {}
  bool finished() const override { return next_ >= rows_; }

 private:
  Axes axes_;
  std::int64_t rows_ = 0, next_ = 0;
};

}  // namespace

void add_list(Registry& registry) {
  registry.add<Listed>("list", "All axes advance together: trial i takes the i-th value of each.");
}

}  // namespace xp::searches
