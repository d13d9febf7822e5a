#include <cmath>

#include "api/vocab_initializer.h"
#include "kit/vocab_fallback.h"
#include "plugin/plugin.h"

namespace {

/// Weights in proportion to these numbers.
std::vector<xp::MixPart> in_proportion(const std::vector<xp::TokenId>& pieces, const std::vector<double>& shares) {
  double total = 0;
  for (const double share : shares) total += share;
  std::vector<xp::MixPart> parts;
  if (total == 0) return parts;
  for (std::size_t i = 0; i < pieces.size(); ++i) parts.push_back({pieces[i], shares[i] / total});
  return parts;
}

/// Composes a new row of the rows of the token's pieces; tokens without pieces go to the fallback.
class Composition : public xp::VocabInitializer {
 public:
  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    std::vector<xp::TokenId> bare;
    for (const auto row : plan.open_rows()) {
      const auto pieces = pieces_of(setting, row);
      auto parts = pieces.empty() ? std::vector<xp::MixPart>{} : input(setting, pieces);
      if (parts.empty()) {
        bare.push_back(row);
        continue;
      }
      plan.set_row(row, std::move(parts), "pieces");
      if (!first_piece_scores()) continue;
      for (const auto* role : {"vocab.output", "vocab.bias"}) plan.set_role_parts(row, role, {{pieces.front(), 1}});
    }
    xp::fall_back(setting, plan, bare, fallback(), "the old tokenizer has no pieces for the token");
  }

 protected:
  virtual std::vector<xp::TokenId> pieces_of(const xp::VocabSetting& setting, xp::TokenId row) const {
    return setting.source.pieces(setting.target.key(row));
  }
  virtual std::vector<xp::MixPart> input(const xp::VocabSetting& setting,
                                         const std::vector<xp::TokenId>& pieces) const = 0;
  /// Whether an output row is that of the first piece, which follows the same texts as the new token does.
  virtual bool first_piece_scores() const { return false; }
  virtual xp::Fallback fallback() const = 0;
};

struct WithFallback {
  xp::Fallback fallback = xp::Fallback::open;
  template <class P>
  static void add(xp::Fields<P>& f) {
    f.add(&P::fallback, "fallback", "Tokens that have no pieces.", xp::fallback_names());
  }
};

std::vector<xp::MixPart> alike(const std::vector<xp::TokenId>& pieces) {
  return in_proportion(pieces, std::vector<double>(pieces.size(), 1.0));
}

/// Fast vocabulary transfer (Gee et al. 2022): the text of a token, without what marks the start of a word, is tokenized
/// again by the whole old tokenizer, and its pieces are averaged.
class Fvt final : public Composition {
 public:
  struct Params : WithFallback {
    static void describe(xp::Fields<Params>& f) { add(f); }
  };
  explicit Fvt(Params params) : p_(params) {}

 protected:
  std::vector<xp::TokenId> pieces_of(const xp::VocabSetting& setting, xp::TokenId row) const override {
    const auto key = setting.target.key(row);
    if (key.kind != xp::TokenKind::text) return setting.source.pieces(key);
    std::vector<xp::TokenId> out;
    for (const auto& token : setting.source.encode(key.bytes)) out.push_back(token.id);
    return out;
  }
  std::vector<xp::MixPart> input(const xp::VocabSetting&, const std::vector<xp::TokenId>& pieces) const override {
    return alike(pieces);
  }
  xp::Fallback fallback() const override { return p_.fallback; }

 private:
  Params p_;
};

/// Pieces count by how long they are.
class LengthWeighted final : public Composition {
 public:
  struct Params : WithFallback {
    static void describe(xp::Fields<Params>& f) { add(f); }
  };
  explicit LengthWeighted(Params params) : p_(params) {}

 protected:
  std::vector<xp::MixPart> input(const xp::VocabSetting& setting,
                                 const std::vector<xp::TokenId>& pieces) const override {
    std::vector<double> bytes;
    for (const auto piece : pieces) bytes.push_back(static_cast<double>(setting.source.key(piece).bytes.size()));
    return in_proportion(pieces, bytes);
  }
  xp::Fallback fallback() const override { return p_.fallback; }

 private:
  Params p_;
};

/// EEVE (Kim et al. 2024, arXiv 2402.14714): the mean of the pieces goes in, the first piece scores what comes out.
class Eeve final : public Composition {
 public:
  struct Params : WithFallback {
    static void describe(xp::Fields<Params>& f) { add(f); }
  };
  explicit Eeve(Params params) : p_(params) {}

 protected:
  std::vector<xp::MixPart> input(const xp::VocabSetting&, const std::vector<xp::TokenId>& pieces) const override {
    return alike(pieces);
  }
  bool first_piece_scores() const override { return true; }
  xp::Fallback fallback() const override { return p_.fallback; }

 private:
  Params p_;
};

/// AdaptiVocab (Nakash et al. 2025): input weights grow as exp(2 i) towards the last piece, the first one scores.
class AdaptiVocab final : public Composition {
 public:
  struct Params : WithFallback {
    static void describe(xp::Fields<Params>& f) { add(f); }
  };
  explicit AdaptiVocab(Params params) : p_(params) {}

 protected:
  std::vector<xp::MixPart> input(const xp::VocabSetting&, const std::vector<xp::TokenId>& pieces) const override {
    std::vector<double> shares;
    for (std::size_t i = 0; i < pieces.size(); ++i)
      shares.push_back(std::exp(-2.0 * static_cast<double>(pieces.size() - 1 - i)));
    return in_proportion(pieces, shares);
  }
  bool first_piece_scores() const override { return true; }
  xp::Fallback fallback() const override { return p_.fallback; }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(composition) {
  registry.add<Fvt>("fvt", "Mean of the pieces of the token's text, tokenized anew by the old tokenizer.");
  registry.add<LengthWeighted>("length_weighted", "Pieces weighted by their length in bytes.");
  registry.add<Eeve>("eeve", "Input rows: mean of the pieces; output rows: the first piece's.");
  registry.add<AdaptiVocab>("adaptivocab", "Input rows lean to the last piece; output rows: the first piece's.");
}
