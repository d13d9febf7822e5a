// Figures: the numbers behind lines and bands, the ticks, and SVG that is well-formed whatever the labels are.
#include "results/figures.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "base/text.h"
#include "studies.h"

namespace {

using namespace xp;
using Catch::Approx;
using V = std::vector<double>;

const MetricSignature kCurveBits{"bits/byte", "", "m:test", "1"};

void curve(HandStudy& hand, const std::string& arm, std::int64_t seed,
           const std::vector<std::pair<std::int64_t, double>>& points, const MetricSignature& what = kCurveBits) {
  Curve out{what, {}};
  for (const auto& [tokens, value] : points) {
    CurvePoint point;
    point.at.input_tokens = tokens, point.value = value;
    out.points.push_back(point);
  }
  hand.run(arm, seed).stages["adapt"].curves["bpb.bits"] = out;
}

FigureSpec spec() {
  FigureSpec out;
  out.id = "curves", out.x = "adapt.tokens", out.y = "adapt.bpb.bits";
  return out;
}

TEST_CASE("seeds are averaged at the places of all, where all have values") {
  HandStudy hand;
  curve(hand, "a", 0, {{0, 4.0}, {100, 3.0}, {200, 2.0}});
  curve(hand, "a", 1, {{0, 6.0}, {150, 3.0}, {300, 0.0}});
  const auto figure = build_figure(spec(), hand.study);
  REQUIRE(figure.lines.size() == 1);
  const auto& points = figure.lines[0].points;
  REQUIRE(points.size() == 4);  // 0 100 150 200; seed 0 ends at 200
  CHECK(points[1].x == 100);
  CHECK(points[1].mean == Approx((3.0 + 4.0) / 2));
  CHECK(points[1].low == Approx(3));
  CHECK(points[1].high == Approx(4));
  CHECK(points[2].mean == Approx((2.5 + 3.0) / 2));
  CHECK(points[3].mean == Approx((2.0 + 2.0) / 2));
  CHECK(figure.x_label == "tokens (adapt)");
  CHECK(figure.y_label == "bpb.bits (bits/byte)");

  auto each = spec();
  each.by = "seed";
  CHECK(build_figure(each, hand.study).lines.size() == 2);
  const auto second = build_figure(each, hand.study).lines[1];
  CHECK(second.label == "a, seed 1");
  CHECK(second.colour == 0);  // as the arm's other seed
  CHECK(second.dash == 1);
}

TEST_CASE("long curves are thinned, ends kept") {
  HandStudy hand;
  std::vector<std::pair<std::int64_t, double>> points;
  for (int i = 0; i < 5000; ++i) points.push_back({i, std::sin(i / 500.0)});
  curve(hand, "a", 0, points);
  const auto figure = build_figure(spec(), hand.study);
  CHECK(figure.lines[0].points.size() == 400);
  CHECK(figure.lines[0].points.front().x == 0);
  CHECK(figure.lines[0].points.back().x == 4999);
}

TEST_CASE("what cannot be drawn is said") {
  HandStudy hand;
  curve(hand, "a", 0, {{0, 4.0}, {100, std::nan("")}, {200, 2.0}});
  hand.run("b", 0).stages["adapt"];
  auto figure = build_figure(spec(), hand.study);
  CHECK(figure.lines[0].points.size() == 2);
  CHECK(figure.notes == std::vector<std::string>{"a, seed 0: 1 point cannot be shown",
                                                 "b, seed 0: stage adapt has no curve bpb.bits"});
  auto logged = spec();
  logged.log_x = true;
  figure = build_figure(logged, hand.study);
  CHECK(figure.lines[0].points.size() == 1);  // tokens = 0 has no logarithm
  CHECK(to_svg(figure).find("2 points cannot be shown") != std::string::npos);

  auto wrong = spec();
  wrong.x = "score.tokens";
  CHECK_THROWS_AS(build_figure(wrong, hand.study), Error);
  wrong = spec(), wrong.x = "adapt.bpb.bits";
  CHECK_THROWS_AS(build_figure(wrong, hand.study), Error);
  wrong = spec(), wrong.y = "adapt..bits";
  CHECK_THROWS_AS(build_figure(wrong, hand.study), Error);
  HandStudy mixed;
  curve(mixed, "a", 0, {{0, 1.0}}, {"nats/token", "aaaa", "", ""}),
      curve(mixed, "b", 0, {{0, 1.0}}, {"nats/token", "bbbb", "", ""});
  CHECK_THROWS_AS(build_figure(spec(), mixed.study), Error);
}

TEST_CASE("ticks stand at round numbers within the axis") {
  CHECK(nice_ticks(0, 1, 5) == V{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1});
  CHECK(nice_ticks(0, 200000, 4) == V{0, 50000, 100000, 150000, 200000});
  CHECK(nice_ticks(-3, 7, 5) == V{-2, 0, 2, 4, 6});
  CHECK(nice_ticks(2, 2, 5) == V{2});
  CHECK(nice_ticks(1e-9, 3e-9, 2).size() >= 2);
  CHECK(log_ticks(1, 1000) == V{1, 10, 100, 1000});
  CHECK(log_ticks(1.5, 12).size() == 3);  // 2 5 10
  CHECK(log_ticks(2.1, 4.8).size() >= 3);
  for (const double tick : nice_ticks(0.137, 8.77, 6)) CHECK((tick >= 0.137 && tick <= 8.77));
}

// Every tag that opens closes, in order; no bare & or < in text.
bool well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < svg.size(); ++i) {
    if (svg[i] == '&') {
      const auto end = svg.find(';', i);
      const auto entity = end == std::string::npos ? "" : svg.substr(i, end - i + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;") return false;
    }
    if (svg[i] != '<') continue;
    const auto end = svg.find('>', i);
    if (end == std::string::npos) return false;
    const auto tag = svg.substr(i + 1, end - i - 1);
    if (tag.find('<') != std::string::npos) return false;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    i = end;
  }
  return open.empty();
}

