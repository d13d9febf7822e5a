#pragma once
#include <memory>
#include <string>

#include "engine/session.h"

namespace xp {

/// The context of one component of the objective; `path` as in BuildContext::child.
std::shared_ptr<StepContext> make_step(Session& session, std::string path, bool training, Pass pass = {});

}  // namespace xp
