#pragma once
// Tokens that both vocabularies have, taken as if only the new one had them: what an initializer makes of them can be
// compared with their true rows.
#include "api/recorder.h"
#include "api/vocab_initializer.h"
#include "kit/matching.h"

namespace xp::transfer {

/// An encoder that acts as if some text tokens were not in its vocabulary: where one would stand, its longest
/// beginning that is left stands, then the rest of it in the same way. Ids stay as they are.
class HidingEncoder final : public Encoder {
 public:
  /// `plain` must outlive this; `hidden` are ids of it.
  HidingEncoder(const Encoder& plain, const std::vector<TokenId>& hidden);

  std::int64_t size() const override { return plain_.size(); }
  std::vector<Token> encode(std::string_view text) const override;
  std::string decode(std::span<const TokenId> ids) const override { return plain_.decode(ids); }
  std::string text(TokenId id) const override { return plain_.text(id); }
  /// Of hidden tokens one that no other token has.
  TokenKey key(TokenId id) const override;
  std::vector<TokenId> pieces(const TokenKey& key) const override;
  const std::map<std::string, TokenId, std::less<>>& purposes() const override { return plain_.purposes(); }
  TextFrame around() const override { return plain_.around(); }
  std::string json() const override { return plain_.json(); }

 private:
  const Encoder& plain_;
  std::map<TokenId, std::vector<TokenId>> spelt_ = {};
};

/// How a made row lies to the true one.
struct HeldOutRow {
  TokenId target = 0, source = 0;
  double cosine = 0, relative_l2 = 0,
         norm_ratio = 0;  ///< of the input table: |made - true| / |true|, |made| / |true|
  std::int64_t rank = 1;  ///< 1: no other row of the old table is nearer to the made one by cosine
};

/// Hides a `share` of the text tokens that both vocabularies spell the same, drawn by token, lets the initializer
/// make them beside all other new ones, and compares. Throws Error (Exit::usage) if none is shared or drawn.
std::vector<HeldOutRow> held_out_rows(const VocabSetting& setting, VocabInitializer& initializer,
                                      const std::vector<MatchLevel>& levels, double share);

/// Means over the rows as metrics "held_out.*", the rows as ledger "held_out"; with a corpus also the cosine of each
/// tenth of them by how often the corpus has the token, the rarest first.
void record(Recorder& out, const VocabSetting& setting, std::vector<HeldOutRow> rows);

}  // namespace xp::transfer
