#include "kit/one_of.h"

#include <algorithm>

#include "base/text.h"

namespace xp {
namespace {

// The first part inherits the stream.
RandomStream stream_of_part(std::size_t part, const RandomStream& random) {
  return part ? random.fork(part) : random;
}

std::size_t length_of(const Values& values) {
  return std::visit(
      [](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, Strings>)
          return v.size();
        else
          return v.data.size();
      },
      values);
}

/// What an item has in a column that its part does not write: padding as long as the axis is, or nothing. `made` is
/// what the part wrote.
Values blank(const Example& item, const FieldSpec& spec, const std::vector<FieldSpec>& made) {
  if (spec.axis == "strings") return Strings{""};
  if (spec.axis == "ragged") return Ints{};
  if (spec.axis.empty()) return Ints{{static_cast<std::int64_t>(spec.pad)}};
  const auto mate = std::find_if(made.begin(), made.end(), [&](const auto& own) { return own.axis == spec.axis; });
  const std::string name = mate != made.end() ? mate->name : spec.axis == "input" ? "ids" : "";
  const auto found = item.fields.find(name);
  if (found == item.fields.end()) return Ints{};
  return Ints{std::vector<std::int64_t>(length_of(found->second), static_cast<std::int64_t>(spec.pad))};
}

std::string with_article(const std::string& name) {
  return (std::string_view("aeiou").find(name.front()) == std::string_view::npos ? "a " : "an ") + name;
}

}  // namespace

OneOf::OneOf(const std::string& name, std::vector<Part> parts, Draw draw)
    : OneOf(name, std::move(parts), std::move(draw), {}) {}
OneOf::OneOf(const std::string& name, std::vector<Part> parts, Turn turn)
    : OneOf(name, std::move(parts), {}, std::move(turn)) {}

OneOf::OneOf(const std::string& name, std::vector<Part> parts, Draw draw, Turn turn)
    : term_(name + ".term"),
      step_(name + ".step"),
      parts_(std::move(parts)),
      draw_(std::move(draw)),
      turn_(std::move(turn)),
      turns_(parts_.size()) {
  for (const auto& part : parts_)
    if (part.transform) add(part.transform->fields());
  for (const auto& spec : use_.writes)
    if (spec.name == term_)
      throw Error(with_article(name) + " is a term of " + with_article(name) +
                  "; write its terms into the outer one");
  use_.writes.push_back({term_, "", 0});
  if (turn_) now_ = turn_(turns_);
}

void OneOf::add(const FieldUse& more) {
  const auto merge = [](Strings& to, const Strings& from) {
    for (const auto& name : from)
      if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
  };
  merge(use_.reads, more.reads), merge(use_.reads_if_there, more.reads_if_there);
  for (const auto& spec : more.writes) {
    const auto same = [&](const auto& other) { return other.name == spec.name; };
    if (std::none_of(use_.writes.begin(), use_.writes.end(), same)) use_.writes.push_back(spec);
  }
}

std::set<std::string> OneOf::foreign(std::size_t part) const {
  std::set<std::string> out;
  for (const auto& other : parts_)
    if (other.transform)
      for (const auto& spec : other.transform->fields().writes) out.insert(spec.name);
  if (!parts_.at(part).transform) return out;
  const auto own = parts_[part].transform->fields();
  for (const auto& spec : own.writes) out.erase(spec.name);
  for (const auto& name : own.reads) out.erase(name);  // the data have it too
  return out;
}

void OneOf::start(const Resources& resources) {
  for (auto& part : parts_)
    if (part.transform) part.transform->start(resources);
}

Lengths OneOf::lengths(std::size_t part, std::int64_t raw, const RandomStream& random) const {
  const auto& transform = parts_[part].transform;
  return transform ? transform->lengths(raw, stream_of_part(part, random)) : Lengths{raw, 0};
}

Lengths OneOf::lengths(std::int64_t raw, RandomStream random) const {
  if (draw_) return lengths(draw_(random), raw, random);  // the draw that apply will make
  Lengths all;                                            // a text is cut before it is known whose turn it will be
  for (std::size_t k = 0; k < parts_.size(); ++k) {
    if (!parts_[k].serves) continue;
    const auto own = lengths(k, raw, random);
    all = {std::max(all.input, own.input), std::max(all.target, own.target)};
  }
  return all;
}

void OneOf::apply(std::vector<Example>& group, RandomStream& random) const {
  const auto k = draw_ ? draw_(random) : now_;
  const auto& transform = parts_[k].transform;
  auto stream = stream_of_part(k, random);
  if (transform) transform->apply(group, stream);
  const auto made = transform ? transform->fields().writes : std::vector<FieldSpec>{};
  for (auto& item : group) {
    item.fields[term_] = Ints{{static_cast<std::int64_t>(k)}};
    for (const auto& spec : use_.writes)
      if (!item.fields.contains(spec.name)) item.fields[spec.name] = blank(item, spec, made);
  }
}

std::vector<Subscription> OneOf::subscriptions() const {
  std::vector<Subscription> all;
  if (turn_) all.push_back({step_, 1, {}});
  for (const auto& part : parts_)
    if (part.transform)
      for (auto& wish : part.transform->subscriptions()) all.push_back(std::move(wish));
  return all;
}

void OneOf::receive(const Feedback& feedback) {
  if (turn_ && feedback.topic == step_)  // a step of several micro-batches tells so several times
    while (batch_ <= feedback.step) next_turn();
  for (auto& part : parts_) {
    if (!part.transform) continue;
    const auto wishes = part.transform->subscriptions();
    if (std::any_of(wishes.begin(), wishes.end(), [&](const auto& w) { return w.topic == feedback.topic; }))
      part.transform->receive(feedback);
  }
}

void OneOf::set(std::string_view parameter, double value) {
  for (auto& part : parts_)
    if (part.transform && parameter.starts_with(part.name + "."))
      part.transform->set(parameter.substr(part.name.size() + 1), value);
}

void OneOf::save(State& state) const {
  state.set("batch", Ints{{batch_}});
  for (const auto& part : parts_)
    if (part.transform) part.transform->save(state.child(part.name));
}

void OneOf::load(const State& state) {
  const auto batch = state.ints("batch").data.at(0);
  std::fill(turns_.begin(), turns_.end(), 0), batch_ = 0;
  if (turn_) now_ = turn_(turns_);
  while (turn_ && batch_ < batch) next_turn();
  for (auto& part : parts_)
    if (part.transform) part.transform->load(state.child(part.name));
}

void OneOf::next_turn() { ++turns_[now_], ++batch_, now_ = turn_(turns_); }

}  // namespace xp
