// Byte-level BPE: words are cut in the plain bytes, and only a word that the cache lacks is written byte by byte.
#include "kit/byte_level.h"
#include "kit/pipeline/byte_level_scan.h"
#include "kit/pipeline/byte_merges.h"
#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {
namespace {

bool is_step(const Json& step, const char* type) { return step.is_object() && step.value("type", "") == type; }

template <class Scan>
class ByteLevelIds final : public FastIds {
 public:
  ByteLevelIds(const Model& model, bool prefix) : model_(model), merges_(ByteMerges::of(model)), prefix_(prefix) {}

  void append(std::string_view text, bool, IdCache& cache, std::vector<TokenId>& out) const override {
    if (text.empty()) return;
    if (prefix_ && text[0] != ' ') {
      const std::string with = " " + std::string(text);
      return words(with, cache, out);
    }
    words(text, cache, out);
  }

 private:
  void words(std::string_view text, IdCache& cache, std::vector<TokenId>& out) const {
    IdSink sink(out);
    WordQueue queue(cache, sink, [this](std::string_view word, std::vector<TokenId>& ids) { cut(word, ids); });
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at < end;) {
      const char* const behind = scan_.next(at, end);
      queue.put({at, static_cast<std::size_t>(behind - at)}, static_cast<std::size_t>(end - at));
      at = behind;
    }
    queue.finish();
  }

  void cut(std::string_view word, std::vector<TokenId>& ids) const {
    if (merges_) return merges_->cut(word, ids);
    static thread_local std::vector<CutPiece> pieces;
    pieces.clear();
    model_.cut(to_byte_level(word), pieces);
    for (const auto& piece : pieces) ids.push_back(piece.id);
  }

  const Model& model_;
  std::unique_ptr<const ByteMerges> merges_;  ///< null: the model is something else
  bool prefix_;
  Scan scan_;
};

// The expression by which a file cuts words before it writes them as bytes; empty: it does something else.
std::string byte_level_pattern(const Json& step) {
  const auto parts = step.is_object() ? step.find("pretokenizers") : step.end();
  if (!is_step(step, "Sequence") || parts == step.end() || parts->size() != 2) return {};
  const auto &split = parts->at(0), &bytes = parts->at(1);
  if (!is_step(split, "Split") || !is_step(bytes, "ByteLevel")) return {};
  if (bytes.value("use_regex", true) || bytes.value("add_prefix_space", true)) return {};
  const auto behavior = split.value("behavior", "");
  const bool all = split.value("invert", false) ? behavior == "Removed" : behavior == "Isolated";
  const auto pattern = split.find("pattern");
  return all && pattern != split.end() && pattern->is_object() ? pattern->value("Regex", "") : "";
}

constexpr std::string_view kCl100k3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100k1 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

}  // namespace

std::unique_ptr<const FastIds> make_fast_byte_level(const FastParts& parts) {
  const auto& step = parts.pre_tokenizer;
  if (!parts.normalizer.is_null()) return nullptr;
  if (is_step(step, "ByteLevel") && step.value("use_regex", true))
    return std::make_unique<ByteLevelIds<Gpt2Scan>>(parts.model, step.value("add_prefix_space", true));
  const auto pattern = byte_level_pattern(step);
  if (pattern == kCl100k3) return std::make_unique<ByteLevelIds<Cl100kScan<3>>>(parts.model, false);
  if (pattern == kCl100k1) return std::make_unique<ByteLevelIds<Cl100kScan<1>>>(parts.model, false);
  if (pattern == kO200k) return std::make_unique<ByteLevelIds<O200kScan>>(parts.model, false);
  return nullptr;
}

}  // namespace xp::pipeline
