// Checks values of recipes against their fields.
#include <algorithm>
#include <cmath>

#include "schema/checks.h"

namespace xp {
namespace {

using detail::Place;

bool within(const FieldInfo& field, double number) {
  if (!std::isfinite(number)) return false;
  if (field.min && (field.above_min ? number <= *field.min : number < *field.min)) return false;
  return !field.max || !(field.below_max ? number >= *field.max : number > *field.max);
}

/// One pass over a value; `check` is called for what is nested.
struct Checker {
  std::string owner;
  Problems& problems;

  bool wrong(const FieldInfo& field, const Value& value, const Place& place, std::string_view wanted) {
    detail::wrong_type(place, wanted, value, describe(field), problems);
    return false;
  }

  bool range(const FieldInfo& field, double number, const Value& value, const Place& place) {
    if (within(field, number)) return true;
    problems.error("out-of-range", place.text() + " cannot be " + to_text(value), value.span, describe(field));
    return false;
  }

  bool integer(const FieldInfo& field, const Value& value, const Place& place) {
    if (const auto* whole = value.as<std::int64_t>()) return range(field, static_cast<double>(*whole), value, place);
    const auto* real = value.as<double>();
    constexpr double kExact = 9007199254740992.0;  // 2^53
    if (!real || *real != std::floor(*real) || std::abs(*real) >= kExact)
      return wrong(field, value, place, "an integer");
    const auto whole = std::to_string(static_cast<std::int64_t>(*real));
    detail::wrong_type(place, "an integer", value, "write " + whole + " (" + describe(field) + ")", problems);
    return false;
  }

  bool real(const FieldInfo& field, const Value& value, const Place& place) {
    if (value.is_number()) return range(field, value.number(), value, place);
    const auto* table = value.as<Table>();
    if (!table) return wrong(field, value, place, "a number");
    if (field.learnable && (!field.schedulable || detail::looks_learnable(*table)))
      return learnable(field, value, place);
    if (field.schedulable) return ramp(field, value, place);
    const bool meant = table->contains("from") || table->contains("to") || table->contains("until");
    if (!meant) return wrong(field, value, place, "a number");
    problems.error("no-schedule", place.text() + " cannot change while a model trains", value.span, describe(field));
    return false;
  }

  bool learnable(const FieldInfo& field, const Value& value, const Place& place) {
    const auto read = detail::read_learnable(value, place, problems);
    if (!read) return false;
    const auto start = value.as<Table>()->find("start");
    return start == value.as<Table>()->end() || range(field, read->start, start->second, place.key("start"));
  }

  bool ramp(const FieldInfo& field, const Value& value, const Place& place) {
    const auto read = detail::read_ramp(value, place, problems);
    if (!read) return false;
    const auto& table = *value.as<Table>();
    const bool from = range(field, read->from, table.at("from"), place.key("from"));
    return range(field, read->to, table.at("to"), place.key("to")) && from;
  }

  bool choice(const FieldInfo& field, const Value& value, const Place& place) {
    const auto* text = value.as<std::string>();
    if (!text) return wrong(field, value, place, "text");
    if (std::find(field.choices.begin(), field.choices.end(), *text) != field.choices.end()) return true;
    const auto near = nearest(*text, field.choices);
    problems.error("bad-choice", place.text() + " cannot be " + to_text(value), value.span,
                   near ? "did you mean " + backquoted(*near) + "? (" + describe(field) + ")" : describe(field));
    return false;
  }

  bool quantity(const FieldInfo& field, const Value& value, const Place& place) {
    std::optional<Quantity> read;
    if (value.is_number()) {
      read = Quantity{value.number(), Unit::none};
    } else if (const auto* text = value.as<std::string>()) {
      read = parse_quantity(*text);
    } else {
      return wrong(field, value, place, "an amount with a unit");
    }
    const auto& units = field.units;
    if (!read || (!units.empty() && std::find(units.begin(), units.end(), read->unit) == units.end())) {
      problems.error("bad-unit", place.text() + " cannot be " + to_text(value), value.span, example(field));
      return false;
    }
    if (read->amount < 0) return range(FieldInfo{.kind = Kind::quantity, .min = 0.0}, read->amount, value, place);
    return range(field, read->amount, value, place);
  }

  // A quantity's hint shows how one is written, as the unit alone does not.
  static std::string example(const FieldInfo& field) {
    const Unit unit = field.units.empty() ? Unit::tokens : field.units.front();
    const auto text = unit == Unit::factor || unit == Unit::percent
                          ? to_text(Quantity{unit == Unit::factor ? 0.25 : 10, unit})
                      : unit == Unit::none ? std::string("500")
                                           : "20k " + std::string(unit_name(unit));
    return describe(field) + ", such as " + (unit == Unit::none ? text : "\"" + text + "\"");
  }

