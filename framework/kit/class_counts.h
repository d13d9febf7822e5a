#pragma once
// What evaluators of classes count; they differ in what has a class.
#include <algorithm>
#include <cstdint>
#include <map>
#include <span>

#include "api/recorder.h"

namespace xp {

/// Right answers by class. Equal scores count against the model, as do labels that training did not have.
class ClassCounts {
 public:
  /// True if the largest score is the label's alone; a negative label is a class without a score.
  bool add(std::span<const double> scores, std::int64_t label) {
    const auto best = predicted(scores, label);
    ++items_, right_ += best == label;
    ++classes_[label].gold, ++classes_[best].predicted, classes_[best].right += best == label;
    return best == label;
  }

  std::int64_t items() const { return items_; }
  std::int64_t items_of(std::int64_t label) const {
    const auto found = classes_.find(label);
    return found == classes_.end() ? 0 : found->second.gold;
  }
  double accuracy() const { return static_cast<double>(right_) / static_cast<double>(items_); }
  /// Share of the most frequent class: the floor.
  double majority() const { return static_cast<double>(most()) / static_cast<double>(items_); }
  /// Accuracy over the majority, of what is possible.
  double normalised() const {
    const auto room = static_cast<double>(items_ - most());
    return room > 0 ? static_cast<double>(right_ - most()) / room : 0.0;
  }
  /// Mean over classes that occur or are predicted of 2 right / (gold + predicted).
  double macro_f1() const {
    double sum = 0;
    for (const auto& [label, n] : classes_)
      sum += 2.0 * static_cast<double>(n.right) / static_cast<double>(n.gold + n.predicted);
    return sum / static_cast<double>(classes_.size());
  }

 private:
  struct Counts {
    std::int64_t gold = 0, predicted = 0, right = 0;
  };

  /// The class with the largest score; one that is not the label, if several are not smaller than the label's.
  static std::int64_t predicted(std::span<const double> scores, std::int64_t label) {
    std::int64_t best = label;
    for (std::int64_t c = 0; c < std::ssize(scores); ++c) {
      if (c == label) continue;
      // Not "greater or equal": a score that is no number must count against the model.
      if (best < 0 || !(scores[static_cast<std::size_t>(c)] < scores[static_cast<std::size_t>(best)])) best = c;
    }
    return best;
  }
  std::int64_t most() const {
    std::int64_t out = 0;
    for (const auto& [label, n] : classes_) out = std::max(out, n.gold);
    return out;
  }

  std::map<std::int64_t, Counts> classes_;
  std::int64_t items_ = 0, right_ = 0;
};

}  // namespace xp
