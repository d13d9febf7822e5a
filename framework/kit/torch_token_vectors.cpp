#include <cmath>

#include "api/ops.h"
#include "base/error.h"
#include "kit/token_vectors.h"
#include "kit/word_files.h"

namespace xp {

NamedVectors source_vectors(const VocabSetting& setting, const std::vector<Value>& field) {
  if (!field.empty()) return named_vectors(field);
  const auto* state = setting.source_vectors ? setting.source_vectors : setting.vectors;
  if (!state)
    throw Error("this initializer compares vectors: give it `vectors` of both sides, or `source_vectors` too",
                Exit::usage);
  return named_vectors(*state);
}

NamedVectors target_vectors(const VocabSetting& setting, const std::vector<Value>& field) {
  if (!field.empty()) return named_vectors(field);
  if (!setting.vectors)
    throw Error("this initializer compares vectors: give it `vectors` or `target_vectors`", Exit::usage);
  return named_vectors(*setting.vectors);
}

SubwordVectors token_vectors(const VocabSetting& setting, const std::vector<Value>& field) {
  return token_vectors(setting.target, target_vectors(setting, field));
}

SubwordVectors token_vectors(const Encoder& encoder, const NamedVectors& table) {
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < table.words.size(); ++i) places.emplace(table.words[i], i);
  const auto width = table.vectors.shape.at(1);
  const auto n = encoder.size();
  SubwordVectors out{ops::zeros({n, width}, at::kFloat), std::vector<bool>(static_cast<std::size_t>(n))};
  auto* to = out.vectors.mutable_data_ptr<float>();
  for (TokenId id = 0; id < n; ++id) {
    const auto found = places.find(encoder.text(id));
    if (found == places.end()) continue;
    const auto* from = table.vectors.data.data() + found->second * static_cast<std::size_t>(width);
    double norm = 0;
    for (std::int64_t d = 0; d < width; ++d) norm += static_cast<double>(from[d]) * from[d];
    if (norm == 0) continue;
    out.covered[static_cast<std::size_t>(id)] = true;
    for (std::int64_t d = 0; d < width; ++d) to[id * width + d] = static_cast<float>(from[d] / std::sqrt(norm));
  }
  return out;
}

SubwordVectors only_anchors(const SubwordVectors& tokens, const std::vector<Anchor>& anchors,
                            std::unordered_map<TokenId, TokenId>& source) {
  SubwordVectors out{tokens.vectors, std::vector<bool>(tokens.covered.size())};
  for (const auto& anchor : anchors) {
    const auto at = static_cast<std::size_t>(anchor.target);
    out.covered[at] = tokens.covered[at], source.emplace(anchor.target, anchor.source);
  }
  return out;
}

}  // namespace xp
