#include <algorithm>

#include "api/stage.h"
#include "plugin/plugin.h"

namespace {

/// Trains a model, new or from a checkpoint, with one objective.
class Train final : public xp::Stage {
 public:
  struct Batch {
    std::int64_t tokens = 0, items = 0, length = 0, micro = 0;
    bool pack = false;
    static void describe(xp::Fields<Batch>& f) {
      f.add(&Batch::tokens, "tokens", "Input tokens of a step, without padding; 0 is 2048 unless `items` is given.")
          .min(0);
      f.add(&Batch::items, "items", "Items of a step, instead of tokens.").min(0);
      f.add(&Batch::length, "length", "Tokens of an item; 0 is what the model takes.").min(0);
      f.add(&Batch::pack, "pack",
            "Several short texts share a row of `length` tokens and do not read each other: less padding. For `mlm` "
            "and "
            "other objectives whose loss stays within a text.");
      f.add(&Batch::micro, "micro", "Items of one pass; 0 splits by padded tokens.").min(0).no_result();
    }
  };
  struct Evaluate {
    xp::Quantity every;
    std::vector<xp::NamedEvaluator> with;
    static void describe(xp::Fields<Evaluate>& f) {
      using enum xp::Unit;
      f.add(&Evaluate::every, "every", "How often, beside the start and the end.")
          .units({tokens, steps, epochs, items, bytes, flops})
          .required();
      f.add(&Evaluate::with, "with", "Evaluators.").required();
    }
  };
  struct Keep {
    std::int64_t best = 0;
    std::string by;
    bool higher = true;
    static void describe(xp::Fields<Keep>& f) {
      f.add(&Keep::best, "best", "1 makes the best checkpoint the output instead of the last one.").min(0).max(1);
      f.add(&Keep::by, "by", "Metric of an evaluator that decides, e.g. `dev.accuracy`.").required();
      f.add(&Keep::higher, "higher", "Whether a higher value is better.");
    }
  };
  struct Params {
    std::optional<xp::Value> model;
    xp::Value data;
    std::optional<xp::Value> towers;
    std::optional<xp::Reference> tokenizer;
    xp::Table references;
    std::unique_ptr<xp::Objective> objective;
    std::unique_ptr<xp::Optimizer> optimizer;
    std::unique_ptr<xp::Schedule> schedule;
    std::unique_ptr<xp::TrainingStrategy> strategy;
    std::vector<std::unique_ptr<xp::Constraint>> constraint;
    std::vector<std::unique_ptr<xp::Callback>> callbacks;
    std::vector<std::unique_ptr<xp::Transform>> transforms;
    xp::Quantity stop;
    Batch batch;
    double clip = 1.0;
    std::optional<Evaluate> evaluate;
    std::optional<Keep> keep;
    std::optional<xp::Quantity> schedule_length;
    std::vector<std::string> continues;
    bool keep_state = false;
    std::optional<xp::Quantity> checkpoint_every;

