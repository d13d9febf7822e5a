// BERT's words: cut in the plain bytes, and only a stretch that the cache lacks is normalised.
#include <bit>
#include <cstring>

#include "kit/pipeline/fast_bert_chars.h"
#include "kit/pipeline/fast_bert_masks.h"
#include "kit/pipeline/fast_ids.h"

namespace xp::pipeline {
namespace {

class BertIds final : public FastIds {
 public:
  explicit BertIds(const FastParts& parts)
      : model_(parts.model),
        normalizer_(parts.normalizer_step),
        pre_tokenizer_(*parts.pre_tokenizer_step),
        chars_(normalizer_) {}

  void append(std::string_view text, bool, IdCache& cache, std::vector<TokenId>& out) const override {
    IdSink sink(out);
    Queue queue(cache, sink, {*this});
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at < end;) at = put_block(at, end, queue);
    queue.finish();
  }

 private:
  struct Miss {
    const BertIds& owner;
    void operator()(std::string_view stretch, std::vector<TokenId>& ids) const { owner.cut(stretch, ids); }
  };
  using Queue = WordQueue<Miss>;

  // Puts what begins in the next bytes, until something other than plain ASCII comes; gives where to go on.
  const char* put_block(const char* at, const char* end, Queue& queue) const {
    char padded[BertMasks::kBytes] = {};
    const auto left = static_cast<std::size_t>(end - at);
    if (left < sizeof padded) std::memcpy(padded, at, left);
    const BertMasks masks(left < sizeof padded ? padded : at);
    const int limit = std::countr_zero(masks.others());
    const std::uint64_t bounds = ~masks.words | ~(masks.words << 1);
    std::uint64_t firsts = (bounds & masks.words) | masks.alone;
    if (limit < 64) firsts &= (std::uint64_t{1} << limit) - 1;
    for (; firsts != 0; firsts &= firsts - 1) {
      const int first = std::countr_zero(firsts), last = std::countr_zero(bounds & ~std::uint64_t{1} << first);
      if (last == limit && (masks.words >> first & 1) != 0) {
        if (limit == 64 && first > 0) return at + first;  // the next block shows more of it
        return put_stretches(at + first, at + last, end, queue);
      }
      put(at + first, at + last, end, queue);
    }
    return limit == 64 ? at + 64 : put_stretches(at + limit, at + limit, end, queue);
  }

  // Puts the stretch that begins at `from` and goes on at `at`, and what follows; gives where an ASCII word begins.
  const char* put_stretches(const char* from, const char* at, const char* end, Queue& queue) const {
    for (const char* behind = at; at < end; at = behind) {
      const char32_t c = take_char(behind);
      const auto& block = chars_.block(c);
      const BertKind kind = block.kinds[c & 0xFF];
      if (kind == BertKind::inside || kind == BertKind::hard) continue;
      if (at > from) put(from, at, end, queue);
      if (kind == BertKind::alone) put_alone(block, c, at, behind, end, queue);
      if (behind < end && BertMasks::is_word(*behind)) return behind;
      from = behind;
    }
    if (from < end) put(from, end, end, queue);
    return end;
  }

  static void put(const char* from, const char* to, const char* end, Queue& queue) {
    queue.put({from, static_cast<std::size_t>(to - from)}, static_cast<std::size_t>(end - from));
  }

  void put_alone(const BertChars::Block& block, char32_t c, const char* from, const char* to, const char* end,
                 Queue& queue) const {
    auto& known = block.ids[c & 0xFF];
    TokenId id = known.load(std::memory_order_relaxed);
    if (id == BertChars::kUnasked) {
      std::vector<TokenId> ids;
      cut_word(block.form(c), ids);
      id = ids.size() == 1 ? ids[0] : BertChars::kNotOne;
      known.store(id, std::memory_order_relaxed);
    }
    if (id >= 0) return queue.put(id);
    put(from, to, end, queue);
  }

  void cut(std::string_view stretch, std::vector<TokenId>& ids) const {
    static thread_local std::string word;
    word.clear();
    for (const char* at = stretch.data(); at < stretch.data() + stretch.size();) {
      const char32_t c = take_char(at);
      const auto& block = chars_.block(c);
      if (block.kinds[c & 0xFF] == BertKind::hard) return cut_by_steps(stretch, ids);
      word += block.form(c);
    }
    if (!word.empty()) cut_word(word, ids);
  }

  void cut_by_steps(std::string_view stretch, std::vector<TokenId>& ids) const {
    Words words{AlignedText(stretch), {}};
    if (normalizer_ != nullptr) normalizer_->apply(words.text);
    words.spans = {{0, static_cast<std::uint32_t>(words.text.text().size())}};
    pre_tokenizer_.apply(words);
    const std::string_view text = words.text.text();
    for (const auto& span : words.spans) cut_word(text.substr(span.begin, span.end - span.begin), ids);
  }

  void cut_word(std::string_view word, std::vector<TokenId>& ids) const { append_ids(model_, word, ids); }

  const Model& model_;
  const Normalizer* normalizer_;
  const PreTokenizer& pre_tokenizer_;
  BertChars chars_;
};

}  // namespace

std::unique_ptr<const FastIds> make_fast_bert(const FastParts& parts) {
  if (!is_step(parts.pre_tokenizer, "BertPreTokenizer")) return nullptr;
  if (!parts.normalizer.is_null() && !is_step(parts.normalizer, "BertNormalizer")) return nullptr;
  return std::make_unique<BertIds>(parts);
}

}  // namespace xp::pipeline
