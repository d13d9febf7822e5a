
#include <algorithm>
#include <cmath>

#include "api/stage.h"
#include "api/vocab_initializer.h"
#include "base/text.h"
#include "geometry.h"
#include "held_out.h"
#include "kit/mixing.h"
#include "kit/tensors.h"
#include "kit/vocab_transfer.h"
#include "plugin/plugin.h"

namespace {

/// Gives a model the vocabulary of another tokenizer.
class TransferVocabulary final : public xp::Stage {
 public:
  struct Params {
    xp::Reference model, tokenizer;
    std::optional<xp::Reference> vectors, source_vectors, corpus, translations;
    std::unique_ptr<xp::VocabInitializer> initializer;
    std::vector<std::string> copy{"exact"};
    double held_out = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::model, "model", "The checkpoint whose vocabulary is replaced.")
          .artifact("checkpoint")
          .required();
      f.add(&Params::tokenizer, "tokenizer", "The new tokenizer.").artifact("tokenizer").required();
      f.add(&Params::vectors, "vectors", "Static word vectors, for initializers that compare words.")
          .artifact("static_vectors");
      f.add(&Params::source_vectors, "source_vectors",
            "Vectors of the old language or vocabulary, where `vectors` are of the new one alone.")
          .artifact("static_vectors");
      f.add(&Params::corpus, "corpus", "Text, for initializers that look at it.").artifact("dataset");
      f.add(&Params::translations, "translations",
            "Words of both languages that translate each other, as `word_alignment` counts them.")
          .artifact("statistics");
      f.add(&Params::initializer, "initializer", "How rows that no old token stands for are made.").required();
      f.add(&Params::copy, "copy",
            "Which tokens of both vocabularies are the same: `exact`, `word_start` (any word start), `casefold`, in "
            "this order; [] copies specials only.");
      f.add(&Params::held_out, "held_out",
            "Share of the shared tokens that are hidden and made as if they were new, in a plan beside the one that "
            "is "
            "kept, to measure how near made rows come to true ones. A model beside the old one still knows them.")
          .min(0)
          .below(1);
      f.gives("output", "checkpoint", "checkpoint"), f.gives("output", "mixing", "mixing");
      f.gives("metric", "leak_bound", "nats"), f.gives("metric", "hubness", "share"),
          f.gives("metric", "share.*", "share");
      f.gives("metric", "norm_ratio", "ratio"), f.gives("metric", "pairwise_cosine", "cosine");
      f.gives("metric", "effective_rank", "dimensions"), f.gives("metric", "repeated_rows", "share");
      f.gives("metric", "zero_rows", "share"), f.gives("metric", "held_out.tokens", "tokens");
      f.gives("metric", "held_out.cosine", "cosine"), f.gives("metric", "held_out.cosine.*", "cosine");
      f.gives("metric", "held_out.relative_l2", "ratio"), f.gives("metric", "held_out.norm_ratio", "ratio");
      f.gives("metric", "held_out.mrr", "mrr");
      f.draws();
    }
  };
  explicit TransferVocabulary(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    const auto from = context.checkpoint(p_.model);
    if (!from.towers.empty())
      throw xp::Error("the checkpoint " + xp::backquoted(p_.model.text) +
                      " holds several models; one with a vocabulary of its own can get a new one");
    const auto source = context.tokenizer(p_.model);
    const auto target = context.tokenizer(p_.tokenizer);
    if (!source)
      throw xp::Error("the checkpoint " + xp::backquoted(p_.model.text) +
                      " has no tokenizer, so its rows have no names");
    std::optional<xp::State> vectors;
    if (p_.vectors) vectors = context.state(*p_.vectors);
    std::shared_ptr<const xp::DataSource> corpus;
    if (p_.corpus) corpus = context.documents(*p_.corpus);
    std::optional<xp::State> source_vectors, translations;
    if (p_.source_vectors) source_vectors = context.state(*p_.source_vectors);
    if (p_.translations) translations = context.state(*p_.translations);
    const auto subject = context.handle(p_.model);
    std::optional<xp::Checkpoint> other;
    std::shared_ptr<const xp::Encoder> other_tokens;
    std::optional<xp::Donor> donor;
    if (const auto* reference = p_.initializer->donor()) {
      other = context.checkpoint(*reference), other_tokens = context.tokenizer(*reference);
      if (!other_tokens)
        throw xp::Error("the donor " + xp::backquoted(reference->text) +
                        " has no tokenizer, so its rows have no names");
      donor.emplace(xp::Donor{*other_tokens, *other});
    }
    xp::VocabSetting setting{.source = *source,
                             .target = *target,
                             .weights = &from.parameters,
                             .vectors = vectors ? &*vectors : nullptr,
                             .corpus = corpus.get(),
                             .subject = subject.get(),
                             .random = context.random().child("initializer"),
                             .donor = donor ? &*donor : nullptr,
                             .source_vectors = source_vectors ? &*source_vectors : nullptr,
                             .translations = translations ? &*translations : nullptr};
    // Planning is the second quarter of the stage as it is shown.
    setting.progress = [&](double done, double total, std::string_view what) {
      context.progress(1 + (total > 0 ? done / total : 0), 4, what);
    };
    context.progress(1, 4, "planning rows");
    const auto plan = xp::plan_vocabulary(setting, *p_.initializer, xp::match_levels(p_.copy));
    context.progress(2, 4, "writing tables");
    const auto factors = p_.initializer->factorise(setting);
    const auto to = assemble(context, from, plan, factors);
    context.save(to, &p_.tokenizer, "checkpoint");
    context.save(named(xp::plan_state(plan), *source, *target), "mixing");
    record(context.recorder(), from, to, *source, *target, plan);
    if (p_.held_out > 0) {
      context.progress(3, 4, "making hidden rows");
      const auto rows = xp::transfer::held_out_rows(setting, *p_.initializer, xp::match_levels(p_.copy), p_.held_out);
      xp::transfer::record(context.recorder(), setting, rows);
    }
  }

 private:
  /// The plan with the texts of both vocabularies, so that it can be read without them.
  static xp::State named(xp::State plan, const xp::Encoder& source, const xp::Encoder& target) {
    for (const auto& [name, encoder] : {std::pair{"source_token", &source}, {"target_token", &target}}) {
      xp::Strings texts;
      for (xp::TokenId id = 0; id < encoder->size(); ++id) texts.push_back(xp::printable(encoder->text(id)));
      plan.set(name, std::move(texts));
    }
    return plan;
  }

  /// The same model with the new vocabulary: tables from the plan, everything else as it was.
  xp::Checkpoint assemble(xp::StageContext& context, const xp::Checkpoint& from, const xp::MixPlan& plan,
                          const std::optional<xp::Factorisation>& factors) const {
    xp::ModelSpec spec{.type = from.type, .like = {}, .settings = from.settings};
    if (factors) spec.settings = factorised_settings(context, from, factors->rank);
    auto to = context.fresh(spec, &p_.tokenizer);
    std::map<const void*, at::Tensor> done;  // a tied table is mixed once
    for (xp::Param i = 0; i < to.parameters.size(); ++i) {
      const auto& info = to.parameters.info[i];
      auto& value = done[to.parameters.values[i].unsafeGetTensorImpl()];
      if (!value.defined()) value = parameter(info, from, plan, factors);
      if (value.sizes() != to.parameters.values[i].sizes())
        throw xp::Error("parameter " + xp::backquoted(info.name) + " does not fit the model with the new vocabulary");
      to.parameters.values[i] = value;
    }
    return to;
  }

  static at::Tensor parameter(const xp::ParameterInfo& info, const xp::Checkpoint& from, const xp::MixPlan& plan,
                              const std::optional<xp::Factorisation>& factors) {
    if (factors && info.role == "primitives")
      return xp::tensor_of(factors->primitives, {factors->rank, std::ssize(factors->primitives) / factors->rank});
    const auto& old = from.parameters.values[from.parameters.find(info.name)];
    if (!info.role.starts_with("vocab.")) return old;
    if (factors && old.dim() == 2)
      return xp::apply_plan(
          plan,
          xp::tensor_of(factors->coordinates, {std::ssize(factors->coordinates) / factors->rank, factors->rank}),
          info.role);
    return xp::apply_plan(plan, old, info.role);
  }

  static xp::Table factorised_settings(xp::StageContext& context, const xp::Checkpoint& from, std::int64_t rank) {
    xp::Table table = from.settings;
    table.insert_or_assign("type", from.type);
    const auto made = context.parts().make_part(xp::Model::kInterface, table);
    if (auto settings = static_cast<const xp::Model&>(*made).factorised(rank)) return std::move(*settings);
    throw xp::Error(
        "a model of type " + xp::backquoted(from.type) + " cannot keep its vocabulary as a product; use rank = 0",
        xp::Exit::usage);
  }

  void record(xp::Recorder& out, const xp::Checkpoint& from, const xp::Checkpoint& to, const xp::Encoder& source,
              const xp::Encoder& target, const xp::MixPlan& plan) const {
    const auto about =
        xp::report(plan, {xp::kCopyRule}, xp::has_own_output(from.parameters) ? "vocab.output" : "vocab.input");
    if (about.leak_bound)
      out.metric("leak_bound", *about.leak_bound, {.unit = "nats", .version = "1"});
    else
      out.note("no leak bound: some new rows are no convex combination of old rows");
    out.metric("hubness", about.hubness, {.unit = "share", .version = "1"});
    for (const auto& [rule, rows] : about.rules)
      out.metric("share." + rule, static_cast<double>(rows) / static_cast<double>(plan.target_size()),
                 {.unit = "share"});
    out.metric("norm_ratio", mean_norm(to) / mean_norm(from), {.unit = "ratio"});
    record(out, xp::transfer::geometry_of(plan, input_of(to)), plan);
    for (std::size_t id = 0; id < plan.rows().size(); ++id)
      out.ledger("tokens", xp::ledger_columns(),
                 xp::ledger_row(source, target, static_cast<xp::TokenId>(id), plan.rows()[id]));
  }

  static void record(xp::Recorder& out, const xp::transfer::Geometry& shape, const xp::MixPlan& plan) {
    const auto made = std::count_if(plan.rows().begin(), plan.rows().end(),
                                    [](const auto& row) { return row.rule != xp::kCopyRule; });
    const auto rows = static_cast<double>(std::max<std::ptrdiff_t>(1, made));
    out.metric("pairwise_cosine", shape.pairwise_cosine, {.unit = "cosine"});
    out.metric("effective_rank", shape.effective_rank, {.unit = "dimensions"});
    out.metric("repeated_rows", static_cast<double>(shape.repeated) / rows, {.unit = "share"});
    out.metric("zero_rows", static_cast<double>(shape.zero) / rows, {.unit = "share"});
  }

  // What the model makes of a factorised table is not known from outside, so it is taken as it stands.
  static const at::Tensor& input_of(const xp::Checkpoint& checkpoint) {
    return checkpoint.parameters.values[checkpoint.parameters.select("role:vocab.input").at(0)];
  }
  static double mean_norm(const xp::Checkpoint& checkpoint) {
    return input_of(checkpoint).to(at::kDouble).norm(2, 1).mean().item<double>();
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(transfer_vocabulary) {
  registry.add<TransferVocabulary>("transfer_vocabulary", "Gives a model the vocabulary of another tokenizer.");
}
