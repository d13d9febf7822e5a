#include "api/selector.h"
#include "kit/unicode.h"
#include "plugin/plugin.h"

namespace {

/// The share of letters among the characters that are no white space, from 0 to 1; 0 without any. Marks count as the
/// letters that they stand on, so that scripts which write vowels as marks lose nothing. The wide form of the
/// symbol-to-word ratio of Rae et al. 2021 (appendix A.1.1): numbers, signs and markup all count against a document.
class SymbolRatio final : public xp::Scorer {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit SymbolRatio(Params) {}

  double score(const xp::Document& document) const override {
    std::int64_t letters = 0, all = 0;
    for (std::size_t at = 0; at < document.text.size();) {
      const char32_t c = xp::next_char(document.text, at);
      if (xp::is_white_space(c)) continue;
      ++all, letters += xp::is_letter(c) || xp::is_mark(c);
    }
    return all == 0 ? 0 : static_cast<double>(letters) / static_cast<double>(all);
  }
};

}  // namespace

XP_PLUGIN(symbol_ratio) {
  registry.add<SymbolRatio>("symbol_ratio", "Share of letters among a document's characters.");
}
