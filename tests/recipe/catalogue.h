#pragma once
// A catalogue written by hand: what recipes are checked against before any plugin is built.
#include "plugin/registry.h"

namespace xp {

/// Components of the quickstart with the parameters that the tests use.
Catalogue small_catalogue();
/// The same with another library behind one component.
Catalogue with_hash(Catalogue from, const std::string& interface, const std::string& type, const std::string& hash);

}  // namespace xp