    static void describe(xp::Fields<Params>& f) {
      using enum xp::Unit;
      const auto weighted = xp::field::list(xp::field::table(
          {xp::field::named(xp::field::artifact("dataset"), "dataset", "Data.", true),
           xp::field::named(xp::field::number(), "weight", "Share of the tokens, relative to the others.")}));
      f.add(&Params::model, "model", "A model, which starts new, or a checkpoint.")
          .any_of({xp::field::artifact("checkpoint"), xp::field::part("model")});
      f.add(&Params::towers, "towers",
            "Several models, each with the role of its name; the first stands for `model` where there is none.")
          .any_of({xp::field::list(xp::field::part("tower"))});
      f.add(&Params::data, "data", "Data, or a list of { dataset, weight }.")
          .any_of({xp::field::artifact("dataset"), weighted})
          .required();
      f.add(&Params::tokenizer, "tokenizer", "Needed for a new model that reads text; a checkpoint brings its own.")
          .artifact("tokenizer");
      f.add(&Params::references, "references",
            "Frozen models by role, for objectives that compare with them, or what a stage predicted.")
          .map_of(xp::field::artifact("checkpoint or predictions"));
      f.add(&Params::objective, "objective", "What is minimised.").required();
      f.add(&Params::optimizer, "optimizer", "How weights are updated.").otherwise(xp::Table{{"type", "adamw"}});
      f.add(&Params::schedule, "schedule", "Factor of the learning rate over the stage; none is a constant.")
          .otherwise(xp::Table{{"type", "warmup_linear"}});
      f.add(&Params::strategy, "strategy", "The training loop.").otherwise(xp::Table{{"type", "standard"}});
      f.add(&Params::constraint, "constraint", "Rules on weights that hold during the stage.").optional();
      f.add(&Params::callbacks, "callbacks", "Watchers.").optional();
      f.add(&Params::transforms, "transforms", "Changes of examples before the objective's own.").optional();
      f.add(&Params::stop, "stop", "Length of the stage.")
          .units({tokens, supervised, steps, epochs, items, bytes, flops, seconds})
          .required();
      f.add(&Params::batch, "batch", "Size of a step.");
      f.add(&Params::clip, "clip", "Largest norm of all gradients together; 0 is none.").min(0);
      f.add(&Params::evaluate, "evaluate", "Evaluation while training.").optional();
      f.add(&Params::keep, "keep", "Which checkpoint is the output.").optional();
      f.add(&Params::schedule_length, "schedule_length",
            "Where the schedule of the learning rate ends, if not at `stop`.")
          .units({tokens, supervised, steps, epochs, items, bytes, flops, seconds})
          .optional();
      f.add(&Params::continues, "continues",
            "What goes on from the stage that made `model`, beside the weights: its moments, its place on the "
            "schedule, "
            "its order of data and draws. None: all start anew.")
          .choices({"optimizer", "schedule", "random"});
      f.add(&Params::keep_state, "keep_state", "Keeps with the checkpoint what a later stage may continue.");
      f.add(&Params::checkpoint_every, "checkpoint_every", "Training states beside the one each minute.")
          .units({tokens, steps, epochs, items, bytes, flops})
          .optional()
          .no_result();
      f.needs("parameter", "model", {{"towers", {"none"}}});
      f.needs("training_state", "continues");
      f.gives("training_state", "checkpoint", {}, {{"keep_state", {"true"}}});
      f.gives("output", "checkpoint", "checkpoint");
      f.gives("metric", "loss", "nats"), f.gives("metric", "term.*", "nats"), f.gives("metric", "train.*");
      f.gives("metric", "lr"), f.gives("metric", "gradient_norm"), f.gives("metric", "knob.*");
      f.gives("metric", "skipped_steps", "steps"), f.gives("metric", "parameters", "numbers");
      f.draws();
    }
  };
  explicit Train(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    xp::TrainRequest request;
    if (p_.model) request.model = model_of(*p_.model);
    if (p_.towers)
      for (const auto& one : *p_.towers->as<xp::List>()) request.towers.push_back(tower(*one.as<xp::Table>()));
    request.data = parts();
    request.tokenizer = p_.tokenizer;
    for (const auto& [role, reference] : p_.references) xp::detail::take(reference, request.references[role]);
    request.objective = std::move(p_.objective), request.optimizer = std::move(p_.optimizer);
    request.schedule = std::move(p_.schedule), request.strategy = std::move(p_.strategy);
    request.constraints = std::move(p_.constraint), request.callbacks = std::move(p_.callbacks);
    request.transforms = std::move(p_.transforms);
    request.stop = p_.stop;
    request.batch = {p_.batch.tokens, p_.batch.items, p_.batch.length, p_.batch.pack};
    request.micro_batch = p_.batch.micro;
    request.clip = p_.clip;
    if (p_.evaluate) request.evaluate_every = p_.evaluate->every, request.evaluators = std::move(p_.evaluate->with);
    if (p_.keep)
      request.keep_best = p_.keep->best, request.keep_by = p_.keep->by, request.keep_higher = p_.keep->higher;
    if (p_.keep_state && request.keep_best > 0)
      throw xp::Error(
          "`keep_state` keeps the optimizer's moments of the last step, and `keep` makes the weights of another "
          "step the output; leave one of them out");
    request.schedule_length = p_.schedule_length, request.keep_state = p_.keep_state;
    const auto goes_on = [&](const char* what) {
      return std::find(p_.continues.begin(), p_.continues.end(), what) != p_.continues.end();
    };
    request.continues = {goes_on("optimizer"), goes_on("schedule"), goes_on("random")};
    request.checkpoint_every = p_.checkpoint_every;
    context.train(std::move(request));
  }

 private:
  static std::variant<xp::ModelSpec, xp::Reference> model_of(const xp::Value& value) {
    if (const auto* from = value.as<xp::Reference>()) return *from;
    xp::ModelSpec spec;
    xp::detail::take(value, spec);
    return spec;
  }

  // As the reader of recipes resolves [tower.NAME].
  static xp::TowerRequest tower(const xp::Table& table) {
    xp::TowerRequest out;
    xp::detail::take(table.at("name"), out.role);
    out.model = model_of(table.at("model"));
    xp::detail::take(table.at("lr_mult"), out.lr_mult);
    xp::detail::take(table.at("ema_decay"), out.ema_decay);
    if (const auto of = table.find("ema_of"); of != table.end()) xp::detail::take(of->second, out.ema_of);
    out.train.clear();
    if (const auto* train = table.at("train").as<xp::List>()) {
      for (const auto& pattern : *train) xp::detail::take(pattern, out.train.emplace_back());
    } else if (table.at("train") == xp::Value("all")) {
      out.train.push_back("*");
    }
    return out;
  }

  std::vector<xp::DataPart> parts() const {
    std::vector<xp::DataPart> out;
    if (const auto* one = p_.data.as<xp::Reference>()) return {{*one, 1}};
    for (const auto& entry : *p_.data.as<xp::List>()) {
      const auto& table = *entry.as<xp::Table>();
      xp::DataPart part;
      xp::detail::take(table.at("dataset"), part.dataset);
      if (const auto weight = table.find("weight"); weight != table.end())
        xp::detail::take(weight->second, part.weight);
      if (part.weight <= 0)
        throw xp::Error("data " + part.dataset.text + " has the weight " + std::to_string(part.weight) +
                        "; weights are above 0");
      out.push_back(std::move(part));
    }
    return out;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(train) { registry.add<Train>("train", "Trains a model with one objective."); }
