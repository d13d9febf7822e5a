#pragma once
// Binds a component's Params to recipe keys: declared once, used for checking, manuals, editors, binding and records.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "schema/schema.h"

namespace xp {

class Component;

/// A nested component with the weight that its entry gives it: { type = "mlm", weight = 2.0, ... }.
template <class Interface>
struct Weighted {
  std::string name;  ///< type, with a number if it occurs again: "mlm", "mlm_2"
  double weight = 1;
  std::unique_ptr<Interface> part;
};

/// A nested component under the name that metric paths use: `as` of its entry, else its component's name or type.
template <class Interface>
struct Named {
  std::string name;
  std::unique_ptr<Interface> part;
};

/// A model as a recipe writes it, not yet made.
struct ModelSpec {
  std::string type;  ///< empty: as `like`
  std::string like;  ///< role whose settings are the defaults; empty: none
  Table settings;    ///< laid over those of `like`; "x0.25" is relative to them
};

/// Makes nested components; the registry is one. Keeps schema/ free of plugin/.
class XP_API PartMaker {
 public:
  virtual ~PartMaker();
  /// `table` has `type`, other keys are resolved parameters.
  virtual std::unique_ptr<Component> make_part(std::string_view interface, const Table& table) const = 0;
};

/// What every nested structure of Params binds to: `static void describe(Fields<T>&)`.
template <class P>
class Fields;

namespace detail {

template <class T>
struct is_unique : std::false_type {};
template <class I>
struct is_unique<std::unique_ptr<I>> : std::true_type {
  using type = I;
};
template <class T>
struct is_weighted : std::false_type {};
template <class I>
struct is_weighted<Weighted<I>> : std::true_type {
  using type = I;
};
template <class T>
struct is_named : std::false_type {};
template <class I>
struct is_named<Named<I>> : std::true_type {
  using type = I;
};
template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {
  using type = T;
};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {
  using type = T;
};
template <class T>
concept Described = requires(Fields<T>& f) {
  T::describe(f);
};

XP_API void take(const Value& value, bool& out);
XP_API void take(const Value& value, std::int64_t& out);
XP_API void take(const Value& value, double& out);
XP_API void take(const Value& value, std::string& out);
XP_API void take(const Value& value, Quantity& out);
XP_API void take(const Value& value, Distribution& out);
XP_API void take(const Value& value, Learnable& out);
XP_API void take(const Value& value, ModelSpec& out);
XP_API void take(const Value& value, Reference& out);
XP_API void take(const Value& value, Value& out);
XP_API void take(const Value& value, Table& out);
/// The entry's table without `weight`, which goes to `weight`.
XP_API Table take_weight(const Value& value, double& weight);
/// The entry's table without `as`, which goes to `name`; without one the name is the type.
XP_API Table take_name(const Value& value, std::string& name);

}  // namespace detail

template <class P>
class Fields {
 public:
  /// Returned by add(): what only some fields have. Bounds, choices, units and any_of of a list hold for its
  /// elements.
  class Entry {
   public:
    Entry(Fields& owner, std::size_t index) : owner_(owner), index_(index) {}
    Entry min(double v) { return innermost().min = v, *this; }
    Entry max(double v) { return innermost().max = v, *this; }
    Entry above(double v) { return innermost().min = v, innermost().above_min = true, *this; }
    Entry below(double v) { return innermost().max = v, innermost().below_max = true, *this; }
    Entry required() { return info().required = true, info().fallback.reset(), *this; }
    Entry optional() { return info().required = false, info().fallback.reset(), *this; }
    /// Of a part: the component that is used when the recipe has none of its kind.
    Entry otherwise(Table component) {
      return info().fallback = Value(std::move(component)), info().required = false, *this;
    }
    /// Of a Table field: any names, each value as `element`.
    Entry map_of(FieldInfo element) {
      info().kind = Kind::map, info().fields = {std::move(element)}, info().required = false;
      return *this;
    }
    Entry schedulable() { return info().schedulable = true, *this; }
    Entry choices(std::vector<std::string> names) {
      return innermost().choices = std::move(names), innermost().kind = Kind::choice, *this;
    }
    Entry units(std::vector<Unit> units) { return innermost().units = std::move(units), *this; }
    /// Of an artifact field (Reference or a list of them): which kind it takes; "checkpoint or predictions" is
    /// either.
    Entry artifact(std::string kind) { return innermost().interface = std::move(kind), *this; }
    Entry evaluates() { return innermost().evaluates = true, *this; }
    Entry files() { return info().kind = Kind::files, *this; }
    Entry no_result() { return info().changes_results = false, *this; }
    /// Of a Value field: what the value may be, tried in this order (see the field makers below).
    Entry any_of(std::vector<FieldInfo> kinds) {
      return innermost().kind = Kind::any_of, innermost().fields = std::move(kinds), *this;
    }

