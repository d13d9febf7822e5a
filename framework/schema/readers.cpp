// Distributions, learnable numbers and ramps from the tables that recipes write.
#include <algorithm>
#include <cmath>

#include "schema/checks.h"
#include "schema/quantity.h"

namespace xp {
namespace detail {
namespace {

constexpr std::string_view kDistributions =
    "3, { uniform = [1, 5] }, { normal = [0, 1] }, { poisson = 3 } or { geometric = 0.2 }";
constexpr std::string_view kLearnable = "0.07 or { learn = true, start = 0.07, min = 0.01, max = 1.0 }";
constexpr std::string_view kRamp = "{ from = 0.0, to = 1.0, shape = \"linear\", until = \"10%\" }";

std::string such_as(std::string_view example) { return "such as " + std::string(example); }

bool out_of_range(const Place& place, const Value& value, const std::string& hint, Problems& problems) {
  problems.error("out-of-range", place.text() + " cannot be " + to_text(value), value.span, hint);
  return false;
}

bool read_number(const Value& value, const Place& place, double& out, Problems& problems) {
  if (!value.is_number()) return wrong_type(place, "a number", value, {}, problems), false;
  out = value.number();
  return std::isfinite(out) || out_of_range(place, value, "a finite number", problems);
}

bool only(const Table& table, const std::vector<std::string>& keys, const Place& place, Problems& problems) {
  bool good = true;
  for (const auto& [key, value] : table) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    const auto near = nearest(key, keys);
    problems.error("unknown-key", backquoted(key) + " is not a key of " + place.text(), value.key,
                   near ? "did you mean " + backquoted(*near) + "?" : "it takes " + listed(keys));
    good = false;
  }
  return good;
}

std::optional<Distribution> read_pair(Distribution::Kind kind, const Value& value, const Place& place,
                                      Problems& problems) {
  const auto* list = value.as<List>();
  if (!list || list->size() != 2) {
    wrong_type(place, "a list of two numbers", value, such_as(kDistributions), problems);
    return {};
  }
  Distribution out{.kind = kind};
  if (!read_number((*list)[0], place.item(0), out.a, problems) ||
      !read_number((*list)[1], place.item(1), out.b, problems))
    return {};
  if (kind == Distribution::Kind::normal && out.b < 0)
    return out_of_range(place.item(1), (*list)[1], "the standard deviation is >= 0", problems), std::nullopt;
  if (kind == Distribution::Kind::uniform && out.a > out.b)
    return out_of_range(place, value, "the lower bound comes first", problems), std::nullopt;
  out.whole = kind == Distribution::Kind::uniform && (*list)[0].as<std::int64_t>() && (*list)[1].as<std::int64_t>();
  constexpr double kWidest = 9007199254740992.0;  // 2^53: beyond, whole numbers are no longer exact
  if (out.whole && (out.b >= kWidest || out.a <= -kWidest))
    return out_of_range(place, value, "whole bounds are below 2^53", problems), std::nullopt;
  return out;
}

std::optional<Distribution> read_single(Distribution::Kind kind, const Value& value, const Place& place,
                                        Problems& problems) {
  Distribution out{.kind = kind};
  if (!read_number(value, place, out.a, problems)) return {};
  constexpr double kLargestMean = 1e6;
  if (kind == Distribution::Kind::poisson && (out.a < 0 || out.a > kLargestMean))
    return out_of_range(place, value, "a mean from 0 to 1000000", problems), std::nullopt;
  if (kind == Distribution::Kind::geometric && (out.a <= 0 || out.a > 1))
    return out_of_range(place, value, "a probability > 0 and <= 1", problems), std::nullopt;
  return out;
}

}  // namespace

void wrong_type(const Place& place, std::string_view wanted, const Value& value, std::string hint,
                Problems& problems) {
  problems.error("wrong-type",
                 place.text() + " must be " + std::string(wanted) + ", not " + std::string(type_name(value)),
                 value.span, std::move(hint));
}

bool looks_learnable(const Table& table) {
  return table.contains("learn") || table.contains("start") || table.contains("min") || table.contains("max");
}

std::optional<Distribution> read_distribution(const Value& value, const Place& place, Problems& problems) {
  using K = Distribution::Kind;
  if (value.is_number()) {
    Distribution out;
    return read_number(value, place, out.a, problems) ? std::optional(out) : std::nullopt;
  }
  const auto* table = value.as<Table>();
  if (!table) {
    wrong_type(place, "a number or a distribution", value, such_as(kDistributions), problems);
    return {};
  }
  if (!only(*table, {"uniform", "normal", "poisson", "geometric"}, place, problems)) return {};
  if (table->size() != 1) {
    wrong_type(place, "one distribution", value, such_as(kDistributions), problems);
    return {};
  }
  const auto& [name, inner] = *table->begin();
  const auto at = place.key(name);
  if (name == "uniform") return read_pair(K::uniform, inner, at, problems);
  if (name == "normal") return read_pair(K::normal, inner, at, problems);
  return read_single(name == "poisson" ? K::poisson : K::geometric, inner, at, problems);
}

std::optional<Learnable> read_learnable(const Value& value, const Place& place, Problems& problems) {
  Learnable out;
  if (value.is_number()) return read_number(value, place, out.start, problems) ? std::optional(out) : std::nullopt;
  const auto* table = value.as<Table>();
  if (!table) {
    wrong_type(place, "a number or a learnable one", value, such_as(kLearnable), problems);
    return {};
  }
  bool good = only(*table, {"learn", "start", "min", "max"}, place, problems);
  for (const auto& [key, one] : *table) {
    double number = 0;
    if (key == "learn") {
      const auto* learn = one.as<bool>();
      if (!learn) wrong_type(place.key(key), "true or false", one, {}, problems), good = false;
      if (learn) out.learn = *learn;
    } else if (key == "start" || key == "min" || key == "max") {
      if (!read_number(one, place.key(key), number, problems)) {
        good = false;
      } else if (key == "start") {
        out.start = number;
      } else {
        (key == "min" ? out.min : out.max) = number;
      }
    }
  }
  if (!good) return {};
  if (out.min && out.max && *out.min > *out.max)
    return out_of_range(place, value, "`min` is at most `max`", problems), std::nullopt;
  const bool starts = table->contains("start");
  if (starts && ((out.min && out.start < *out.min) || (out.max && out.start > *out.max)))
    return out_of_range(place.key("start"), table->find("start")->second, "between `min` and `max`", problems),
           std::nullopt;
  return out;
}

std::optional<Ramp> read_ramp(const Value& value, const Place& place, Problems& problems) {
  static const std::vector<std::string> kShapes{"linear", "cosine", "exponential", "step"};
  const auto* table = value.as<Table>();
  if (!table) {
    wrong_type(place, "a schedule", value, such_as(kRamp), problems);
    return {};
  }
  Ramp out;
  bool good = only(*table, {"from", "to", "shape", "until"}, place, problems);
  for (const std::string_view key : {"from", "to"}) {
    const auto found = table->find(key);
    if (found == table->end()) {
      problems.error("missing-key", backquoted(key) + " of " + place.text() + " is missing", value.span,
                     such_as(kRamp));
      good = false;
    } else if (!read_number(found->second, place.key(key), key == "from" ? out.from : out.to, problems)) {
      good = false;
    }
  }
  if (const auto found = table->find("shape"); found != table->end()) {
    const auto* shape = found->second.as<std::string>();
    if (!shape) {
      wrong_type(place.key("shape"), "text", found->second, "one of " + listed(kShapes), problems);
      good = false;
    } else if (std::find(kShapes.begin(), kShapes.end(), *shape) == kShapes.end()) {
      const auto near = nearest(*shape, kShapes);
      problems.error("bad-choice", place.key("shape").text() + " cannot be " + to_text(found->second),
                     found->second.span,
                     near ? "did you mean " + backquoted(*near) + "?" : "one of " + listed(kShapes));
      good = false;
    } else {
      out.shape = *shape;
    }
  }
  if (const auto found = table->find("until"); found != table->end()) {
    const auto* text = found->second.as<std::string>();
    const auto until = text ? parse_quantity(*text) : std::nullopt;
    if (!until || until->unit == Unit::none || until->unit == Unit::factor || until->amount <= 0) {
      problems.error("bad-unit", place.key("until").text() + " cannot be " + to_text(found->second),
                     found->second.span,
                     "a part or an amount > 0 of training, such as \"10%\", \"2000 steps\" or \"3M tokens\"");
      good = false;
    } else {
      out.until = *until;
    }
  }
  if (good && out.shape == "exponential" && out.from * out.to <= 0)
    good = out_of_range(place, value, "an exponential schedule needs `from` and `to` of the same sign, neither 0",
                        problems);
  return good ? std::optional(out) : std::nullopt;
}

}  // namespace detail

std::optional<Distribution> read_distribution(const Value& value, std::string_view name, Problems& problems) {
  return detail::read_distribution(value, {std::string(name), {}}, problems);
}
std::optional<Learnable> read_learnable(const Value& value, std::string_view name, Problems& problems) {
  return detail::read_learnable(value, {std::string(name), {}}, problems);
}
std::optional<Ramp> read_ramp(const Value& value, std::string_view name, Problems& problems) {
  return detail::read_ramp(value, {std::string(name), {}}, problems);
}

}  // namespace xp
