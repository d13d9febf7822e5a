#include "kit/chain.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace xp {

namespace {

RandomStream stream_of(std::size_t part, const RandomStream& random) { return part ? random.fork(part) : random; }

}  // namespace

void Chain::add(std::string name, std::unique_ptr<Transform> part) {
  for (const auto& other : parts_)
    if (other.name == name) throw Error("two parts of a chain are called " + backquoted(name));
  parts_.push_back({std::move(name), std::move(part)});
}

void Chain::start(const Resources& resources) {
  for (auto& part : parts_) part.transform->start(resources);
}

FieldUse Chain::fields() const {
  FieldUse all;
  std::set<std::string> written;
  for (const auto& part : parts_) {
    const auto use = part.transform->fields();
    for (const auto& [from, to] :
         {std::pair(&use.reads, &all.reads), std::pair(&use.reads_if_there, &all.reads_if_there)})
      for (const auto& name : *from)
        if (!written.contains(name) && std::ranges::find(*to, name) == to->end()) to->push_back(name);
    for (const auto& spec : use.writes) {
      if (!written.insert(spec.name).second)
        throw Error("field " + backquoted(spec.name) + " is written twice, the second time by " +
                    backquoted(part.name));
      all.writes.push_back(spec);
    }
  }
  return all;
}

void Chain::apply(std::vector<Example>& group, RandomStream& random) const {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    auto own = stream_of(i, random);
    parts_[i].transform->apply(group, own);
  }
}

Lengths Chain::lengths(std::int64_t raw, RandomStream random) const {
  Lengths all{raw, 0};
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto own = parts_[i].transform->lengths(all.input, stream_of(i, random));
    all = {own.input, all.target + own.target};
  }
  return all;
}

std::vector<Subscription> Chain::subscriptions() const {
  std::vector<Subscription> all;
  for (const auto& part : parts_)
    for (auto& wish : part.transform->subscriptions()) all.push_back(std::move(wish));
  return all;
}

void Chain::receive(const Feedback& feedback) {
  for (auto& part : parts_)
    for (const auto& wish : part.transform->subscriptions())
      if (wish.topic == feedback.topic) {
        part.transform->receive(feedback);
        break;
      }
}

void Chain::set(std::string_view parameter, double value) {
  for (auto& part : parts_)
    if (part.name.empty())
      part.transform->set(parameter, value);
    else if (parameter.starts_with(part.name + "."))
      part.transform->set(parameter.substr(part.name.size() + 1), value);
}

void Chain::save(State& state) const {
  for (const auto& part : parts_) part.transform->save(state.child(part.name));
}

void Chain::load(const State& state) {
  for (auto& part : parts_) part.transform->load(state.child(part.name));
}

std::unique_ptr<Transform> chained(std::vector<std::unique_ptr<Transform>> before, std::unique_ptr<Transform> own) {
  if (before.empty()) return own;
  auto chain = std::make_unique<Chain>();
  for (std::size_t i = 0; i < before.size(); ++i) chain->add("transform_" + std::to_string(i), std::move(before[i]));
  if (own) chain->add({}, std::move(own));
  return chain;
}

}  // namespace xp
