#include "api/state.h"

#include "api/state_impl.h"
#include "base/text.h"

namespace xp {
namespace {

template <class Map>
Strings keys(const Map& map) {
  Strings names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

template <class Wanted>
const Wanted& kind_of(const Values& values, std::string_view name, std::string_view kind) {
  if (const auto* wanted = std::get_if<Wanted>(&values)) return *wanted;
  throw Error("values " + backquoted(name) + " of the state are not " + std::string(kind));
}

}  // namespace

State::State() : impl_(std::make_unique<Impl>()) {}
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

void State::set(std::string_view name, Values values) {
  impl_->tensors.erase(std::string(name));
  impl_->values.insert_or_assign(std::string(name), std::move(values));
}

bool State::has(std::string_view name) const {
  return impl_->values.contains(name) || impl_->tensors.contains(name) || impl_->children.contains(name);
}

const Values& State::values(std::string_view name) const {
  const auto found = impl_->values.find(name);
  if (found == impl_->values.end())
    throw Error("no values " + backquoted(name) + " in the state; there is " + listed(keys(impl_->values)));
  return found->second;
}
const Ints& State::ints(std::string_view name) const { return kind_of<Ints>(values(name), name, "integers"); }
const Floats& State::floats(std::string_view name) const {
  return kind_of<Floats>(values(name), name, "real numbers");
}
const Strings& State::strings(std::string_view name) const { return kind_of<Strings>(values(name), name, "texts"); }

State& State::child(std::string_view name) {
  const auto found = impl_->children.find(name);
  return found != impl_->children.end() ? found->second : impl_->children[std::string(name)];
}

const State& State::child(std::string_view name) const {
  const auto found = impl_->children.find(name);
  if (found == impl_->children.end())
    throw Error("no part " + backquoted(name) + " in the state; there is " + listed(keys(impl_->children)));
  return found->second;
}

Strings State::value_names() const { return keys(impl_->values); }
Strings State::tensor_names() const { return keys(impl_->tensors); }
Strings State::child_names() const { return keys(impl_->children); }

}  // namespace xp
