#include "api/vocab_initializer.h"
#include "plugin/plugin.h"

namespace {

enum class Weight { uniform, length };

/// A new row is the mean of the rows of the pieces that the old tokenizer splits the token into (FVT, Gee et al.
/// 2022).
class MeanOfPieces final : public xp::VocabInitializer {
 public:
  struct Params {
    Weight weight = Weight::uniform;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::weight, "weight", "How much each piece counts: alike, or by its bytes.",
            {{"uniform", Weight::uniform}, {"length", Weight::length}});
    }
  };
  explicit MeanOfPieces(Params params) : p_(params) {}

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    for (const auto row : plan.open_rows()) {
      const auto pieces = setting.source.pieces(setting.target.key(row));
      std::vector<xp::MixPart> parts;
      double total = 0;
      for (const auto piece : pieces) {
        const double weight =
            p_.weight == Weight::uniform ? 1.0 : static_cast<double>(setting.source.key(piece).bytes.size());
        parts.push_back({piece, weight}), total += weight;
      }
      if (total == 0) continue;  // a token that the old tokenizer cannot write has nothing to average
      for (auto& part : parts) part.weight /= total;
      plan.set_row(row, std::move(parts), "pieces");
    }
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(mean_of_pieces) {
  registry.add<MeanOfPieces>("mean_of_pieces", "Mean of the rows of the token's pieces under the old tokenizer.");
}
