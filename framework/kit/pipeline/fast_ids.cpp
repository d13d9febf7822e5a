#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {

FastIds::~FastIds() = default;

bool is_step(const Json& step, const char* type) {
  if (!step.is_object()) return false;
  const auto found = step.find("type");
  return found != step.end() && *found == type;
}

std::string text_in(const Json& step, const char* key) {
  if (!step.is_object()) return {};
  const auto found = step.find(key);
  return found != step.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void append_ids(const Model& model, std::string_view word, std::vector<TokenId>& ids) {
  constexpr std::size_t kMostKept = std::size_t{1} << 14;  // pieces that a thread keeps room for
  static thread_local std::vector<CutPiece> pieces;
  pieces.clear();
  model.cut(word, pieces);
  for (const auto& piece : pieces) ids.push_back(piece.id);
  if (pieces.capacity() > kMostKept) pieces = {};
}

std::unique_ptr<const FastIds> make_fast_ids(const FastParts& parts) {
  for (const auto make : {make_fast_byte_level, make_fast_bert, make_fast_joint, make_fast_metaspace})
    if (auto out = make(parts)) return out;
  return nullptr;
}

}  // namespace xp::pipeline
