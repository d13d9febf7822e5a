// Masked language modelling with a vector of the text's language and one of its script between encoder and head, so
// that the encoder need not say which they are.

#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/masking.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

/// LangSAMP (Liu et al. 2024): -log softmax(head(h_i + E_lang[l] + E_script[s]))[x_i] at the hidden tokens i of a
/// text in language l and script s. The encoder, which gives h, is told neither, and both tables stay behind.
class LanguageMlm final : public xp::Objective {
 public:
  struct Params {
    double mask_rate = 0.15;
    std::vector<double> mix = {0.8, 0.1, 0.1};
    bool whole_words = false, accuracy = false;
    std::string language_field = "lang", script_field = "script";
    double init_sd = 0.02;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::mask_rate, "mask_rate", "Share of the tokens to predict.").min(0).max(1).schedulable();
      f.add(&Params::mix, "mix", "What becomes of them: shares of mask, random token, unchanged.");
      f.add(&Params::whole_words, "whole_words", "Whether words are chosen with all their tokens.");
      f.add(&Params::accuracy, "accuracy", "Whether to record the share of right first guesses.");
      f.add(&Params::language_field, "language_field", "Field of the documents that holds the language.");
      f.add(&Params::script_field, "script_field", "Field of the documents that holds the script; empty: no table.");
      f.add(&Params::init_sd, "init_sd", "Standard deviation of the vectors at the start; 0: starts as `mlm` does.")
          .min(0)
          .max(1);
      f.needs("field", "ids");
      f.needs("field", "word", {{"whole_words", {"true"}}});
      f.needs("field", "lang", {{"language_field", {"lang"}}});
      f.needs("field", "script", {{"script_field", {"script"}}});
      f.needs("capability", "primary:bidirectional");
      f.needs("capability", "primary:logits");
      f.needs("reserved", "mask");
      f.gives("metric", "accuracy", "share", {{"accuracy", {"true"}}});
    }
  };

  explicit LanguageMlm(Params p)
      : options_(xp::mask_options(p.mask_rate, p.mix, p.whole_words)), accuracy_(p.accuracy), init_sd_(p.init_sd) {
    if (p.language_field.empty())
      throw xp::Error("`language_field` is empty; name the field that holds the language, or use `mlm`");
    if (p.language_field == p.script_field)
      throw xp::Error("`language_field` and `script_field` are both " + xp::backquoted(p.script_field) +
                      "; without a field for the script write script_field = \"\"");
    tables_.push_back({"language", p.language_field, "train with `mlm` instead"});
    if (!p.script_field.empty()) tables_.push_back({"script", p.script_field, "write script_field = \"\""});
  }

  void build(xp::BuildContext& context) override {
    const auto width = context.model("primary").shape().width;
    for (auto& table : tables_) {
      const auto classes = std::ssize(context.categories(table.field));
      if (classes < 2)
        throw xp::Error("field " + xp::backquoted(table.field) + " has " +
                        xp::count(static_cast<std::size_t>(classes), "value") +
                        ", and one vector for all tells nothing apart; " + table.remedy);
      table.weight =
          context.add({table.name, "head", -1, xp::Lifetime::pretrain_only}, {classes, width}, {0, init_sd_});
    }
  }

  std::unique_ptr<xp::Transform> input_transform() override { return std::make_unique<xp::MaskTokens>(options_); }
  xp::Counts counts(const xp::Batch& batch) const override {
    return {{"language_mlm", batch.dense("labels").ge(0).sum(1)}};
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    const auto hidden = xp::labelled(batch.dense("labels"));
    const xp::ForwardInput in{.ids = batch.dense("masked_ids"),
                              .mask = batch.dense("input.mask"),
                              .segments = xp::segments_of(batch),
                              .sample_id = batch.sample_id};
    auto picked = context.forward("primary", in, {.at = hidden.at}).picked;
    for (const auto& table : tables_)
      picked = picked + vectors(table, batch, context, picked).index_select(0, hidden.item);
    const auto logits = context.logits("primary", picked);
    xp::StepResult result{.terms = {{"language_mlm", xp::cross_entropy_by_item(logits, hidden, batch.items())}}};
    if (accuracy_) {
      const auto right = logits.detach().argmax(-1).eq(hidden.labels);
      result.metrics.push_back({"accuracy", right.sum(), right.sum().new_full({}, right.numel())});
    }
    return result;
  }

 private:
  struct ClassTable {
    std::string name, field, remedy;
    xp::Param weight = 0;
  };

  /// Of each item, as wide as `like`, for a view may be narrower than the table; zero where the class is unknown.
  static at::Tensor vectors(const ClassTable& table, const xp::Batch& batch, xp::StepContext& context,
                            const at::Tensor& like) {
    const auto& classes = batch.dense(table.field);
    if (classes.dim() != 1)
      throw xp::Error("field " + xp::backquoted(table.field) + " has " + std::to_string(classes.dim()) +
                      " axes; language_mlm needs one " + table.name + " per item");
    const auto weight = context.weight(table.weight).narrow(1, 0, like.size(-1));
    const auto known = classes.ge(0).unsqueeze(-1);
    return (xp::ops::embedding(weight, classes.clamp_min(0)) * known).to(like.scalar_type());
  }

  xp::MaskOptions options_;
  bool accuracy_;
  double init_sd_;
  std::vector<ClassTable> tables_;  // the language's, then the script's if there is one
};

}  // namespace

XP_PLUGIN(language_mlm) {
  registry.add<LanguageMlm>("language_mlm", "Masked language modelling with language and script given to the head.");
}
