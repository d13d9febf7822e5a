#pragma once
// Artifacts on disk. A checkpoint is a model directory (config.json, model.safetensors, tokenizer.json) with xp.json
// beside it; a fitted artifact is state.json with its numbers.
#include <filesystem>

#include "api/parameters.h"

namespace xp {

void save_state(const std::filesystem::path& folder, const State& state, const std::string& stem = "state");
/// The tensors are as those of load_checkpoint().
State load_state(const std::filesystem::path& folder, const std::string& stem = "state");

void save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint);
bool is_checkpoint(const std::filesystem::path& folder);  ///< one of ours
/// Tensors lie in the file's pages and are copied page by page when they are written to. Throws Error (Exit::data)
/// naming file and entry if anything does not fit. Its training state stays on disk.
Checkpoint load_checkpoint(const std::filesystem::path& folder);
/// What a checkpoint was kept with; throws Error with the remedy if that is nothing. `made_by`: as the recipe names
/// it.
State load_kept_state(const std::filesystem::path& folder, const std::string& made_by);

}  // namespace xp
