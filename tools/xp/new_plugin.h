#pragma once
// What `xp new` writes: a small plugin that works at once, its test, a recipe that runs it, and the build line.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace xp {

/// Interfaces that `xp new` has a skeleton for, sorted.
std::vector<std::string> new_kinds();

/// Writes the files and returns them, the one with the build line last. `kind` is an interface ("vocab_initializer")
/// or a recipe's short name of one ("initializer"). `in_tree`: `folder` is the root of xp's source tree, the plugin
/// goes to plugins/<interface>s/; else `folder` becomes a project of its own, or gets one plugin more. Throws Error
/// (Exit::usage) if the kind or the name will not do or a file exists already; nothing is written then.
std::vector<std::filesystem::path> new_plugin(std::string_view kind, std::string_view name,
                                              const std::filesystem::path& folder, bool in_tree);

}  // namespace xp