TEST_CASE("SVG is well-formed, escaped, and the same each time") {
  HandStudy hand;
  curve(hand, "a", 0, {{0, 4.0}, {100, 3.0}}), curve(hand, "a", 1, {{0, 4.5}, {100, 3.5}});
  curve(hand, "b", 0, {{0, 2.0}, {100, 1.0}});
  hand.study.arms[0].label = "<b onload=\"x\"> & \x01 日本語 in a label that is far too long for a legend";
  auto with_title = spec();
  with_title.title = "A < B & \"C\"";
  const auto svg = to_svg(build_figure(with_title, hand.study));
  CHECK(well_formed(svg));
  CHECK(svg.find("onload=\"x\"") == std::string::npos);
  CHECK(svg.find('\x01') == std::string::npos);
  CHECK(svg.find("A &lt; B &amp; &quot;C&quot;") != std::string::npos);
  CHECK(svg.find("…</text>") != std::string::npos);
  CHECK(svg == to_svg(build_figure(with_title, hand.study)));
  CHECK(svg.find("nan") == std::string::npos);

  with_title.log_x = with_title.log_y = true;
  CHECK(well_formed(to_svg(build_figure(with_title, hand.study))));
  Study empty;
  const auto none = to_svg(build_figure(spec(), empty));
  CHECK(well_formed(none));
  CHECK(none.find("no data") != std::string::npos);
  HandStudy flat;
  curve(flat, "a", 0, {{0, 0.0}});
  CHECK(to_svg(build_figure(spec(), flat.study)).find("nan") == std::string::npos);
}

TEST_CASE("lines are where their numbers are") {
  HandStudy hand;
  curve(hand, "a", 0, {{0, 1.0}, {50, 2.0}, {100, 1.0}});
  const auto svg = to_svg(build_figure(spec(), hand.study));
  // Left end, middle and right end of the line; the axis has 4 % room above and below.
  const auto start = svg.find("<path d=\"M78.00");
  REQUIRE(start != std::string::npos);
  const auto line = svg.find("stroke-width=\"1.8\"");
  const auto path = svg.substr(svg.rfind("<path d=\"", line) + 9, 60);
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0;
  REQUIRE(std::sscanf(path.c_str(), "M%lf %lfL%lf %lfL%lf %lf", &x1, &y1, &x2, &y2, &x3, &y3) == 6);
  CHECK(x1 == Approx(78));
  CHECK(x2 == Approx((x1 + x3) / 2).margin(0.01));
  CHECK(y1 == y3);
  CHECK(y2 < y1);
  const double height = 440 - 58 - 40;
  CHECK(y1 == Approx(440 - 58 - height * 0.04 / 1.08).margin(0.02));
  CHECK(y2 == Approx(40 + height * 0.04 / 1.08).margin(0.02));
}

}  // namespace
