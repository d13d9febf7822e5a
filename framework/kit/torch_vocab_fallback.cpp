#include "base/error.h"
#include "kit/vocab_fallback.h"

namespace xp {

std::vector<MixPart> uniform_pieces(const VocabSetting& setting, TokenId row) {
  const auto pieces = setting.source.pieces(setting.target.key(row));
  std::vector<MixPart> parts;
  for (const auto piece : pieces) parts.push_back({piece, 1.0 / static_cast<double>(pieces.size())});
  return parts;
}

void fall_back(const VocabSetting& setting, MixPlan& plan, const std::vector<TokenId>& rows, Fallback fallback,
               std::string_view why, std::vector<TableStatistics> tables) {
  if (fallback == Fallback::open || rows.empty()) return;
  const bool draws = fallback == Fallback::random || fallback == Fallback::pieces;
  if (draws && tables.empty()) tables = vocab_statistics(weights_of(setting));
  const auto unknown = setting.source.reserved("unk");
  if (fallback == Fallback::unk && !unknown)
    throw Error("the old tokenizer has no token for what is unknown; use another `fallback`", Exit::usage);
  for (const auto row : rows) {
    if (fallback == Fallback::mean) {
      plan.set_uniform_row(row, "mean", why);
    } else if (fallback == Fallback::token) {
      auto stream = setting.random.stream(0, static_cast<std::uint64_t>(row));
      plan.set_row(row, {{static_cast<TokenId>(stream.below(setting.source.size())), 1}}, "token", why);
    } else if (fallback == Fallback::unk) {
      plan.set_row(row, {{*unknown, 1}}, "unk", why);
    } else if (auto parts = fallback == Fallback::pieces ? uniform_pieces(setting, row) : std::vector<MixPart>{};
               !parts.empty()) {
      plan.set_row(row, std::move(parts), "pieces", why);
    } else {
      set_normal_row(plan, row, tables, 1.0, setting.random.stream(0, static_cast<std::uint64_t>(row)), "random",
                     why);
    }
  }
}

}  // namespace xp
