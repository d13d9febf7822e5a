// Figures as SVG text.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "results/figures.h"
#include "results/markup.h"
#include "results/tables.h"

namespace xp {
namespace {

using detail::escaped;
using detail::fixed;

constexpr double kWidth = kFigureWidth, kHeight = 440, kLeft = 78, kTop = 40, kBottom = 58, kGap = 16;
constexpr double kLegendLine = 18;
constexpr double kCharacter = 6.6;  // width of a character at the size of labels
constexpr std::size_t kMostLabel = 32;
// Okabe and Ito's colours, which people with any colour vision tell apart; dashes tell the next rounds apart.
constexpr std::array<std::string_view, 7> kColours{"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                   "#E69F00", "#56B4E9", "#000000"};
constexpr std::array<std::string_view, 4> kDashes{"", "6 3", "2 3", "8 3 2 3"};

std::string clipped(const std::string& label) {
  return display_width(label) > kMostLabel ? utf8_slice(label, 0, kMostLabel - 1) + "…" : label;
}

std::string shape(const std::string& name, const std::vector<std::pair<std::string, std::string>>& attributes,
                  const std::string& content = "") {
  std::string out = "<" + name;
  for (const auto& [key, value] : attributes) out += " " + key + "=\"" + value + "\"";
  return out + (content.empty() ? "/>\n" : ">" + content + "</" + name + ">\n");
}

std::string label(double x, double y, const std::string& anchor, std::string_view text,
                  const std::string& more = "") {
  return "<text x=\"" + fixed(x) + "\" y=\"" + fixed(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" +
         escaped(text) + "</text>\n";
}

struct Axis {
  double low = 0, high = 1;
  bool log = false;

  double place(double value) const {
    return log ? (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low))
               : (value - low) / (high - low);
  }
  std::vector<double> ticks(int about) const { return log ? log_ticks(low, high) : nice_ticks(low, high, about); }
};

Axis axis_over(const std::vector<double>& values, bool log, bool pad) {
  Axis axis{0, 1, log};
  if (values.empty()) return log ? Axis{1, 10, true} : axis;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  axis.low = *low, axis.high = *high;
  if (axis.low == axis.high) {
    const double room = log ? 0 : axis.low == 0 ? 1 : std::abs(axis.low) * 0.05;
    axis.low = log ? axis.low / 2 : axis.low - room, axis.high = log ? axis.high * 2 : axis.high + room;
  } else if (pad) {
    const double room = log ? std::pow(axis.high / axis.low, 0.04) : (axis.high - axis.low) * 0.04;
    axis.low = log ? axis.low / room : axis.low - room, axis.high = log ? axis.high * room : axis.high + room;
  }
  return axis;
}

class Drawing {
 public:
  explicit Drawing(const ResultFigure& figure) : figure_(figure) {
    std::vector<double> xs, ys;
    std::size_t longest = 0;
    for (const auto& line : figure.lines) {
      longest = std::max(longest, terminal_width(clipped(line.label)));
      for (const auto& point : line.points) xs.push_back(point.x), ys.push_back(point.low), ys.push_back(point.high);
    }
    x_ = axis_over(xs, figure.log_x, false), y_ = axis_over(ys, figure.log_y, true);
    right_ = kWidth - kGap - (longest == 0 ? 0 : 34 + kCharacter * static_cast<double>(longest));
    height_ = std::max(kHeight + 15 * static_cast<double>(footer().size()),
                       kTop + kLegendLine * static_cast<double>(figure.lines.size()) + kGap);
  }

  std::string svg(double width) {
    out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + fixed(width) + "\" height=\"" +
           fixed(height_ * width / kWidth) + "\" viewBox=\"0 0 " + fixed(kWidth) + " " + fixed(height_) +
           "\" font-family=\"sans-serif\" font-size=\"12\">\n";
    out_ += "<title>" + escaped(figure_.title.empty() ? figure_.id : figure_.title) + "</title>\n";
    out_ += "<rect class=\"paper\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    out_ += label((kLeft + right_) / 2, 22, "middle", figure_.title.empty() ? figure_.id : figure_.title,
                  " font-size=\"15\"");
    axes();
    for (std::size_t i = 0; i < figure_.lines.size(); ++i) band(i);
    for (std::size_t i = 0; i < figure_.lines.size(); ++i) line(i);
    legend();
    const auto notes = footer();
    for (std::size_t i = 0; i < notes.size(); ++i)
      out_ += label(kLeft, kHeight - 2 + 15 * static_cast<double>(i), "start", notes[i],
                    " font-size=\"10\" fill=\"#555555\"");
    return out_ + "</svg>\n";
  }

 private:
  double px(double x) const { return kLeft + x_.place(x) * (right_ - kLeft); }
  double py(double y) const { return kHeight - kBottom - y_.place(y) * (kHeight - kBottom - kTop); }

  std::vector<std::string> footer() const {
    std::vector<std::string> out;
    const bool bands =
        std::any_of(figure_.lines.begin(), figure_.lines.end(), [](auto& line) { return line.seeds > 1; });
    if (bands) out.push_back("Lines: mean over seeds. Bands: lowest to highest seed.");
    constexpr std::size_t kMostNotes = 4;
    for (std::size_t i = 0; i < std::min(figure_.notes.size(), kMostNotes); ++i) out.push_back(figure_.notes[i]);
    if (figure_.notes.size() > kMostNotes)
      out.push_back("and " + count(figure_.notes.size() - kMostNotes, "more note"));
    return out;
  }

  void axes() {
    const double bottom = kHeight - kBottom;
    for (const double tick : x_.ticks(6)) {
      out_ += shape("line", {{"x1", fixed(px(tick))},
                             {"x2", fixed(px(tick))},
                             {"y1", fixed(kTop)},
                             {"y2", fixed(bottom)},
                             {"stroke", "#e5e5e5"}});
      out_ += label(px(tick), bottom + 17, "middle", short_number(tick));
    }
    for (const double tick : y_.ticks(6)) {
      out_ += shape("line", {{"x1", fixed(kLeft)},
                             {"x2", fixed(right_)},
                             {"y1", fixed(py(tick))},
                             {"y2", fixed(py(tick))},
                             {"stroke", "#e5e5e5"}});
      out_ += label(kLeft - 7, py(tick) + 4, "end", short_number(tick));
    }
    out_ += shape("path", {{"d", "M" + fixed(kLeft) + " " + fixed(kTop) + "V" + fixed(bottom) + "H" + fixed(right_)},
                           {"fill", "none"},
                           {"stroke", "#333333"}});
    out_ += label((kLeft + right_) / 2, bottom + 37, "middle", figure_.x_label);
    const double middle = (kTop + bottom) / 2;
    out_ += label(18, middle, "middle", figure_.y_label, " transform=\"rotate(-90 18.00 " + fixed(middle) + ")\"");
    if (figure_.lines.empty()) out_ += label((kLeft + right_) / 2, middle, "middle", "no data");
  }

  std::string_view colour(std::size_t i) const { return kColours[figure_.lines[i].colour % kColours.size()]; }

  void band(std::size_t i) {
    const auto& line = figure_.lines[i];
    if (line.seeds < 2) return;
    std::string path;
    for (const auto& point : line.points)
      path += (path.empty() ? "M" : "L") + fixed(px(point.x)) + " " + fixed(py(point.high));
    for (auto point = line.points.rbegin(); point != line.points.rend(); ++point)
      path += "L" + fixed(px(point->x)) + " " + fixed(py(point->low));
    out_ += shape(
        "path", {{"d", path + "Z"}, {"fill", std::string(colour(i))}, {"fill-opacity", "0.16"}, {"stroke", "none"}});
  }

  std::vector<std::pair<std::string, std::string>> stroke(std::size_t i) const {
    std::vector<std::pair<std::string, std::string>> out{
        {"fill", "none"}, {"stroke", std::string(colour(i))}, {"stroke-width", "1.8"}, {"stroke-linejoin", "round"}};
    const auto& line = figure_.lines[i];
    const auto dash = kDashes[(line.colour / kColours.size() + line.dash) % kDashes.size()];
    if (!dash.empty()) out.emplace_back("stroke-dasharray", dash);
    return out;
  }

  void line(std::size_t i) {
    const auto& points = figure_.lines[i].points;
    std::string path;
    for (const auto& point : points)
      path += (path.empty() ? "M" : "L") + fixed(px(point.x)) + " " + fixed(py(point.mean));
    auto attributes = stroke(i);
    attributes.insert(attributes.begin(), {"d", path});
    out_ += shape("path", attributes);
    constexpr std::size_t kMostMarks = 24;  // more would hide the line
    if (points.size() > kMostMarks) return;
    for (const auto& point : points)
      out_ += shape("circle", {{"cx", fixed(px(point.x))},
                               {"cy", fixed(py(point.mean))},
                               {"r", "2.6"},
                               {"fill", std::string(colour(i))}});
  }

  void legend() {
    for (std::size_t i = 0; i < figure_.lines.size(); ++i) {
      const double y = kTop + 10 + kLegendLine * static_cast<double>(i), x = right_ + 10;
      auto attributes = stroke(i);
      attributes.insert(attributes.begin(), {"d", "M" + fixed(x) + " " + fixed(y) + "H" + fixed(x + 18)});
      out_ += shape("path", attributes);
      out_ += label(x + 24, y + 4, "start", clipped(figure_.lines[i].label));
    }
  }

  const ResultFigure& figure_;
  Axis x_, y_;
  double right_ = 0, height_ = 0;
  std::string out_;
};

}  // namespace

std::string to_svg(const ResultFigure& figure, double width) { return Drawing(figure).svg(width); }

}  // namespace xp
