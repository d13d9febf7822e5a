#include <algorithm>
#include <cmath>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/mixing.h"
#include "kit/row_norms.h"
#include "kit/vocab_fallback.h"
#include "kit/vocab_transfer.h"
#include "plugin/plugin.h"

namespace {

using Pieces = std::vector<xp::TokenId>;
using Shares = std::vector<double>;

enum class Unit { characters, bytes };

struct Options {
  xp::Fallback fallback = xp::Fallback::open;
  xp::TokenMatch match = xp::TokenMatch::as_told;
  xp::NormMatch norm = xp::NormMatch::none;
};

template <class Params>
void add_options(xp::Fields<Params>& f) {
  xp::Fallback Params::*fallback = &Params::fallback;
  xp::TokenMatch Params::*match = &Params::match;
  xp::NormMatch Params::*norm = &Params::norm;
  f.add(fallback, "fallback", "Tokens that have no pieces under the old tokenizer.", xp::fallback_names());
  f.add(match, "match", "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
        xp::token_match_names());
  f.add(norm, "norm", "Norm of old input rows that new ones are scaled to; output rows are never scaled.",
        xp::norm_names());
}

/// A new row is composed of the rows of the token's pieces under the old tokenizer.
class Composition : public xp::VocabInitializer {
 public:
  explicit Composition(const Options& options) : options_(options) {}

  std::optional<xp::Strings> match() const override { return xp::match_of(options_.match); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const xp::RowNorms norms(setting, options_.norm);
    const bool splits = first_scores() && setting.weights && xp::has_own_output(*setting.weights);
    Pieces bare;
    for (const auto row : plan.open_rows()) {
      const auto pieces = pieces_of(setting, row);
      const auto weights = shares(setting.source, pieces);
      double total = 0;
      for (const double weight : weights) total += weight;
      if (total == 0) {
        bare.push_back(row);
        continue;
      }
      std::vector<xp::MixPart> parts;
      for (std::size_t i = 0; i < pieces.size(); ++i) parts.push_back({pieces[i], weights[i] / total});
      plan.set_row(row, std::move(parts), "pieces");
      norms.apply(plan, row);
      if (splits) xp::set_output_parts(plan, row, {{pieces.front(), 1}});
    }
    xp::fall_back(setting, plan, bare, options_.fallback, "the old tokenizer has no pieces for the token");
  }

 private:
  virtual Pieces pieces_of(const xp::VocabSetting& setting, xp::TokenId row) const {
    return setting.source.pieces(setting.target.key(row));
  }
  /// How much each piece counts; they are divided by their sum.
  virtual Shares shares(const xp::Encoder&, const Pieces& pieces) const { return Shares(pieces.size(), 1.0); }
  /// Whether the first piece alone makes output rows: it is what the old model foretold where the new token stands.
  virtual bool first_scores() const { return false; }

  Options options_;
};

/// Counts first bytes of characters, so that a part of one counts too.
double characters_in(std::string_view bytes) {
  return static_cast<double>(std::count_if(bytes.begin(), bytes.end(),
                                           [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// A piece that is a mark of a word's start alone counts as one, the space that it stands for.
Shares lengths(const xp::Encoder& encoder, const Pieces& pieces, Unit unit) {
  Shares out;
  for (const auto piece : pieces) {
    const auto bytes = encoder.key(piece).bytes;
    out.push_back(std::max(1.0, unit == Unit::bytes ? static_cast<double>(bytes.size()) : characters_in(bytes)));
  }
  return out;
}

class MeanOfPieces final : public Composition {
 public:
  enum class Weight { uniform, length };
  struct Params : Options {
    Weight weight = Weight::uniform;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::weight, "weight", "How much each piece counts: alike, or by its bytes.",
            {{"uniform", Weight::uniform}, {"length", Weight::length}});
      add_options(f);
    }
  };
  explicit MeanOfPieces(const Params& params) : Composition(params), weight_(params.weight) {}

 private:
  Shares shares(const xp::Encoder& source, const Pieces& pieces) const override {
    return weight_ == Weight::length ? lengths(source, pieces, Unit::bytes) : Shares(pieces.size(), 1.0);
  }
  Weight weight_;
};

/// Fast vocabulary transfer (Gee et al. 2022): the text of a token, without what marks the start of a word, is
/// tokenized again by the whole old tokenizer.
class Fvt final : public Composition {
 public:
  struct Params : Options {
    static void describe(xp::Fields<Params>& f) { add_options(f); }
  };
  explicit Fvt(const Params& params) : Composition(params) {}

 private:
  Pieces pieces_of(const xp::VocabSetting& setting, xp::TokenId row) const override {
    const auto key = setting.target.key(row);
    // A part of a character is no text that could be tokenized.
    if (key.kind != xp::TokenKind::text || !xp::is_utf8(key.bytes)) return setting.source.pieces(key);
    const auto unknown = setting.source.reserved("unk");
    Pieces out;
    for (const auto& token : setting.source.encode(key.bytes)) {
      if (token.id == unknown) return {};
      out.push_back(token.id);
    }
    return out;
  }
};

class LengthWeighted final : public Composition {
 public:
  struct Params : Options {
    Unit unit = Unit::characters;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::unit, "unit", "What a piece's length is counted in.",
            {{"characters", Unit::characters}, {"bytes", Unit::bytes}});
      add_options(f);
    }
  };
  explicit LengthWeighted(const Params& params) : Composition(params), unit_(params.unit) {}

 private:
  Shares shares(const xp::Encoder& source, const Pieces& pieces) const override {
    return lengths(source, pieces, unit_);
  }
  Unit unit_;
};

/// EEVE (Kim et al. 2024, arXiv 2402.14714).
class Eeve final : public Composition {
 public:
  struct Params : Options {
    static void describe(xp::Fields<Params>& f) { add_options(f); }
  };
  explicit Eeve(const Params& params) : Composition(params) {}

 private:
  bool first_scores() const override { return true; }
};

/// AdaptiVocab (Nakash et al. 2025): input weights grow as exp(2 i) with the place i of the piece.
class AdaptiVocab final : public Composition {
 public:
  struct Params : Options {
    static void describe(xp::Fields<Params>& f) { add_options(f); }
  };
  explicit AdaptiVocab(const Params& params) : Composition(params) {}

 private:
  Shares shares(const xp::Encoder&, const Pieces& pieces) const override {
    Shares out;
    for (auto behind = std::ssize(pieces) - 1; behind >= 0; --behind)
      out.push_back(std::exp(-2.0 * static_cast<double>(behind)));
    return out;
  }
  bool first_scores() const override { return true; }
};

}  // namespace

XP_PLUGIN(composition) {
  registry.add<MeanOfPieces>("mean_of_pieces", "Mean of the rows of the token's pieces under the old tokenizer.");
  registry.add<Fvt>("fvt", "Mean of the pieces of the token's text, tokenized anew by the old tokenizer.");
  registry.add<LengthWeighted>("length_weighted", "Pieces weighted by their length.");
  registry.add<Eeve>("eeve", "Input rows: mean of the pieces; rows of an own output table: the first piece's.");
  registry.add<AdaptiVocab>("adaptivocab",
                            "Input rows lean to the last piece; rows of an own output table: the first piece's.");
}
