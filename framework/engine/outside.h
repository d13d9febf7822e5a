#pragma once
// Models and tokenizers from outside a run: those that other tools made, read by the formats that are loaded, and
// checkpoints of ours.
#include <filesystem>
#include <set>

#include "api/format.h"
#include "plugin/registry.h"

namespace xp {

/// The format that reads what lies there; throws Error (Exit::data) naming those that were asked if none does.
std::unique_ptr<Format> format_of(const Registry& registry, const std::filesystem::path& path);

/// A model or tokenizer of another tool as read() gives it, or a checkpoint of ours with its tokenizer. Throws as
/// format_of() and read() do. `whole`: no parameter is left unread.
Imported read_model(const Registry& registry, const std::filesystem::path& path, bool whole);

/// What `written` has no place for, beside the first model.
Strings missing(const Checkpoint& from, const Checkpoint& written);

/// Libraries of the components that read_model() may make.
std::set<std::string> libraries_that_read(const Catalogue& catalogue);

/// The first format that writes; throws Error (Exit::plugin) if none does.
std::unique_ptr<Format> writing_format(const Registry& registry);

}  // namespace xp
