#include "engine/trainer.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "engine/continuation.h"
#include "engine/device.h"
#include "engine/gradients.h"
#include "engine/host_handle.h"
#include "engine/keeping.h"
#include "engine/packing.h"
#include "engine/pass_cache.h"
#include "engine/point_recorder.h"
#include "engine/step_sums.h"
#include "engine/towers.h"
#include "engine/training_state.h"
#include "graph/work_clock.h"
#include "kit/chain.h"

namespace xp {
namespace {

using Clock = std::chrono::steady_clock;

// A run whose gradients stay broken has diverged; single bad steps are skipped and counted.
constexpr int kMostBadSteps = 20;
constexpr std::int64_t kDefaultBatchTokens = 2048;
constexpr std::int64_t kDefaultLength = 128;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class TrainerImpl final : public Trainer {
 public:
  TrainerImpl(TrainRequest request, TrainingHost host)
      : r_(std::move(request)), h_(std::move(host)), continued_(r_, h_) {
    build_session();
    build_data();
    policy_ = r_.optimizer->policy();
    r_.optimizer->start(parameter_groups(all_, distinct_, policy_,
                                         [this](const std::string& name) { return towers_->lr_mult(name); }));
    ramps_ = ramps_in(r_.objective->settings());
  }

  Trained run() {
    load_state();
    if (state_.evaluations == 0) evaluate();
    last_save_ = Clock::now();
    run_strategy();
    if (!weights_due(state_.counters.steps)) record_fingerprints();
    if (state_.last_evaluated_step != state_.counters.steps) evaluate();
    loader_->stop();
    for (const auto& callback : r_.callbacks) callback->finished("done");
    return finish();
  }

  bool done() const override { return h_.processes.any(stop_ || progress_of(r_.stop, state_.counters) >= 1); }

  const std::vector<Batch>& next() override {
    if (h_.processes.any(h_.stop_requested(progress_of(r_.stop, state_.counters)))) {
      save_state(), writer_.finish(), saved_for_stop_ = true;
      throw Error("stopped with a good checkpoint at step " + std::to_string(state_.counters.steps), Exit::stopped);
    }
    const WorkClock waited;
    batch_ = loader_->next();
    state_.counters.seconds += waited.seconds();
    if (h_.fingerprints.batch) h_.fingerprints.batch(batch_.counters.steps, batch_.fingerprint);
    return batch_.micro;
  }

  const StepReport& accumulate(const std::vector<Batch>& micro) override {
    const WorkClock clock;
    if (micro.size() > 1 && r_.objective->batch_coupled())
      throw Error("objective " + backquoted(r_.objective->type()) + " compares items, its batch cannot be split");
    if (!std::exchange(begun_, true)) log::debug("first step begins");
    for (const auto i : distinct_) all_.values[i].mutable_grad() = at::Tensor();
    for (const auto& [name, ramp] : ramps_)
      r_.objective->set(name, ramp.at(ramp_progress(ramp, r_.stop, state_.counters)));
    report_ = {}, session_->step = continued_.first_step() + state_.counters.steps;
    StepSums sums(sources_);
    sums.count(*r_.objective, micro, h_.processes);
    for (const auto& batch : micro) pass(batch, sums);
    sums.flops = std::exchange(session_->flops, 0);
    sums.exchange(h_.processes, all_, distinct_);
    sums.report(report_);
    step_flops_ = sums.flops;
    state_.counters.supervised_tokens += static_cast<std::int64_t>(sums.supervised());
    for (const auto& constraint : r_.constraints) constraint->after_backward(all_);
    state_.counters.seconds += clock.seconds();
    return report_;
  }

  bool update() override {
    const WorkClock clock;
    report_.lr = policy_.lr * (r_.schedule ? r_.schedule->at(continued_.schedule(r_, state_.counters)) : 1.0);
    report_.gradient_norm = clip_gradients(all_, distinct_, r_.clip);
    const bool good = std::isfinite(report_.gradient_norm);
    if (good) {
      r_.optimizer->update(report_.lr);
      towers_->follow();
      for (const auto& constraint : r_.constraints) constraint->after_update(all_, *r_.optimizer);
      bad_in_a_row_ = 0;
    } else {
      ++state_.skipped;
      if (++bad_in_a_row_ >= kMostBadSteps)
        throw Diverged("diverged: gradients were not finite for " + std::to_string(kMostBadSteps) +
                       " steps up to step " + std::to_string(state_.counters.steps) +
                       "; lower the learning rate or the precision's range is too small");
    }
    take_counters();
    state_.counters.seconds += clock.seconds();
    record();
    for (const auto& callback : r_.callbacks)
      if (const auto wish = callback->after_step(report_); wish != Next::go_on) steer(wish);
    h_.progress(std::min(progress_of(r_.stop, state_.counters), 1.0), 1.0,
                "loss " + short_number(report_.loss) + ", " +
                    short_number(static_cast<double>(state_.counters.input_tokens) /
                                 std::max(state_.counters.seconds, 1e-9)) +
                    " tokens/s");
    return good;
  }

  void discard() override {
    for (const auto i : distinct_) all_.values[i].mutable_grad() = at::Tensor();
    take_counters();
  }

  void evaluate_if_due() override {
    if (!r_.evaluate_every || r_.evaluators.empty()) return;
    const auto due = static_cast<std::int64_t>(std::floor(progress_of(*r_.evaluate_every, state_.counters)));
    if (due > state_.evaluations_due) state_.evaluations_due = due, evaluate();
  }

  void checkpoint_if_due() override {
    bool due = seconds_since(last_save_) >= h_.checkpoint_seconds || writer_.wants(state_.counters.steps);
    if (r_.checkpoint_every) {
      const auto n = static_cast<std::int64_t>(std::floor(progress_of(*r_.checkpoint_every, state_.counters)));
      if (n > state_.checkpoints_due) state_.checkpoints_due = n, due = true;
    }
    if (due) save_state();
  }

 private:
  // What the lost process did since the last update is gone with it; the weights are whole.
  void run_strategy() {
    if (h_.processes.alone()) return r_.strategy->run(*this);
    try {
      r_.strategy->run(*this);
    } catch (const Error& error) {
      if (error.exit() == Exit::stopped && !saved_for_stop_) save_state(), writer_.finish();
      throw;
    }
  }

  void build_session() {
    towers_ = std::make_unique<Towers>(r_, h_.checkpoint, h_.device);
    SessionResources resources;
    if (const auto from = tokenizer_of(r_)) resources.encoder = h_.tokenizer(*from);
    encoder_ = resources.encoder;
    if (encoder_)
      for (const auto* start : towers_->starts()) check_same_ids(*start, *encoder_);
    references_ = std::make_unique<References>(r_.references,
                                               References::Host{h_.checkpoint, h_.predictions, h_.open, h_.device});
    resources.checkpoints = [this](std::string_view pattern) {
      const auto found = references_->fitting(pattern);
      return found.empty() ? towers_->ingredients(pattern) : found;
    };
    resources.artifact = h_.artifact;
    resources.categories = [this](std::string_view field) {
      auto known = references_->categories(field);
      return known.empty() ? categories_of(*h_.pool.corpus(r_.data.front().dataset), field) : known;
    };
    resources.predict = [this](std::string_view role, const Batch& batch, std::string_view field, double& flops) {
      return references_->predict(role, batch, field, flops);
    };
    session_ = std::make_unique<Session>(h_.registry, h_.random, std::move(resources), h_.precision, h_.device);
    towers_->add_to(*session_);
    references_->add_to(*session_);
    session_->build(*r_.objective);
    session_->processes = &h_.processes;
    context_ = session_->context(true);
    all_ = session_->trainable();
    distinct_ = all_.distinct();
    for (const auto& constraint : r_.constraints) constraint->start(all_, h_.random.child("constraint"));
  }

  void build_data() {
    transform_ = chained(std::move(r_.transforms), r_.objective->input_transform());
    if (transform_) transform_->start(session_->resources());
    std::int64_t most = 0;  // tokens that every model of the stage takes
    for (const auto& role : session_->own_roles())
      if (const auto time = session_->model(role).model->shape().max_time; time > 0 && (most == 0 || time < most))
        most = time;
    CutRule rule;
    rule.length = r_.batch.length > 0 ? r_.batch.length : most > 0 ? most : kDefaultLength;
    if (most > 0 && rule.length > most)
      throw Error("batch length " + std::to_string(rule.length) + " is beyond the " + std::to_string(most) +
                  " tokens that the model takes");
    for (const auto& [field, names] : session_->categories()) rule.categorical.push_back(field);
    rule.windows = rule.categorical.empty();
    std::vector<Loader::Part> sources;
    for (const auto& part : r_.data)
      sources.push_back({h_.pool.examples(part.dataset, encoder_, rule, session_->categories()), part.weight});
    LoaderSettings settings;
    settings.size = r_.batch;
    if (settings.size.tokens == 0 && settings.size.items == 0) settings.size.tokens = kDefaultBatchTokens;
    if (r_.batch.pack) check_packing(*session_, *r_.objective, h_.registry), settings.pack = rule.length;
    settings.read = rule.categorical;
    settings.micro_items = r_.micro_batch, settings.whole = r_.objective->batch_coupled();
    settings.end_at_epoch = r_.stop.unit == Unit::epochs;
    settings.threads = h_.threads, settings.device = h_.device;
    settings.rank = h_.processes.rank(), settings.processes = h_.processes.size();
    const bool feedback = transform_ && !transform_->subscriptions().empty();
    const bool unforeseen = !ramps_in(r_.objective->settings()).empty() && known_to_training_alone(r_.stop.unit);
    if (feedback && !h_.processes.alone())
      throw Error("the data of objective " + backquoted(r_.objective->type()) +
                  " depend on what its steps said, which only one process can know; run it without --nproc");
    if (feedback || unforeseen) settings.ahead = 0;
    settings.before_batch = [this](const Counters& counters) { before_batch(counters); };
    loader_ =
        std::make_unique<Loader>(std::move(sources), transform_.get(), h_.random.child("data"), std::move(settings));
    if (!r_.batch.pack) sources_ = loader_->sources();  // a row may hold texts of several
  }

  void before_batch(const Counters& counters) {
    if (!transform_) return;
    // In advance only data counters are known; stop rules in others make batches on demand, when the trainer's are
    // right.
    auto known = counters;
    known.epochs = continued_.own_epochs(counters.epochs);
    if (known_to_training_alone(r_.stop.unit)) known = state_.counters;
    for (const auto& [name, ramp] : ramps_) transform_->set(name, ramp.at(ramp_progress(ramp, r_.stop, known)));
    deliver(undelivered_, *transform_, counters.steps);
  }

  void pass(const Batch& batch, StepSums& sums) {
    session_->refresh();
    session_->packed = r_.batch.pack ? &batch : nullptr;
    std::optional<PassCache> cache;
    if (r_.objective->batch_coupled() && r_.micro_batch > 0) cache.emplace(r_.micro_batch);
    session_->pass_cache = cache ? &*cache : nullptr;
    const auto result = r_.objective->step(batch, *context_);
    if (const auto sum = sums.add(result, batch, r_.objective->type()); sum.defined()) sum.backward();
    if (cache) cache->backward([this] { session_->refresh(); });
    session_->pass_cache = nullptr, session_->packed = nullptr;
    if (transform_) add_feedback(result, batch, state_.counters.steps, transform_->subscriptions(), undelivered_);
  }

  void take_counters() {
    auto& c = state_.counters;
    c.steps = batch_.counters.steps, c.input_tokens = batch_.counters.input_tokens, c.items = batch_.counters.items;
    c.bytes = batch_.counters.bytes, c.epochs = continued_.own_epochs(batch_.counters.epochs);
    c.flops += step_flops_, c.flops_effective += step_flops_ * density(all_, distinct_, r_.constraints);
    c.memory = peak_memory(h_.device);
    state_.position = batch_.after;
    report_.counters = c;
  }

  void record() {
    const auto& c = state_.counters;
    std::map<std::string, double> knobs;
    for (const auto& [name, ramp] : ramps_) knobs[name] = ramp.at(ramp_progress(ramp, r_.stop, c));
    record_step(h_.recorder, report_, c, knobs, r_.data.front().dataset.text);
    if (weights_due(c.steps)) record_fingerprints();
  }

  void record_fingerprints() {
    record_weights(h_.fingerprints, state_.counters.steps, all_, distinct_, towers_->averages());
  }

  void evaluate() {
    if (!r_.evaluate_every || r_.evaluators.empty()) return;
    ++state_.evaluations, state_.last_evaluated_step = state_.counters.steps;
    if (!h_.processes.first()) return;  // the others wait at their next sum
    const at::NoGradGuard quiet;
    session_->refresh();
    auto plain = session_->handle();
    auto quiet_context = session_->context(false);
    auto own = r_.objective->handle(quiet_context, *plain);
    HostHandle subject(own ? *own : *plain, h_.device);
    std::map<std::string, double> seen;
    PointRecorder points(h_.recorder, state_.counters, seen);
    for (const auto& [name, evaluator] : r_.evaluators) {
      PrefixRecorder named(points, name, "");
      const auto context = evaluation_context(h_.pool, plain->shape().max_time, encoder_, session_->categories(),
                                              h_.random.child("evaluation"), named);
      evaluator->evaluate(subject, *context);
    }
    session_->flops = 0;
    writer_.judge(state_.counters.steps, seen, r_.keep_by, r_.keep_higher);
    if (r_.keep_best > 0) best_.offer(seen, r_.keep_by, r_.keep_higher, state_.best, moving());
    for (const auto& callback : r_.callbacks)
      if (const auto wish = callback->after_evaluation(report_, seen); wish != Next::go_on) steer(wish);
  }

  void steer(Next wish) {
    if (wish == Next::stop) stop_ = true;
    if (wish == Next::abort)
      throw Error("a callback ended the stage at step " + std::to_string(state_.counters.steps));
  }

  StatefulParts stateful_parts() const {
    return {*r_.optimizer, *r_.objective, transform_.get(), r_.constraints, r_.callbacks};
  }

  // All that differs from the start: what the optimizer moves, then moving averages.
  std::vector<at::Tensor> moving() const {
    std::vector<at::Tensor> out;
    for (const auto i : distinct_) out.push_back(all_.values[i]);
    for (auto& average : towers_->averages()) out.push_back(std::move(average));
    return out;
  }

  void save_state() {
    last_save_ = Clock::now();
    if (!h_.processes.first()) return;
    State out;
    state_.save(out);
    save_weights(moving(), out.child("weights"));
    best_.save(out);
    stateful_parts().save(out);
    save_feedback(undelivered_, out.child("feedback"));
    h_.mark(state_.counters.steps);
    writer_.write(state_.counters.steps, out);
  }

  void load_state() {
    auto saved = read_training_state(h_.work);
    if (!saved) {
      h_.rewind(-1), record_fingerprints();
      continued_.start(*r_.optimizer);
      loader_->start(continued_.position(r_.data.size()), {});
      return;
    }
    const State& in = *saved;
    state_.load(in), writer_.load(in);
    load_weights(moving(), in.child("weights"));
    best_.load(in, moving().size());
    stateful_parts().load(in);
    undelivered_ = load_feedback(in.child("feedback"));
    h_.rewind(state_.counters.steps);
    h_.recorder.note("resumed at step " + std::to_string(state_.counters.steps));
    if (h_.goes_on) h_.goes_on(std::min(progress_of(r_.stop, state_.counters), 1.0), state_.counters.steps);
    loader_->start(state_.position, state_.counters);
  }

  Trained finish() {
    writer_.finish();
    best_.restore(moving());
    session_->refresh();
    auto plain = session_->handle();
    auto quiet_context = session_->context(false);
    const bool own_handle = r_.objective->handle(quiet_context, *plain) != nullptr;
    h_.recorder.metric("skipped_steps", static_cast<double>(state_.skipped), {.unit = "steps"});
    h_.recorder.metric("parameters", session_->own_numbers(), {.unit = "numbers"});
    h_.recorder.counters(state_.counters);
    Trained out{session_->exported(r_.objective.get(), own_handle), state_.counters};
    if (r_.keep_state) continued_.keep(state_, *r_.optimizer, out.checkpoint.state);
    return out;
  }

  TrainRequest r_;
  TrainingHost h_;
  Continued continued_;
  std::shared_ptr<const Encoder> encoder_;
  std::unique_ptr<References> references_;
  std::unique_ptr<Towers> towers_;
  std::unique_ptr<Session> session_;
  std::shared_ptr<StepContext> context_;
  std::unique_ptr<Transform> transform_;
  std::unique_ptr<Loader> loader_;
  Strings sources_;
  Parameters all_;
  std::vector<Param> distinct_;
  OptimizerPolicy policy_;
  std::vector<std::pair<std::string, Ramp>> ramps_;
  std::vector<Feedback> undelivered_;
  LogicalBatch batch_;
  StepReport report_;
  TrainingState state_;
  StateWriter writer_{h_.work, h_.records_to_disk, h_.keep_states};
  BestWeights best_;
  Clock::time_point last_save_;
  int bad_in_a_row_ = 0;
  bool begun_ = false, stop_ = false, saved_for_stop_ = false;
  double step_flops_ = 0;
};

}  // namespace

Trained train(TrainRequest request, TrainingHost host) {
  return TrainerImpl(std::move(request), std::move(host)).run();
}

}  // namespace xp
