#include "catalogue.h"

namespace xp {
namespace {

using field::artifact;
using field::named;
using field::part;

FieldInfo real(std::string name, std::string doc, double fallback) {
  FieldInfo info{.name = std::move(name), .kind = Kind::real, .doc = std::move(doc)};
  info.fallback = Value(fallback);
  return info;
}

FieldInfo whole(std::string name, std::string doc, std::int64_t fallback, double min = 0) {
  FieldInfo info{.name = std::move(name), .kind = Kind::integer, .doc = std::move(doc)};
  info.fallback = Value(fallback), info.min = min;
  return info;
}

FieldInfo choice(std::string name, std::string doc, std::vector<std::string> names) {
  FieldInfo info{.name = std::move(name), .kind = Kind::choice, .doc = std::move(doc)};
  info.fallback = Value(names.front()), info.choices = std::move(names);
  return info;
}

FieldInfo flag(std::string name, std::string doc, bool fallback) {
  FieldInfo info{.name = std::move(name), .kind = Kind::boolean, .doc = std::move(doc)};
  info.fallback = Value(fallback);
  return info;
}

FieldInfo amount(std::string name, std::string doc, std::vector<Unit> units, bool required) {
  FieldInfo info{.name = std::move(name), .kind = Kind::quantity, .doc = std::move(doc), .required = required};
  info.units = std::move(units);
  return info;
}

FieldInfo optional(FieldInfo info) {
  info.nullable = true;
  return info;
}

FieldInfo evaluators(bool required) {
  FieldInfo one = part("evaluator");
  one.named = true;
  return named(field::list(one), "with", "Evaluators.", required);
}

FieldInfo any_of(std::string name, std::string doc, std::vector<FieldInfo> kinds, bool required) {
  return {.name = std::move(name),
          .kind = Kind::any_of,
          .doc = std::move(doc),
          .required = required,
          .fields = std::move(kinds)};
}

struct Builder {
  Catalogue catalogue;

