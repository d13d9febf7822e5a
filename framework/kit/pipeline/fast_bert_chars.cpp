#include "kit/pipeline/fast_bert_chars.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {
namespace {

std::string bert_form(const Normalizer* normalizer, char32_t c) {
  AlignedText text(char_text(c));
  if (normalizer != nullptr) normalizer->apply(text);
  return text.text();
}

// The kind of a character with this form, which loses the white space around it.
BertKind bert_kind(std::string_view& form, bool reorders) {
  constexpr std::uint8_t kCuts = kSpace | kPunctuation;
  std::size_t count = 0, begin = form.size(), end = 0;  // of characters; what is left without outer white space
  std::uint8_t all = kCuts, any = 0, inner = 0;         // classes
  for (std::size_t at = 0; at < form.size(); ++count) {
    const std::size_t from = at;
    const char32_t c = next_char(form, at);
    if (reorders && u_getCombiningClass(static_cast<UChar32>(c)) != 0) return BertKind::hard;
    const std::uint8_t classes = char_classes(c);
    all &= classes, any |= classes;
    if ((classes & kSpace) != 0) continue;
    begin = std::min(begin, from), end = at, inner |= classes;
  }
  if ((any & kCuts) == 0) return BertKind::inside;
  if ((all & kSpace) != 0) return BertKind::blank;
  const bool wide = begin > 0 && end < form.size();
  form = form.substr(begin, end - begin);
  std::size_t first = 0;
  next_char(form, first);
  return first == form.size() && (wide || (inner & kPunctuation) != 0) ? BertKind::alone : BertKind::hard;
}

}  // namespace

BertChars::BertChars(const Normalizer* normalizer)
    : normalizer_(normalizer), reorders_(bert_form(normalizer, 0xE9) != char_text(0xE9)) {}

BertChars::~BertChars() {
  for (const auto& block : blocks_) delete block.load();
}

const BertChars::Block& BertChars::make(std::size_t which) const {
  auto block = std::make_unique<Block>();
  for (std::size_t i = 0; i < 256; ++i) {
    const auto c = static_cast<char32_t>(which << 8 | i);
    block->ids[i] = kUnasked;
    block->begins[i] = static_cast<std::uint16_t>(block->forms.size());
    block->kinds[i] = BertKind::hard;
    if (c >= 0xD800 && c < 0xE000) continue;  // surrogates, in no text
    const std::string text = bert_form(normalizer_, c);
    std::string_view form = text;
    block->kinds[i] = bert_kind(form, reorders_);
    if (block->kinds[i] == BertKind::inside || block->kinds[i] == BertKind::alone) block->forms += form;
  }
  block->begins[256] = static_cast<std::uint16_t>(block->forms.size());
  const Block* there = nullptr;
  if (blocks_[which].compare_exchange_strong(there, block.get(), std::memory_order_acq_rel)) there = block.release();
  return *there;
}

}  // namespace xp::pipeline