   private:
    FieldInfo& info() { return owner_.schema_.fields[index_]; }
    FieldInfo& innermost() {
      FieldInfo* f = &info();
      while (f->kind == Kind::list) f = &f->fields.front();
      return *f;
    }
    Fields& owner_;
    std::size_t index_;
  };

  /// One parameter: its default is the member's initialiser. Types: bool, integer, double, text, Quantity,
  /// Distribution, Learnable, ModelSpec, Reference, Value, Table, a described struct, unique_ptr of an interface,
  /// Weighted of one, and std::vector and std::optional of these.
  template <class T>
  Entry add(T P::*member, std::string name, std::string doc) {
    FieldInfo info = shape<T>(&(defaults_.*member));
    info.name = name, info.doc = std::move(doc);
    bind_.push_back([member, name](P& out, const Table& from, const PartMaker& maker) {
      if (const auto found = from.find(name); found != from.end()) read(found->second, out.*member, maker);
    });
    return push(std::move(info));
  }

  /// A choice that is an enum of the component.
  template <class E>
  requires std::is_enum_v<E> Entry add(E P::*member, std::string name, std::string doc,
                                       std::vector<std::pair<std::string, E>> names) {
    FieldInfo info{.name = name, .kind = Kind::choice, .doc = std::move(doc)};
    for (const auto& [text, value] : names) {
      info.choices.push_back(text);
      if (value == defaults_.*member) info.fallback = Value(text);
    }
    bind_.push_back([member, name, names](P& out, const Table& from, const PartMaker&) {
      const auto found = from.find(name);
      if (found == from.end()) return;
      std::string text;
      detail::take(found->second, text);
      for (const auto& [known, value] : names)
        if (known == text) out.*member = value;
    });
    return push(std::move(info));
  }

  /// "capability" "field" "reserved" ...: what must be there; conditions name fields of this component.
  void needs(std::string what, std::string name, std::vector<Condition> when = {}) {
    schema_.needs.push_back({std::move(what), std::move(name), {}, std::move(when)});
  }
  void gives(std::string what, std::string name, std::string detail = {}, std::vector<Condition> when = {}) {
    schema_.gives.push_back({std::move(what), std::move(name), std::move(detail), std::move(when)});
  }
  void draws() { schema_.draws = true; }

  const Schema& schema() const { return schema_; }
  /// Fills Params from resolved parameters; what is not there keeps its default.
  P bind(const Table& from, const PartMaker& maker) const {
    P out;
    for (const auto& one : bind_) one(out, from, maker);
    return out;
  }

  /// The shape of a type as a field; `value` gives the default, null: none.
  template <class T>
  static FieldInfo shape(const T* value);

  template <class T>
  static void read(const Value& value, T& out, const PartMaker& maker);

 private:
  Entry push(FieldInfo info) {
    schema_.fields.push_back(std::move(info));
    return {*this, schema_.fields.size() - 1};
  }

