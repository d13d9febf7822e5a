#include "engine/vocabulary_figure.h"

#include <ATen/ops/linalg_eigh.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "kit/tensors.h"
#include "kit/vocab_transfer.h"

namespace xp {
namespace {

constexpr std::int64_t kMostDots = 1500, kMostRows = 20000;  // drawn of a kind; read for the directions
constexpr int kWidth = 760, kHeight = 560, kMargin = 40, kLegend = 170;

std::vector<std::int64_t> evenly(const std::vector<std::int64_t>& ids, std::int64_t most) {
  const auto n = std::ssize(ids);
  if (n <= most) return ids;
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < most; ++i) out.push_back(ids[static_cast<std::size_t>(i * n / most)]);
  return out;
}

std::vector<std::int64_t> all_below(std::int64_t n) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < n; ++i) out.push_back(i);
  return out;
}

at::Tensor rows_at(const at::Tensor& table, const std::vector<std::int64_t>& ids) {
  return table.detach().index_select(0, tensor_of(ids)).to(at::kDouble);
}

/// The mean of the old rows, the two directions [width, 2], and their shares of the variance.
struct Plane {
  at::Tensor mean, directions;
  std::array<double, 2> shares{};

  explicit Plane(const at::Tensor& table, std::int64_t tokens) {
    const auto rows = rows_at(table, evenly(all_below(tokens), kMostRows));
    mean = rows.mean(0, true);
    const auto centred = rows.sub(mean);
    const auto [values, vectors] = at::linalg_eigh(centred.t().matmul(centred));
    const auto width = values.size(0);
    directions = vectors.narrow(1, width - 2, 2).flip({1}).contiguous();
    const double all = values.clamp_min(0).sum().item<double>();
    for (int k = 0; k < 2; ++k) {
      auto own = directions.select(1, k);
      // Either sign is right; one must be chosen for the figure to be the same again.
      if (own[own.abs().argmax()].item<double>() < 0) own.neg_();
      shares[static_cast<std::size_t>(k)] = all > 0 ? std::max(0.0, values[width - 1 - k].item<double>()) / all : 0;
    }
  }
  at::Tensor of(const at::Tensor& rows) const { return rows.sub(mean).matmul(directions).contiguous(); }
};

struct Dots {
  std::string name, colour;
  at::Tensor places;  // [n, 2]
};

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", x);
  return text;
}

std::string text_at(double x, double y, const std::string& words, const char* more = "") {
  std::string safe;
  for (const char c : printable(words)) safe += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\"" + more + ">" + safe + "</text>\n";
}

std::string drawn(const std::vector<Dots>& kinds, const Plane& plane) {
  std::array<double, 2> low{1e300, 1e300}, high{-1e300, -1e300};
  const auto place = [](const Dots& kind, std::int64_t i, std::size_t k) {
    return kind.places.const_data_ptr<double>()[2 * i + static_cast<std::int64_t>(k)];
  };
  for (const auto& kind : kinds)
    for (std::int64_t i = 0; i < kind.places.size(0); ++i)
      for (std::size_t k = 0; k < 2; ++k)
        low[k] = std::min(low[k], place(kind, i, k)), high[k] = std::max(high[k], place(kind, i, k));
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(kWidth) + "\" height=\"" +
                    std::to_string(kHeight) + "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  const double across = kWidth - 2 * kMargin - kLegend, up = kHeight - 2 * kMargin;
  double legend = kMargin;
  for (const auto& kind : kinds) {
    for (std::int64_t i = 0; i < kind.places.size(0); ++i) {
      const auto share = [&](std::size_t k) {
        return high[k] > low[k] ? (place(kind, i, k) - low[k]) / (high[k] - low[k]) : 0.5;
      };
      out += "<circle cx=\"" + number(kMargin + share(0) * across) + "\" cy=\"" +
             number(kHeight - kMargin - share(1) * up) + "\" r=\"2\" fill=\"" + kind.colour +
             "\" fill-opacity=\"0.6\"/>\n";
    }
    out += "<circle cx=\"" + number(kWidth - kLegend) + "\" cy=\"" + number(legend - 4) + "\" r=\"4\" fill=\"" +
           kind.colour + "\"/>\n" + text_at(kWidth - kLegend + 10, legend, kind.name);
    legend += 18;
  }
  const auto axis = [&](std::size_t k) {
    return "component " + std::to_string(k + 1) + ", " + short_number(100 * plane.shares[k]) + " % of the variance";
  };
  out += text_at(kMargin, kHeight - 12, axis(0));
  out += text_at(-kHeight + kMargin, 16, axis(1), " transform=\"rotate(-90)\"");
  return out + "</svg>\n";
}

}  // namespace

std::string vocabulary_figure(const at::Tensor& old_rows, const at::Tensor& new_rows, const MixPlan& plan) {
  if (old_rows.dim() != 2 || old_rows.size(1) < 2)
    throw Error("a table of one column cannot be drawn on a plane", Exit::usage);
  const Plane plane(old_rows, plan.source_size());
  std::map<std::string, std::vector<std::int64_t>> by_rule;
  for (std::int64_t id = 0; id < plan.target_size(); ++id)
    if (const auto& rule = plan.rows()[static_cast<std::size_t>(id)].rule; rule != kCopyRule)
      by_rule[rule].push_back(id);
  std::vector<Dots> kinds{
      {"old rows", "#bbbbbb", plane.of(rows_at(old_rows, evenly(all_below(plan.source_size()), kMostDots)))}};
  // Okabe and Ito's palette, which readers without some colour tell apart.
  constexpr std::array colours{"#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
  for (const auto& [rule, ids] : by_rule)
    kinds.push_back(
        {rule, colours[(kinds.size() - 1) % colours.size()], plane.of(rows_at(new_rows, evenly(ids, kMostDots)))});
  return drawn(kinds, plane);
}

}  // namespace xp
