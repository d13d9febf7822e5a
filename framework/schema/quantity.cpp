#include "schema/quantity.h"

#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/text.h"

namespace xp {
namespace {

struct UnitSpelling {
  std::string_view text;
  Unit unit;
  double scale = 1;
};

// The first spelling of a unit is its name.
constexpr std::array kUnitSpellings{
    UnitSpelling{"tokens", Unit::tokens},
    UnitSpelling{"token", Unit::tokens},
    UnitSpelling{"supervised tokens", Unit::supervised},
    UnitSpelling{"supervised token", Unit::supervised},
    UnitSpelling{"steps", Unit::steps},
    UnitSpelling{"step", Unit::steps},
    UnitSpelling{"epochs", Unit::epochs},
    UnitSpelling{"epoch", Unit::epochs},
    UnitSpelling{"items", Unit::items},
    UnitSpelling{"item", Unit::items},
    UnitSpelling{"documents", Unit::documents},
    UnitSpelling{"document", Unit::documents},
    UnitSpelling{"seconds", Unit::seconds},
    UnitSpelling{"second", Unit::seconds},
    UnitSpelling{"sec", Unit::seconds},
    UnitSpelling{"s", Unit::seconds},
    UnitSpelling{"minutes", Unit::seconds, 60},
    UnitSpelling{"minute", Unit::seconds, 60},
    UnitSpelling{"min", Unit::seconds, 60},
    UnitSpelling{"hours", Unit::seconds, 3600},
    UnitSpelling{"hour", Unit::seconds, 3600},
    UnitSpelling{"h", Unit::seconds, 3600},
    UnitSpelling{"days", Unit::seconds, 86400},
    UnitSpelling{"day", Unit::seconds, 86400},
    UnitSpelling{"flops", Unit::flops},
    UnitSpelling{"flop", Unit::flops},
    UnitSpelling{"bytes", Unit::bytes},
    UnitSpelling{"byte", Unit::bytes},
    UnitSpelling{"B", Unit::bytes},
    UnitSpelling{"kB", Unit::bytes, 1e3},
    UnitSpelling{"MB", Unit::bytes, 1e6},
    UnitSpelling{"GB", Unit::bytes, 1e9},
    UnitSpelling{"TB", Unit::bytes, 1e12},
    UnitSpelling{"%", Unit::percent},
};

double multiplier(char c) {
  switch (c) {
    case 'k': return 1e3;
    case 'M': return 1e6;
    case 'G': return 1e9;
    case 'T': return 1e12;
    default: return 0;
  }
}

// A number without a sign at the start; what follows stays in `text`.
std::optional<double> number(std::string_view& text) {
  if (text.empty() || ((text[0] < '0' || text[0] > '9') && text[0] != '.')) return {};
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || !std::isfinite(value)) return {};
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  return value;
}

const UnitSpelling* spelled(std::string_view text) {
  for (const auto& unit : kUnitSpellings)
    if (unit.text == text) return &unit;
  return nullptr;
}

std::string amount_text(double amount) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (amount == std::floor(amount) && std::abs(amount) < kExact)
    return std::to_string(static_cast<std::int64_t>(amount));
  return number_text(amount);
}

double poisson(double mean, RandomStream& random) {
  // Knuth (1997), The Art of Computer Programming 2, 3.4.1: multiply uniform numbers until e^-mean. In parts, as a
  // sum of Poisson numbers is one and e^-mean would vanish for a large mean.
  constexpr double kPart = 16;
  double total = 0;
  for (double left = mean; left > 0; left -= kPart) {
    const double floor = std::exp(-std::min(left, kPart));
    for (double product = random.uniform(); product > floor; product *= random.uniform()) total += 1;
  }
  return total;
}

}  // namespace

std::string_view unit_name(Unit unit) {
  if (unit == Unit::factor) return "x";
  for (const auto& one : kUnitSpellings)
    if (one.unit == unit) return one.text;
  return "";
}

std::optional<Quantity> parse_quantity(std::string_view text) {
  text = trim(text);
  if (text.starts_with('x')) {
    text.remove_prefix(1);
    const auto factor = number(text);
    if (!factor || !text.empty()) return {};
    return Quantity{*factor, Unit::factor};
  }
  const auto amount = number(text);
  if (!amount) return {};
  if (text.empty()) return Quantity{*amount, Unit::none};
  double scale = 1;
  const auto* unit = spelled(trim(text));
  if (!unit) {
    scale = multiplier(text[0]);
    if (scale == 0) return {};
    text.remove_prefix(1);
    if (text.empty())
      return std::isfinite(*amount * scale) ? std::optional(Quantity{*amount * scale, Unit::none}) : std::nullopt;
    unit = spelled(trim(text));
    if (!unit || unit->unit == Unit::percent) return {};
  }
  const double value = *amount * scale * unit->scale;
  if (!std::isfinite(value)) return {};
  return Quantity{value, unit->unit};
}

std::string to_text(const Quantity& quantity) {
  const auto amount = amount_text(quantity.amount);
  switch (quantity.unit) {
    case Unit::none: return amount;
    case Unit::factor: return "x" + amount;
    case Unit::percent: return amount + "%";
    default: return amount + " " + std::string(unit_name(quantity.unit));
  }
}

double Distribution::draw(RandomStream& random) const {
  switch (kind) {
    case Kind::constant: return a;
    case Kind::uniform:
      if (whole) return a + static_cast<double>(random.below(static_cast<std::int64_t>(b - a) + 1));
      return a + (b - a) * random.uniform();
    case Kind::normal: {
      const double radius = std::sqrt(-2 * std::log(random.uniform()));  // Box and Muller (1958)
      return a + b * radius * std::cos(2 * std::numbers::pi * random.uniform());
    }
    case Kind::poisson: return poisson(a, random);
    case Kind::geometric:
      if (a >= 1) return 1;
      return std::max(1.0, std::ceil(std::log(random.uniform()) / std::log1p(-a)));
  }
  return a;
}

double Distribution::mean() const {
  switch (kind) {
    case Kind::uniform: return (a + b) / 2;
    case Kind::geometric: return 1 / a;
    default: return a;
  }
}

double Ramp::at(double progress) const {
  if (!(progress > 0)) return from;
  if (progress >= 1) return to;
  if (shape == "cosine") return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  if (shape == "exponential") return from * std::pow(to / from, progress);
  if (shape == "step") return from;
  return from + (to - from) * progress;
}

}  // namespace xp
