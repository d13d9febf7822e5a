#pragma once
// A tokenizer on disk: tokenizer.json as other tools read it, and xp_tokenizer.json with what made it.
#include <filesystem>
#include <memory>

#include "api/tokenizer.h"
#include "schema/fields.h"

namespace xp {

XP_API void save_tokenizer(const std::filesystem::path& folder, const Encoder& encoder, const Tokenizer& made_by);
/// Copies the tokenizer files of one artifact (tokenizer or checkpoint) into another.
XP_API void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to);
/// One that no component here made: tokenizer.json and special_tokens_map.json, as other tools read them.
XP_API void save_foreign_tokenizer(const std::filesystem::path& folder, const Encoder& encoder);
/// Null if the folder holds none. One that no component made is read as other tools read it. Checks the samples that
/// were stored with it; throws Error (Exit::data).
XP_API std::shared_ptr<const Encoder> load_tokenizer(const std::filesystem::path& folder, const PartMaker& parts);

}  // namespace xp
