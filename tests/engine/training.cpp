#include "training.h"

#include <c10/core/GradMode.h>

#include "engine/artifacts.h"

namespace xp::engine_test {

void Descent::update(double lr) {
  const at::NoGradGuard quiet;
  if (kept_) kept_->clear();
  for (const auto& group : groups_)
    for (const auto* tensor : group.tensors) {
      const auto gradient = tensor->grad();
      if (kept_) kept_->push_back(gradient.defined() ? gradient.clone() : at::Tensor());
      if (gradient.defined()) at::Tensor(tensor->detach()).sub_(gradient, lr);
    }
}

Stage::Stage(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& text : texts) all += text + "\n\n";
  write_file(folder_ / "set.txt", all);
  data.text = "set:train", data.kind = "dataset", data.split = "train", data.digest = "set";
  data.component = std::make_shared<const Table>(Table{{"type", "text"},
                                                       {"files", List{Value((folder_ / "set.txt").string())}},
                                                       {"split", Table{{"dev", 0.0}, {"test", 0.0}}}});
}

TrainRequest Stage::request(const std::string& stop, Table objective, Table model) const {
  TrainRequest out;
  Table settings{{"kind", "decoder"}, {"layers", 1}, {"width", 8}, {"heads", 2}, {"max_time", 16}};
  for (auto& [key, value] : model) settings.insert_or_assign(key, value);
  out.model = ModelSpec{.type = "transformer", .like = {}, .settings = settings};
  out.tokenizer = Reference{.text = "tokens", .kind = "tokenizer"};
  out.data = {{data, 1}};
  out.objective = testing::registry().make<Objective>(objective);
  out.optimizer = std::make_unique<Descent>(0.1);
  out.strategy = loop();
  out.stop = parse_quantity(stop).value();
  out.batch.items = 4;
  out.clip = 0;
  return out;
}

Trained Stage::run(TrainRequest request) {
  std::int64_t asked = 0;
  const auto alone = Processes::join({});
  TrainingHost host{
      .registry = testing::registry(),
      .random = RandomStreams(seed, "stage"),
      .pool = pool_,
      .recorder = notes,
      .mark = [](std::int64_t) {},
      .records_to_disk = [] {},
      .rewind = [this](std::int64_t step) { notes.rewind(step); },
      .work = work(),
      .stop_requested = [&](double) { return stop_at >= 0 && asked++ == stop_at; },
      .progress =
          [this](double, double, std::string_view) {
            if (at_progress) at_progress();
          },
      .checkpoint = [this](const Reference& from) { return load_checkpoint(folder(from.text)); },
      .predictions = [this](const Reference& from) { return load_state(folder(from.text)); },
      .open = [](const Reference&) -> FrozenModel { throw Error("no model is opened here"); },
      .kept_state = [this](const Reference& from) { return load_kept_state(folder(from.text), from.text); },
      .tokenizer = [this](const Reference&) { return encoder; },
      .artifact = [](std::string_view) -> const State& { throw Error("no artifact is named"); },
      .precision = precision,
      .threads = threads,
      .processes = *alone,
      .fingerprints = {[this](std::int64_t step, std::uint64_t hash) { notes.batches[step] = hash; },
                       [this](std::int64_t step, std::string_view tensor, std::uint64_t hash) {
                         notes.weights[step][std::string(tensor)] = hash;
                       }}};
  return train(std::move(request), std::move(host));
}

std::unique_ptr<TrainingStrategy> loop() {
  return testing::registry().make<TrainingStrategy>({{"type", "standard"}});
}

std::vector<std::string> letters(int texts, int longest, std::uint64_t seed) {
  RandomStream stream(seed);
  std::vector<std::string> out;
  for (int i = 0; i < texts; ++i) {
    std::string text;
    for (auto n = 1 + stream.below(longest); n > 0; --n) text += static_cast<char>('a' + stream.below(20));
    out.push_back(text);
  }
  return out;
}

double difference(const Checkpoint& a, const Checkpoint& b) {
  if (a.parameters.size() != b.parameters.size()) throw Error("the checkpoints have different parameters");
  double worst = 0;
  for (Param i = 0; i < a.parameters.size(); ++i)
    worst = std::max(worst, a.parameters.values[i].sub(b.parameters.values[i]).abs().max().item<double>());
  return worst;
}

}  // namespace xp::engine_test