  bool distribution(const FieldInfo& field, const Value& value, const Place& place) {
    const auto read = detail::read_distribution(value, place, problems);
    if (!read) return false;
    const bool bounded = read->kind == Distribution::Kind::constant || read->kind == Distribution::Kind::uniform;
    if (!bounded) return true;
    return range(field, read->a, value, place) &&
           (read->kind == Distribution::Kind::constant || range(field, read->b, value, place));
  }

  bool list(const FieldInfo& field, const Value& value, const Place& place) {
    const auto& element = field.fields.front();
    const auto* list = value.as<List>();
    if (!list) {
      Problems inner;  // one value stands for a list of one
      if (Checker{owner, inner}.check(element, value, place)) return true;
      if (value.as<Table>() || element.kind == Kind::choice) return check(element, value, place);
      return wrong(field, value, place, "a list");
    }
    bool good = true;
    for (std::size_t i = 0; i < list->size(); ++i) good = check(element, (*list)[i], place.item(i)) && good;
    return good;
  }

  bool table(const FieldInfo& field, const Value& value, const Place& place) {
    const auto* table = value.as<Table>();
    if (!table) return wrong(field, value, place, "a table");
    bool good = true;
    for (const auto& [key, one] : *table) {
      const auto known =
          std::find_if(field.fields.begin(), field.fields.end(), [&](const auto& f) { return f.name == key; });
      if (known == field.fields.end()) {
        report_unknown_key(field.fields, place.key(key).path, one.key, owner, problems);
        good = false;
      } else {
        good = check(*known, one, place.key(key)) && good;
      }
    }
    for (const auto& one : field.fields) {
      if (!one.required || table->contains(one.name)) continue;
      problems.error("missing-key", place.key(one.name).text() + " is missing", value.span, describe(one));
      good = false;
    }
    return good;
  }

  bool any_of(const FieldInfo& field, const Value& value, const Place& place) {
    const FieldInfo* near = nullptr;  // the only alternative of the value's form: its complaints say more
    int forms = 0;
    for (const auto& one : field.fields) {
      Problems inner;
      if (Checker{owner, inner}.check(one, value, place)) return true;
      const auto& list = inner.list();
      const bool other_form =
          list.size() == 1 && list[0].code == "wrong-type" && list[0].message.starts_with(place.text() + " must");
      if (!other_form) near = &one, ++forms;
    }
    if (forms == 1) return check(*near, value, place);
    return wrong(field, value, place, describe(FieldInfo{.kind = Kind::any_of, .fields = field.fields}));
  }

  bool named(const FieldInfo& field, const Value& value, const Place& place, std::string_view wanted) {
    if (value.as<std::string>() || value.as<Table>() || value.as<Reference>()) return true;
    return wrong(field, value, place, wanted);
  }

  bool files(const FieldInfo& field, const Value& value, const Place& place) {
    const auto* list = value.as<List>();
    if (!list) return named(field, value, place, "a path pattern or a list of them");
    for (std::size_t i = 0; i < list->size(); ++i)
      if (!named(field, (*list)[i], place.item(i), "a path pattern")) return false;
    return true;
  }

  bool map(const FieldInfo& field, const Value& value, const Place& place) {
    const auto* table = value.as<Table>();
    if (!table) return wrong(field, value, place, "a table");
    bool good = true;
    for (const auto& [key, one] : *table) good = check(field.fields.front(), one, place.key(key)) && good;
    return good;
  }

  bool check(const FieldInfo& field, const Value& value, const Place& place) {
    const auto* text = value.as<std::string>();
    if (field.nullable && text && *text == "none") return true;
    switch (field.kind) {
      case Kind::boolean: return value.as<bool>() || wrong(field, value, place, "true or false");
      case Kind::integer: return integer(field, value, place);
      case Kind::real: return real(field, value, place);
      case Kind::text: return text || wrong(field, value, place, "text");
      case Kind::choice: return choice(field, value, place);
      case Kind::quantity: return quantity(field, value, place);
      case Kind::distribution: return distribution(field, value, place);
      case Kind::part: return named(field, value, place, "the name of a component or a table with `type`");
      case Kind::model: return named(field, value, place, "the name of a model or a table with `type` or `like`");
      case Kind::artifact: return named(field, value, place, "the name of what makes it");
      case Kind::files: return files(field, value, place);
      case Kind::list: return list(field, value, place);
      case Kind::table: return table(field, value, place);
      case Kind::any_of: return any_of(field, value, place);
      case Kind::anything: return true;
      case Kind::map: return map(field, value, place);
    }
    return false;
  }
};

}  // namespace

bool check_value(const FieldInfo& field, const Value& value, std::string_view owner, Problems& problems) {
  return Checker{std::string(owner), problems}.check(field, value, Place{field.name, std::string(owner)});
}

const FieldInfo* fitting(const FieldInfo& field, const Value& value) {
  if (field.kind != Kind::any_of) return &field;
  for (const auto& one : field.fields) {
    Problems ignored;
    if (check_value(one, value, "", ignored)) return &one;
  }
  return nullptr;
}

}  // namespace xp
