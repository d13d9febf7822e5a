#pragma once
// Artifacts on disk. A checkpoint is a model directory (config.json, model.safetensors, tokenizer.json) with xp.json
// beside it; a tokenizer is tokenizer.json with xp_tokenizer.json; a fitted artifact is state.json with its numbers.
#include <filesystem>
#include <memory>

#include "api/parameters.h"
#include "api/tokenizer.h"
#include "plugin/registry.h"

namespace xp {

void save_state(const std::filesystem::path& folder, const State& state, const std::string& stem = "state");
State load_state(const std::filesystem::path& folder, const std::string& stem = "state");

void save_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint);
/// Tensors are private copies. Throws Error (Exit::data) naming file and entry if anything does not fit.
Checkpoint load_checkpoint(const std::filesystem::path& folder);

void save_tokenizer(const std::filesystem::path& folder, const Encoder& encoder, const Tokenizer& made_by);
/// Copies the tokenizer files of one artifact (tokenizer or checkpoint) into another.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to);
/// Null if the folder holds none. Checks the samples that were stored with it.
std::shared_ptr<const Encoder> load_tokenizer(const std::filesystem::path& folder, const Registry& registry);

}  // namespace xp
