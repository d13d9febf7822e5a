#pragma once
// Models and tokenizers that other tools made, read by the formats that are loaded.
#include <filesystem>

#include "api/format.h"
#include "plugin/registry.h"

namespace xp {

/// The format that reads what lies there; throws Error (Exit::data) naming those that were asked if none does.
std::unique_ptr<Format> format_of(const Registry& registry, const std::filesystem::path& path);

/// The first format that writes; throws Error (Exit::plugin) if none does.
std::unique_ptr<Format> writing_format(const Registry& registry);

}  // namespace xp
