#include "schema/component.h"

namespace xp {

Component::Component() = default;
Component::~Component() = default;

void Component::save(State&) const {}
void Component::load(const State&) {}
void Component::set(std::string_view, double) {}

}  // namespace xp
