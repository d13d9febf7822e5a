// Metaspace vocabularies: the given bytes are cut before blanks where no step sees the difference, and only a part
// that the cache lacks goes through normalizer, pre-tokenizer and model.
#include <bit>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "kit/pipeline/fast_ids.h"
#include "kit/pipeline/fast_normalizer.h"
#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

enum class MarkScheme { always, first, never };

struct MetaspaceShape {
  std::string mark;
  MarkScheme scheme = MarkScheme::always;
  bool at_spaces = false;  ///< words are cut at white space, which is left out, before they are marked
};

// The first ASCII blank or control character at or behind `at`, or `end`.
const char* next_blank_byte(const char* at, const char* end) {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  for (; end - at >= 8; at += 8) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, at, 8);
    // Only bytes above the lowest that is found can be marked without being one.
    const auto found = (bytes - kOnes * (' ' + 1)) & ~bytes & (kOnes << 7);
    if (found != 0) return at + std::countr_zero(found) / 8;
  }
  while (at<end&& static_cast<unsigned char>(*at)> ' ') ++at;
  return at;
}

class MetaspaceIds final : public FastIds {
 public:
  MetaspaceIds(const FastParts& parts, MetaspaceShape shape, std::unique_ptr<const FastNormalizer> normalizer)
      : model_(parts.model),
        normalizer_step_(parts.normalizer_step),
        pre_tokenizer_step_(parts.pre_tokenizer_step),
        shape_(std::move(shape)),
        normalizer_(std::move(normalizer)) {}

  void append(std::string_view text, bool at_start, IdCache& cache, std::vector<TokenId>& out) const override {
    if (text.empty()) return;
    std::size_t at = 0;
    // Only the very first word of the input is marked: it must not be taken from the cache or put there.
    if (shape_.scheme == MarkScheme::first && at_start) {
      at = part_end(text, 0);
      if (!begins_plainly(text.substr(0, at))) return take_steps(text, out);
      cut(text.substr(0, at), true, out);
    }
    IdSink sink(out);
    WordQueue queue(cache, sink, [this](std::string_view part, std::vector<TokenId>& ids) { cut(part, false, ids); });
    while (at < text.size()) {
      const std::size_t end = part_end(text, at);
      queue.put(text.substr(at, end - at), text.size() - at);
      at = end;
    }
    queue.finish();
  }

 private:
  std::size_t part_end(std::string_view text, std::size_t at) const {
    const char* const end = text.data() + text.size();
    for (const char* blank = text.data() + at; (blank = next_blank_byte(blank + 1, end)) < end;) {
      const auto place = static_cast<std::size_t>(blank - text.data());
      if (normalizer_->cuts_before(text, place)) return place;
    }
    return text.size();
  }

  // The first character comes out first and as it is, so that the text begins the input for pre-tokenizers too.
  bool begins_plainly(std::string_view part) const {
    std::size_t at = part[0] == ' ' ? 1 : 0;
    if (at == part.size()) return true;
    return normalizer_->stays(next_char(part, at)) && (at == part.size() || normalizer_->stays(next_char(part, at)));
  }

  void take_steps(std::string_view text, std::vector<TokenId>& out) const {
    AlignedText aligned(text);
    if (normalizer_step_ != nullptr) normalizer_step_->apply(aligned);
    const auto size = static_cast<std::uint32_t>(aligned.text().size());
    const bool at_start = aligned.original(0, size).begin == 0;
    Words words{std::move(aligned), {{0, size}}, at_start};
    pre_tokenizer_step_->apply(words);
    for (const auto& span : words.spans)
      append_ids(model_, std::string_view(words.text.text()).substr(span.begin, span.end - span.begin), out);
  }

  // `first`: the part begins the input.
  void cut(std::string_view part, bool first, std::vector<TokenId>& ids) const {
    static thread_local std::string normalised;
    normalised.clear();
    normalizer_->apply(part, normalised);
    const std::string_view text = normalised;
    if (!shape_.at_spaces) {
      cut_marked(text, first, ids);
    } else {
      std::size_t begin = 0;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t here = at;
        if (!has_class(next_char(text, at), kSpace)) continue;
        cut_marked(text.substr(begin, here - begin), first && begin == 0, ids);
        begin = at;
      }
      cut_marked(text.substr(begin), first && begin == 0, ids);
    }
    if (normalised.capacity() > kMostKept) normalised = {};
  }

  // Writes the marks into the word and gives the model what stands between them.
  void cut_marked(std::string_view word, bool first, std::vector<TokenId>& ids) const {
    if (word.empty()) return;
    static thread_local std::string marked;
    marked.clear();
    const bool prefix = shape_.scheme == MarkScheme::always || (shape_.scheme == MarkScheme::first && first);
    if (prefix && word[0] != ' ' && !word.starts_with(shape_.mark)) marked += shape_.mark;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t blank = std::min(word.find(' ', at), word.size());
      marked += word.substr(at, blank - at);
      if (blank < word.size()) marked += shape_.mark;
      at = blank + 1;
    }
    const std::string_view text = marked;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find(shape_.mark, at + 1), text.size());
      append_ids(model_, text.substr(at, end - at), ids);
      at = end;
    }
    if (marked.capacity() > kMostKept) marked = {};
  }

  static constexpr std::size_t kMostKept = std::size_t{1} << 16;  // bytes that a thread keeps for the next text

  const Model& model_;
  const Normalizer* normalizer_step_;
  const PreTokenizer* pre_tokenizer_step_;
  MetaspaceShape shape_;
  std::unique_ptr<const FastNormalizer> normalizer_;
};

std::optional<MetaspaceShape> metaspace_shape(const Json& step) {
  MetaspaceShape out;
  const Json* metaspace = &step;
  if (is_step(step, "Sequence")) {
    const Json& steps = step.at("pretokenizers");
    if (steps.size() == 2 && !is_step(steps[0], "WhitespaceSplit")) return std::nullopt;
    if (steps.empty() || steps.size() > 2) return std::nullopt;
    out.at_spaces = steps.size() == 2;
    metaspace = &steps.back();
  }
  if (!is_step(*metaspace, "Metaspace")) return std::nullopt;
  const Entry entry(*metaspace, "pre_tokenizer");
  if (!entry.flag("split", true)) return std::nullopt;
  out.mark = entry.text("replacement");
  const std::string scheme = entry.text("prepend_scheme", "always");
  out.scheme = scheme == "always" ? MarkScheme::always : scheme == "first" ? MarkScheme::first : MarkScheme::never;
  if (out.mark.empty() || out.mark == " ") return std::nullopt;
  return out;
}

}  // namespace

std::unique_ptr<const FastIds> make_fast_metaspace(const FastParts& parts) {
  auto shape = metaspace_shape(parts.pre_tokenizer);
  if (!shape) return nullptr;
  auto normalizer = FastNormalizer::make(parts.normalizer, parts.normalizer_step);
  if (!normalizer) return nullptr;
  return std::make_unique<MetaspaceIds>(parts, std::move(*shape), std::move(normalizer));
}

}  // namespace xp::pipeline
