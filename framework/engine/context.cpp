#include "engine/context.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "engine/artifacts.h"
#include "engine/device.h"
#include "engine/host_handle.h"
#include "engine/outside.h"
#include "engine/towers.h"
#include "engine/trainer.h"
#include "kit/tokenizer_files.h"

namespace xp {

/// A session with its handles.
struct Subject {
  Subject(std::unique_ptr<Session> made, std::unique_ptr<Objective> from, std::shared_ptr<const Encoder> reads,
          View view)
      : session(std::move(made)), objective(std::move(from)), encoder(std::move(reads)) {
    plain = session->handle(view);
    if (objective) own = objective->handle(session->context(false), *plain);
  }
  std::unique_ptr<Session> session;
  std::unique_ptr<Objective> objective;
  std::shared_ptr<const Encoder> encoder;
  std::unique_ptr<Handle> plain, own;
};

/// A handle with the session that it reads.
class OwnedHandle final : Subject, public HostHandle {
 public:
  explicit OwnedHandle(Subject subject)
      : Subject(std::move(subject)), HostHandle(own ? *own : *plain, Subject::session->device()) {}

  Session& session() { return *Subject::session; }
  const Session& session() const { return *Subject::session; }
  const std::shared_ptr<const Encoder>& encoder() const { return Subject::encoder; }
};

namespace {

void collect(const Value& value, std::vector<const Reference*>& out) {
  if (const auto* reference = value.as<Reference>()) out.push_back(reference);
  if (const auto* list = value.as<List>())
    for (const auto& one : *list) collect(one, out);
  if (const auto* table = value.as<Table>())
    for (const auto& [key, one] : *table) collect(one, out);
}

at::ScalarType precision_of(const Plan& plan) {
  if (plan.setting.precision == "float32") return at::kFloat;
  if (plan.setting.precision == "bfloat16") return at::kBFloat16;
  throw Error("precision " + backquoted(plan.setting.precision) + " is not known; use float32 or bfloat16",
              Exit::usage);
}

}  // namespace

StageRun::StageRun(const RunShared& shared, Processes& processes, const PlanNode& node, std::filesystem::path work,
                   JournalRecorder& recorder)
    : DocumentRun(shared, node, std::move(work), recorder),
      processes_(processes),
      training_(work_ / kScratchFolder),
      pool_(shared.registry, stage_threads(shared.plan),
            {.folder = [this](const Reference& made) { return input(made); },
             .tokenizer = [this](const Reference& artifact) { return tokenizer(artifact); }}) {}
StageRun::~StageRun() = default;

at::Device StageRun::device() const { return device_of(shared_.plan, processes_.rank()); }

Checkpoint StageRun::checkpoint(const Reference& artifact) {
  const auto folder = input(artifact);
  if (!artifact.node.empty() || is_checkpoint(folder)) return load_checkpoint(folder);
  auto read = format_of(shared_.registry, folder)->read(folder);
  if (!read.checkpoint) throw Error(backquoted(artifact.text) + " holds a tokenizer and no model", Exit::data);
  if (!read.lost.empty())
    recorder_.note(backquoted(artifact.text) + " holds what a checkpoint cannot: " + listed(read.lost));
  return std::move(*read.checkpoint);
}

std::shared_ptr<const Encoder> StageRun::foreign_tokenizer(const Reference& artifact) {
  return format_of(shared_.registry, input(artifact))->read(input(artifact)).tokenizer;
}

Checkpoint StageRun::fresh(const ModelSpec& spec, const Reference* tokenizer_from) {
  SessionResources resources;
  if (tokenizer_from) resources.encoder = tokenizer(*tokenizer_from);
  Session session(shared_.registry, random_, std::move(resources), at::kFloat);
  session.add_model("primary", spec, nullptr, true);
  return session.exported(nullptr, false);
}

State StageRun::state(const Reference& artifact) { return load_state(input(artifact)); }

const State& StageRun::artifact(std::string_view name) {
  if (const auto known = artifacts_.find(name); known != artifacts_.end()) return known->second;
  std::vector<const Reference*> references;
  const Value settings(node_.settings);  // what is collected points into it
  collect(settings, references);
  for (const auto* reference : references)
    if (reference->text == name) return artifacts_.emplace(std::string(name), state(*reference)).first->second;
  Strings names;
  for (const auto* reference : references) names.push_back(reference->text);
  throw Error("stage " + backquoted(node_.name) + " has no artifact " + backquoted(name) + "; it names " +
              listed(names));
}

std::shared_ptr<const DataSource> StageRun::documents(const Reference& dataset) {
  return as_source(pool_.corpus(dataset), random_.child("documents"));
}

void StageRun::save(const Checkpoint& checkpoint, const Reference* tokenizer_from, std::string_view output_name) {
  const auto folder = output(output_name);
  save_checkpoint(folder, checkpoint);
  if (!tokenizer_from) return;
  if (const auto from = input(*tokenizer_from); std::filesystem::is_directory(from)) copy_tokenizer(from, folder);
  if (std::filesystem::exists(folder / "tokenizer.json")) return;
  if (const auto encoder = tokenizer(*tokenizer_from)) save_foreign_tokenizer(folder, *encoder);
}
void StageRun::save(const State& state, std::string_view output_name) { save_state(output(output_name), state); }

void StageRun::train(TrainRequest request) {
  const std::string output_name = request.output;
  const auto tokenizer_from = tokenizer_of(request);
  if (!announced_) {
    const auto at = std::find_if(shared_.plan.nodes.begin(), shared_.plan.nodes.end(),
                                 [&](const auto& node) { return node.digest == node_.digest; });
    processes_.post(std::to_string(at - shared_.plan.nodes.begin()) + "\n" + training_.string());
    announced_ = true;
  }
  TrainingHost host{.registry = shared_.registry,
                    .random = random_,
                    .pool = pool_,
                    .recorder = recorder_,
                    .mark = [this](std::int64_t step) { recorder_.mark(step); },
                    .records_to_disk = [this] { recorder_.sync(); },
                    .rewind = [this](std::int64_t step) { recorder_.rewind(step); },
                    .work = training_,
                    .stop_requested =
                        [this](double share) {
                          return shared_.stop.load() != 0 ||
                                 (node_.name == shared_.rest_at && share >= shared_.rest_share);
                        },
                    .progress =
                        [this](double done, double total, std::string_view what) {
                          shared_.progress(node_.digest, total > 0 ? done / total : 0, std::string(what));
                        },
                    .goes_on =
                        [this](double share, std::int64_t step) {
                          if (shared_.goes_on) shared_.goes_on(node_.digest, share, "step " + std::to_string(step));
                        },
                    .checkpoint = [this](const Reference& r) { return checkpoint(r); },
                    .predictions = [this](const Reference& r) { return state(r); },
                    .open = [this](const Reference& r) { return open(r); },
                    .kept_state = [this](const Reference& r) { return load_kept_state(input(r), r.text); },
                    .tokenizer = [this](const Reference& r) { return tokenizer(r); },
                    .artifact = [this](std::string_view name) -> const State& { return artifact(name); },
                    .precision = precision_of(shared_.plan),
                    .device = device(),
                    .threads = threads(),
                    .processes = processes_,
                    .checkpoint_seconds = shared_.checkpoint_seconds,
                    .keep_states = shared_.keep_states,
                    .fingerprints = fingerprints()};
  const auto trained = xp::train(std::move(request), std::move(host));
  const bool has_tokenizer = tokenizer_from && tokenizer(*tokenizer_from) != nullptr;
  save(trained.checkpoint, has_tokenizer ? &*tokenizer_from : nullptr, output_name);
}

FingerprintSink StageRun::fingerprints() {
  return {[this](std::int64_t step, std::uint64_t hash) { recorder_.batch_fingerprint(step, hash); },
          [this](std::int64_t step, std::string_view tensor, std::uint64_t hash) {
            recorder_.weight_fingerprint(step, tensor, hash);
          }};
}

std::unique_ptr<Handle> StageRun::handle(const Reference& reference, View view) { return subject(reference, view); }

FrozenModel StageRun::open(const Reference& reference) {
  auto made = subject(reference, {});
  auto& session = made->session();
  return {std::move(made), [&session] { return std::exchange(session.flops, 0); }};
}

std::unique_ptr<OwnedHandle> StageRun::subject(const Reference& reference, View view) {
  const auto from = checkpoint(reference);
  auto encoder = tokenizer(reference);
  SessionResources resources;
  resources.encoder = encoder;
  resources.artifact = [this](std::string_view name) -> const State& { return artifact(name); };
  auto session = std::make_unique<Session>(shared_.registry, random_, std::move(resources),
                                           precision_of(shared_.plan), device());
  session->seal_categories(from.categories);
  session->add_own_model(from.role, {}, &from, {});
  for (const auto& tower : from.towers) session->add_own_model(tower.role, {}, &tower, {});
  std::unique_ptr<Objective> objective;
  if (from.objective.contains("type")) {  // without it, what it learnt is for others to read
    objective = shared_.registry.make<Objective>(from.objective);
    session->build(*objective, &from.objective_parameters);
  }
  const at::NoGradGuard quiet;
  session->refresh();
  return std::make_unique<OwnedHandle>(Subject(std::move(session), std::move(objective), std::move(encoder), view));
}

void StageRun::evaluate(Handle& subject, std::vector<NamedEvaluator>& evaluators, std::string_view view) {
  const auto* owned = dynamic_cast<const OwnedHandle*>(&subject);
  if (!owned) throw Error("evaluate() takes a handle that this context gave");
  const at::NoGradGuard quiet;
  double done = 0;
  for (const auto& [name, evaluator] : evaluators) {
    progress(done++, static_cast<double>(evaluators.size()), name);
    PrefixRecorder named(recorder_, name, std::string(view));
    const auto context = evaluation_context(pool_, subject.shape().max_time, owned->encoder(),
                                            owned->session().categories(), random_.child("evaluation"), named);
    evaluator->evaluate(subject, *context);
  }
}

}  // namespace xp
