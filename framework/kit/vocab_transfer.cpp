#include "kit/vocab_transfer.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace xp {

std::vector<MatchLevel> match_levels(const std::vector<std::string>& names) {
  std::vector<MatchLevel> levels;
  for (const auto& name : names) {
    const auto before = levels.size();
    for (const auto level : {MatchLevel::exact, MatchLevel::word_start, MatchLevel::casefold})
      if (name == match_name(level)) levels.push_back(level);
    if (levels.size() == before)
      throw Error("`copy` takes exact, word_start and casefold, not " + backquoted(printable(name)), Exit::usage);
  }
  return levels;
}

std::optional<Strings> match_of(TokenMatch match) {
  switch (match) {
    case TokenMatch::as_told: return std::nullopt;
    case TokenMatch::exact: return Strings{"exact"};
    case TokenMatch::word_start: return Strings{"exact", "word_start"};
    case TokenMatch::casefold: return Strings{"exact", "casefold"};
    case TokenMatch::specials: return Strings{};
  }
  return std::nullopt;
}

MixPlan plan_vocabulary(const VocabSetting& setting, VocabInitializer& initializer,
                        const std::vector<MatchLevel>& levels) {
  if (!setting.vectors && initializer.wants_vectors())
    throw Error("initializer " + backquoted(initializer.type()) + " compares words: give it `vectors`", Exit::usage);
  if (!setting.donor && initializer.donor())
    throw Error("initializer " + backquoted(initializer.type()) + " compares rows of another model: give it `donor`",
                Exit::usage);
  MixPlan plan(setting.source.size(), setting.target.size());
  const auto own = initializer.match();
  const auto matches = match_vocabularies(setting.source, setting.target, own ? match_levels(*own) : levels);
  for (std::size_t id = 0; id < matches.size(); ++id)
    if (matches[id])
      plan.set_row(static_cast<TokenId>(id), {{matches[id]->source, 1}}, kCopyRule,
                   matches[id]->special ? "by purpose" : std::string(match_name(matches[id]->level)));
  initializer.plan(setting, plan);
  for (const auto row : plan.open_rows()) plan.set_uniform_row(row, "mean", "the initializer left the row open");
  return plan;
}

const Strings& ledger_columns() {
  static const Strings columns{"id", "token", "rule", "parts", "sources", "note"};
  return columns;
}

Strings ledger_row(const Encoder& source, const Encoder& target, TokenId id, const MixRow& row) {
  constexpr std::size_t kShown = 5;
  auto parts = row.parts;
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return std::abs(a.weight) > std::abs(b.weight); });
  std::string shown;
  for (std::size_t i = 0; i < std::min(kShown, parts.size()); ++i)
    shown +=
        (i ? " " : "") + source.text(parts[i].source) + ":" + number_text(std::round(parts[i].weight * 1e4) / 1e4);
  return {std::to_string(id),
          target.text(id),
          row.rule,
          row.uniform != 0 ? "all" : std::to_string(row.parts.size()),
          shown,
          row.note};
}

}  // namespace xp