  void add(const std::string& interface, const std::string& type, std::vector<FieldInfo> fields,
           std::vector<Trait> gives = {}, std::vector<Trait> needs = {}, bool draws = false) {
    Schema made;
    made.fields = std::move(fields), made.gives = std::move(gives), made.needs = std::move(needs), made.draws = draws;
    catalogue.add(
        {interface, type, "Made for tests.", made, "plugin_" + type, "lib/" + type + ".so", "hash of " + type});
  }
};

void data(Builder& b) {
  FieldInfo files{.name = "files", .kind = Kind::files, .doc = "Paths with `*`.", .required = true};
  b.add("data_source", "text", {files, whole("min_chars", "Shorter documents are left out.", 0)},
        {{"field", "text", "", {}}});
  b.add("data_source", "labelled_text",
        {files, named(field::text(), "text", "Column."), named(field::text(), "label", "Column."),
         named(field::list(field::text()), "header", "Names."),
         named(FieldInfo{.kind = Kind::boolean}, "clean", "Whether.")},
        {{"field", "text", "", {}}, {"field", "label", "", {}}});
  b.add("data_source", "joined", {named(field::list(part("data_source")), "of", "Datasets.", true)}, {});
  b.add("data_source", "aligned_text", {files},
        {{.what = "split", .name = "train"}, {.what = "split", .name = "test"}});
}

void tokenizers(Builder& b) {
  FieldInfo threads = whole("threads", "Threads that fit.", 0);
  threads.changes_results = false;
  for (const char* type : {"wordpiece", "unigram", "bpe"})
    b.add("tokenizer", type, {whole("vocab_size", "Number of tokens.", 8000, 16), threads});
  b.add("stage", "train_tokenizer",
        {named(part("tokenizer"), "method", "The algorithm.", true),
         named(artifact("dataset"), "corpus", "Text to fit to.", true),
         {.name = "reserve", .kind = Kind::map, .doc = "Ids by purpose.", .fields = {field::number(true)}}},
        {{"output", "tokenizer", "tokenizer", {}}, {"metric", "size", "tokens", {}}}, {}, true);
}

void models(Builder& b) {
  FieldInfo dropout = real("dropout", "Rate.", 0.0);
  dropout.min = 0, dropout.max = 1, dropout.below_max = true;
  b.add("model", "transformer",
        {choice("kind", "What it reads.", {"encoder", "decoder", "encoder_decoder"}), whole("layers", "Layers.", 2),
         whole("decoder_layers", "Layers.", 0), whole("width", "Width.", 128, 1), whole("heads", "Heads.", 4, 1),
         whole("ffn", "Inner width.", 0), whole("max_time", "Longest input.", 128, 1),
         choice("pooling", "Own pooling.", {"first", "mean", "last"}), dropout},
        {{"capability", "bidirectional", "", {{"kind", {"encoder", "encoder_decoder"}}}},
         {"capability", "causal", "", {{"kind", {"decoder", "encoder_decoder"}}}},
         {"capability", "logits", "", {}}});
}

void objectives(Builder& b) {
  FieldInfo rate = real("mask_rate", "Share of the tokens to predict.", 0.15);
  rate.min = 0, rate.max = 1, rate.schedulable = true;
  FieldInfo mix{.name = "mix", .kind = Kind::list, .doc = "Shares.", .fields = {{.kind = Kind::real}}};
  mix.fallback = Value(List{0.8, 0.1, 0.1});
  b.add("objective", "mlm", {rate, mix, flag("whole_words", "Whole words.", false)}, {},
        {{"capability", "primary:bidirectional", "", {}}, {"reserved", "mask", "", {}}, {"field", "ids", "", {}}});
  b.add("objective", "demanding", {}, {},
        {{"metric", "dev.accuracy", "", {}},
         {"output", "predictions", "", {}},
         {"capabilty", "primary:causal", "", {}}});
  b.add("objective", "causal_lm", {choice("loss_on", "Where.", {"all", "target"})}, {},
        {{"capability", "primary:causal", "", {}}});
  b.add("objective", "classification", {choice("pooling", "Which output.", {"first", "mean", "last"})},
        {{"metric", "accuracy", "share", {}}}, {{"field", "label", "", {}}});
  b.add("objective", "denoise", {}, {}, {{"reserved", "sentinel[100]", "", {}}});
  FieldInfo terms = named(part("objective"), "terms", "What is added up.", true);
  terms.weighted = true;
  FieldInfo list = named(field::list(terms), "terms", "What is added up.", true);
  list.weighted = true;
  b.add("objective", "sum", {choice("share", "Passes.", {"none", "pass"}), list});
  FieldInfo temperature = real("temperature", "Sharpness.", 0.07);
  temperature.learnable = true, temperature.min = 0, temperature.above_min = true;
  b.add("objective", "contrastive", {temperature});
  b.add("objective", "replaced_token_detection",
        {rate,
         {.name = "generator", .kind = Kind::model, .doc = "The smaller model."},
         choice("share", "Tables.", {"none", "embeddings", "all"})});
  b.add("objective", "match_features", {named(field::text(), "reference", "Role.", true)}, {},
        {{"parameter", "on", "", {{"reference", {"teacher"}}}}});
}

void training(Builder& b) {
  FieldInfo lr = real("lr", "Learning rate.", 0.001);
  lr.min = 0, lr.above_min = true;
  b.add("optimizer", "adamw",
        {lr, real("weight_decay", "Weight decay.", 0.01), real("layer_decay", "Per layer.", 1.0)});
  b.add("schedule", "warmup_linear", {real("warmup", "Share.", 0.1)});
  b.add("constraint", "static_mask", {real("sparsity", "Share of zeros.", 0.5)});
  using enum Unit;
  const std::vector<Unit> units{tokens, steps, epochs, items, bytes, flops, seconds};
  FieldInfo evaluate{
      .name = "evaluate",
      .kind = Kind::table,
      .doc = "Evaluation while training.",
      .nullable = true,
      .fields = {amount("every", "How often.", {tokens, steps, epochs, items}, true), evaluators(true)}};
  FieldInfo batch{.name = "batch",
                  .kind = Kind::table,
                  .doc = "Size of a step.",
                  .fields = {whole("tokens", "Tokens.", 0), whole("items", "Items.", 0),
                             whole("length", "Tokens of an item.", 0)}};
  FieldInfo keep{.name = "keep",
                 .kind = Kind::table,
                 .doc = "Which checkpoint is the output.",
                 .nullable = true,
                 .fields = {whole("best", "1: the best.", 0), named(field::text(), "by", "Metric.", true)}};
  FieldInfo clip = real("clip", "Largest norm.", 1.0);
  FieldInfo continues = named(field::list({.kind = Kind::choice, .choices = {"optimizer", "schedule", "random"}}),
                              "continues", "Goes on.");
  FieldInfo log_every = whole("log_every", "Steps between lines.", 10);
  log_every.changes_results = false;
  FieldInfo schedule = named(part("schedule"), "schedule", "Factor of the rate.");
  schedule.fallback = Value(Table{{"type", "warmup_linear"}}), schedule.nullable = true;
  const auto weighted = field::list(field::table(
      {named(artifact("dataset"), "dataset", "Data.", true), named(field::number(), "weight", "Share.")}));
  b.add("stage", "train",
        {any_of("model", "A model or a checkpoint.", {artifact("checkpoint"), {.kind = Kind::model}}, false),
         named(field::list(part("tower")), "towers", "Several models."),
         any_of("data", "Data.", {artifact("dataset"), weighted}, true),
         optional(named(artifact("tokenizer"), "tokenizer", "Of a new model.")),
         {.name = "references", .kind = Kind::map, .doc = "Frozen models.", .fields = {artifact("checkpoint")}},
         named(part("objective"), "objective", "What is minimised.", true),
         optional(named(part("optimizer"), "optimizer", "Update.")),
         schedule,
         optional(named(field::list(part("constraint")), "constraint", "Rules.")),
         amount("stop", "Length.", units, true),
         batch,
         clip,
         log_every,
         evaluate,
         keep,
         continues,
         flag("keep_state", "Keeps what a later stage may continue.", false)},
        {{"output", "checkpoint", "checkpoint", {}},
         {"metric", "loss", "nats", {}},
         {"training_state", "checkpoint", {}, {{"keep_state", {"true"}}}}},
        {{"training_state", "continues", {}, {}}}, true);
}

void transfer(Builder& b) {
  b.add("fitter", "skipgram", {whole("dim", "Numbers per token.", 100, 1), whole("epochs", "Passes.", 5, 1)});
  b.add("stage", "train_static_vectors",
        {named(part("fitter"), "method", "The algorithm.", true),
         named(field::list(artifact("dataset")), "corpus", "Text.", true)},
        {{"output", "static_vectors", "static_vectors", {}}}, {}, true);
  FieldInfo shuffle = flag("shuffle_vectors", "Negative control.", false);
  FieldInfo temperature = real("temperature", "Sharpness.", 0.1);
  temperature.min = 0, temperature.above_min = true;
  b.add("vocab_initializer", "ofa",
        {whole("rank", "Rank.", 100, 1), whole("neighbours", "Neighbours.", 10, 1), temperature, shuffle}, {},
        {{"artifact", "vectors", "", {}}});
  b.add("vocab_initializer", "cw2v", {choice("sparsity", "Rows.", {"softmax", "k_nearest"})});
  for (const char* type : {"random", "mean", "mean_of_pieces"}) b.add("vocab_initializer", type, {});
  b.add("stage", "transfer_vocabulary",
        {named(artifact("checkpoint"), "model", "Source.", true),
         named(artifact("tokenizer"), "tokenizer", "Target.", true),
         optional(named(artifact("static_vectors"), "vectors", "Words.")),
         named(part("vocab_initializer"), "initializer", "How.", true)},
        {{"output", "checkpoint", "checkpoint", {}},
         {"output", "mixing", "mixing", {}},
         {"metric", "leak_bound", "share", {}}},
        {}, true);
  b.add("checkpoint_transform", "linear_merge", {});
  b.add("stage", "transform_checkpoint",
        {named(field::list(artifact("checkpoint")), "model", "Sources.", true),
         named(part("checkpoint_transform"), "method", "What.", true)},
        {{"output", "checkpoint", "checkpoint", {}}});
  b.add("generator", "rephrase", {});
  b.add("stage", "generate",
        {named(artifact("dataset"), "corpus", "Text.", true), named(part("generator"), "method", "How.", true),
         amount("stop", "How much.", {Unit::bytes, Unit::documents}, true)},
        {{"output", "documents", "dataset", {}}}, {}, true);
}

void evaluation(Builder& b) {
  const auto test = named(artifact("dataset", true), "data", "Data.", true);
  b.add("evaluator", "pseudo_likelihood", {test, named(field::number(true), "most", "Documents.", false)},
        {{"metric", "bits", "bits/byte", {}}});
  b.add("evaluator", "sentence_retrieval", {test},
        {{"metric", "top1", "share", {}}, {"metric", "top10", "share", {}}});
  b.add("evaluator", "classification", {test}, {{"metric", "accuracy", "share", {}}});
  b.add("evaluator", "similarity", {test}, {{"metric", "spearman", "", {}}});
  b.add("evaluator", "retrieval", {test}, {{"metric", "recall@*", "share", {}}});
  FieldInfo views{.name = "views", .kind = Kind::list, .doc = "Sizes.", .fields = {field::list(field::number(true))}};
  b.add("stage", "evaluate",
        {named(artifact("checkpoint"), "model", "What is measured.", true), evaluators(true), views}, {}, {}, true);
  b.add("search", "grid", {});
  b.add("search", "tpe", {whole("trials", "Trials.", 20, 1), whole("startup", "Random ones first.", 10)});
  b.add("launcher", "local", {whole("workers", "Processes.", 1, 1)});
}

}  // namespace

Catalogue small_catalogue() {
  Builder b;
  data(b), tokenizers(b), models(b), objectives(b), training(b), transfer(b), evaluation(b);
  return std::move(b.catalogue);
}

Catalogue with_hash(Catalogue from, const std::string& interface, const std::string& type, const std::string& hash) {
  Catalogue out;
  for (const auto* info : from.list()) {
    auto copy = *info;
    if (info->interface == interface && info->type == type) copy.hash = hash;
    out.add(std::move(copy));
  }
  return out;
}

}  // namespace xp
