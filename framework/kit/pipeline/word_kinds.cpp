#include "kit/pipeline/word_kinds.h"

#include <unicode/uchar.h>

#include "kit/pipeline/unicode_data.h"

namespace xp::pipeline {

const std::vector<std::uint8_t>& word_kinds() {
  static const auto kinds = [] {
    std::vector<std::uint8_t> out(0x110000);
    const auto mark = [&](const icu::UnicodeSet& set, std::uint8_t kind) {
      for (std::int32_t i = 0; i < set.getRangeCount(); ++i)
        for (UChar32 c = set.getRangeStart(i); c <= set.getRangeEnd(i); ++c) out[static_cast<std::size_t>(c)] |= kind;
    };
    mark(category_set(U_GC_L_MASK), kLetterKind);
    mark(category_set(U_GC_N_MASK), kDigitKind);
    mark(*property_set("space"), kBlankKind);
    mark(category_set(U_GC_LU_MASK | U_GC_LT_MASK), kUpperKind);
    mark(category_set(U_GC_LL_MASK), kLowerKind);
    mark(category_set(U_GC_M_MASK), kMarkKind);
    mark(category_set(U_GC_P_MASK | U_GC_S_MASK), kSymbolKind);
    for (char32_t c = 0; c < out.size(); ++c)
      if (has_class(c, kNumber)) out[c] |= kApartKind;
    return out;
  }();
  return kinds;
}

}  // namespace xp::pipeline
