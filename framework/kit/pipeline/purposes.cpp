// What a file's special tokens are for.
#include <array>

#include "base/text.h"
#include "kit/pipeline/pipeline_impl.h"

namespace xp::pipeline {
namespace {

struct KnownToken {
  const char *purpose, *text;
};

// The first one that is there counts.
constexpr std::array<KnownToken, 33> kKnownTokens{{
    {"pad", "[PAD]"},
    {"pad", "<pad>"},
    {"pad", "<|pad|>"},
    {"pad", "<PAD>"},
    {"pad", "<|padding|>"},
    {"pad", "<|finetune_right_pad_id|>"},
    {"unk", "[UNK]"},
    {"unk", "<unk>"},
    {"unk", "<UNK>"},
    {"unk", "<|unk|>"},
    {"mask", "[MASK]"},
    {"mask", "<mask>"},
    {"mask", "<|mask|>"},
    {"begin", "[CLS]"},
    {"begin", "<s>"},
    {"begin", "<bos>"},
    {"begin", "<cls>"},
    {"begin", "<|begin_of_text|>"},
    {"begin", "<BOS>"},
    {"begin", "<|startoftext|>"},
    {"begin", "<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>"},
    {"begin", "<|endoftext|>"},
    {"end", "[SEP]"},
    {"end", "</s>"},
    {"end", "<eos>"},
    {"end", "<sep>"},
    {"end", "<|end_of_text|>"},
    {"end", "<EOS>"},
    {"end", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"},
    {"end", "<|endoftext|>"},
    {"end", "<|end|>"},
    {"end", "<|im_end|>"},
    {"end", "<|eot_id|>"},
}};

/// 3 for "<extra_id_3>", the tokens that T5 puts in the place of spans.
std::optional<std::string> sentinel_number(std::string_view text) {
  constexpr std::string_view kOpen = "<extra_id_";
  if (!text.starts_with(kOpen) || !text.ends_with('>')) return std::nullopt;
  text.remove_prefix(kOpen.size()), text.remove_suffix(1);
  const bool is_number = !text.empty() && text.size() < 7 && text.find_first_not_of("0123456789") == text.npos &&
                         (text.size() == 1 || text[0] != '0');
  return is_number ? std::optional(std::string(text)) : std::nullopt;
}

}  // namespace

Purposes find_purposes(Purposes given, const SpecialTokens& special, const PipelineParts& parts) {
  Purposes out = std::move(given);
  const auto offer = [&](const std::string& purpose, TokenId id) { out.emplace(purpose, id); };
  for (const auto& [purpose, text] : special) {
    auto id = parts.added->find(text);
    if (!id) id = parts.model->tokens().find(text);
    if (id) offer(purpose, *id);
  }
  if (const auto unknown = parts.model->unknown()) offer("unk", *unknown);
  const auto exists = [&](TokenId id) { return parts.added->find(id) != nullptr || parts.model->tokens().has(id); };
  if (parts.post_processor) {
    const FrameEnds ends = parts.post_processor->ends();
    if (!ends.front.empty() && exists(ends.front.front())) offer("begin", ends.front.front());
    if (!ends.back.empty() && exists(ends.back.back())) offer("end", ends.back.back());
  }
  if (parts.padding && exists(parts.padding->id)) offer("pad", parts.padding->id);
  for (const auto& known : kKnownTokens) {
    const auto id = parts.added->find(known.text);
    if (id && parts.added->find(*id)->special) offer(known.purpose, *id);
  }
  for (const auto& [id, token] : parts.added->all())
    if (const auto number = sentinel_number(token.content)) offer("sentinel." + *number, id);
  return out;
}

}  // namespace xp::pipeline