  P defaults_;
  Schema schema_;
  std::vector<std::function<void(P&, const Table&, const PartMaker&)>> bind_;
};

template <class P>
template <class T>
FieldInfo Fields<P>::shape(const T* value) {
  FieldInfo info;
  const auto keep = [&](auto&& convert) {
    if (value) info.fallback = convert(*value);
  };
  if constexpr (std::is_same_v<T, bool>) {
    info.kind = Kind::boolean, keep([](bool v) { return Value(v); });
  } else if constexpr (std::is_integral_v<T>) {
    info.kind = Kind::integer, keep([](T v) { return Value(static_cast<std::int64_t>(v)); });
  } else if constexpr (std::is_floating_point_v<T>) {
    info.kind = Kind::real, keep([](T v) { return Value(static_cast<double>(v)); });
  } else if constexpr (std::is_same_v<T, std::string>) {
    info.kind = Kind::text, keep([](const T& v) { return Value(v); });
  } else if constexpr (std::is_same_v<T, Quantity>) {
    info.kind = Kind::quantity, keep([](const T& v) { return Value(to_text(v)); });
  } else if constexpr (std::is_same_v<T, Distribution>) {
    info.kind = Kind::distribution, keep([](const T& v) { return Value(v.a); });
  } else if constexpr (std::is_same_v<T, Learnable>) {
    info.kind = Kind::real, info.learnable = true, keep([](const T& v) { return Value(v.start); });
  } else if constexpr (std::is_same_v<T, ModelSpec>) {
    info.kind = Kind::model;
  } else if constexpr (std::is_same_v<T, Reference>) {
    info.kind = Kind::artifact;
  } else if constexpr (std::is_same_v<T, Value> || std::is_same_v<T, Table>) {
    info.kind = Kind::anything;
  } else if constexpr (detail::is_unique<T>::value) {
    info.kind = Kind::part, info.interface = detail::is_unique<T>::type::kInterface, info.nullable = true;
  } else if constexpr (detail::is_weighted<T>::value) {
    info.kind = Kind::part, info.interface = detail::is_weighted<T>::type::kInterface, info.weighted = true;
  } else if constexpr (detail::is_named<T>::value) {
    info.kind = Kind::part, info.interface = detail::is_named<T>::type::kInterface, info.named = true;
  } else if constexpr (detail::is_optional<T>::value) {
    using Inner = typename detail::is_optional<T>::type;
    info = shape<Inner>(value && *value ? &**value : nullptr);
    info.nullable = true;
  } else if constexpr (detail::is_vector<T>::value) {
    using Inner = typename detail::is_vector<T>::type;
    info.kind = Kind::list, info.nullable = true;
    info.fields.push_back(Fields<P>::template shape<Inner>(nullptr));
    info.weighted = info.fields.front().weighted;
    if (value) {
      List list;
      for (const auto& one : *value) {
        auto item = Fields<P>::template shape<Inner>(&one).fallback;
        if (item) list.push_back(std::move(*item));
      }
      info.fallback = Value(std::move(list));
    }
  } else {
    static_assert(detail::Described<T>, "a parameter of this type cannot be described");
    info.kind = Kind::table;
    Fields<T> inner;
    T::describe(inner);
    info.fields = inner.schema().fields;
  }
  return info;
}

template <class P>
template <class T>
void Fields<P>::read(const Value& value, T& out, const PartMaker& maker) {
  const bool none = value.as<std::string>() && *value.as<std::string>() == "none";
  if constexpr (detail::is_unique<T>::value) {
    using Interface = typename detail::is_unique<T>::type;
    if (none) return out.reset();
    Table table;
    detail::take(value, table);
    out.reset(static_cast<Interface*>(maker.make_part(Interface::kInterface, table).release()));
  } else if constexpr (detail::is_weighted<T>::value) {
    using Interface = typename detail::is_weighted<T>::type;
    const Table table = detail::take_weight(value, out.weight);
    detail::take(table.at("type"), out.name);
    out.part.reset(static_cast<Interface*>(maker.make_part(Interface::kInterface, table).release()));
  } else if constexpr (detail::is_named<T>::value) {
    using Interface = typename detail::is_named<T>::type;
    const Table table = detail::take_name(value, out.name);
    out.part.reset(static_cast<Interface*>(maker.make_part(Interface::kInterface, table).release()));
  } else if constexpr (detail::is_optional<T>::value) {
    if (none) return out.reset();
    read(value, out.emplace(), maker);
  } else if constexpr (detail::is_vector<T>::value) {
    using Inner = typename detail::is_vector<T>::type;
    out.clear();
    if (none) return;
    if (const auto* list = value.as<List>()) {
      for (const auto& one : *list) {
        Inner item{};
        read(one, item, maker);
        out.push_back(std::move(item));
      }
    } else {
      Inner item{};  // one value stands for a list of one
      read(value, item, maker);
      out.push_back(std::move(item));
    }
    if constexpr (detail::is_weighted<Inner>::value) {
      std::map<std::string, int> seen;
      for (auto& item : out)
        if (const int n = ++seen[item.name]; n > 1) item.name += "_" + std::to_string(n);
    }
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    std::int64_t whole = 0;
    detail::take(value, whole);
    out = static_cast<T>(whole);
  } else if constexpr (std::is_floating_point_v<T>) {
    double number = 0;
    detail::take(value, number);
    out = static_cast<T>(number);
  } else if constexpr (detail::Described<T>) {
    Fields<T> inner;
    T::describe(inner);
    Table table;
    detail::take(value, table);
    out = inner.bind(table, maker);
  } else {
    detail::take(value, out);
  }
}

/// Makers for Entry::any_of and nested descriptions.
namespace field {
XP_API FieldInfo text(std::vector<std::string> choices = {});
XP_API FieldInfo number(bool whole = false);
XP_API FieldInfo part(std::string interface);
XP_API FieldInfo artifact(std::string kind, bool evaluates = false);
XP_API FieldInfo list(FieldInfo element);
XP_API FieldInfo table(std::vector<FieldInfo> fields);
/// The same field with a name, required or not, inside table().
XP_API FieldInfo named(FieldInfo field, std::string name, std::string doc, bool required = false);
}  // namespace field

}  // namespace xp
