#pragma once
// Line figures with bands over seeds, as SVG, from studies alone.
#include <string>
#include <vector>

#include "results/spec.h"
#include "results/study.h"

namespace xp {

struct FigurePoint {
  double x = 0, mean = 0, low = 0, high = 0;  ///< low and high: lowest and highest seed
};
struct FigureLine {
  std::string label;
  std::size_t seeds = 0;
  std::size_t colour = 0, dash = 0;  ///< lines of one arm share their colour
  std::vector<FigurePoint> points;   ///< x rising
};

/// A figure with its numbers, ready to be drawn.
struct ResultFigure {
  std::string id, title, x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<FigureLine> lines;
  std::vector<std::string> notes;  ///< what is not in it, and why
};

/// Lines as a plan states them. Seeds are averaged at the x of all of them together, each interpolated linearly,
/// where all have values. Throws Error (Exit::usage) if x is no counter, y no curve of the same stage, or signatures
/// differ.
XP_API ResultFigure build_figure(const FigureSpec& spec, const Study& study);

constexpr double kFigureWidth = 760;
/// The same bytes for the same numbers, everywhere. `width` in CSS pixels; a picture scales as a whole.
XP_API std::string to_svg(const ResultFigure& figure, double width = kFigureWidth);

/// Places for marks that people read easily: 1, 2 or 5 times a power of ten, within [low, high].
XP_API std::vector<double> nice_ticks(double low, double high, int about);
/// Powers of ten within [low, high], with 2 and 5 times them where there are fewer than three, else as nice_ticks.
/// low > 0.
XP_API std::vector<double> log_ticks(double low, double high);

}  // namespace xp
