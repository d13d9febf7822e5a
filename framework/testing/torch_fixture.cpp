#include "testing/torch_fixture.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "api/ops.h"
#include "base/text.h"
#include "kit/batches.h"
#include "kit/torch_operators.h"

namespace xp::testing {

namespace {

/// Name of a parameter inside its layer.
std::string tail(const std::string& name) { return name.substr(name.find('.', name.find('.') + 1) + 1); }

at::Tensor normal(RandomStream random, at::IntArrayRef shape, Init init, at::ScalarType type) {
  auto value = ops::empty(shape, at::kDouble);
  for (double& x : std::span(value.mutable_data_ptr<double>(), static_cast<std::size_t>(value.numel()))) {
    const double u = random.uniform(), v = random.uniform();
    x = init.mean + init.sd * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }
  return value.to(type);
}

}  // namespace

class Fixture::Builder final : public BuildContext {
 public:
  Builder(Fixture& fixture, std::string path, Parameters& own, std::string stream)
      : f_(fixture), path_(std::move(path)), own_(own), stream_(std::move(stream)) {}

  std::int64_t vocab_size() const override { return f_.spec_.vocab; }
  std::int64_t reserved(std::string_view purpose, std::int64_t index) const override {
    for (const auto& name : {std::string(purpose) + "." + std::to_string(index), std::string(purpose)})
      if (const auto found = f_.spec_.reserved.find(name); found != f_.spec_.reserved.end()) return found->second;
    throw Error("no id is reserved for " + backquoted(purpose) + " number " + std::to_string(index));
  }
  bool is_text(std::int64_t token) const override { return token >= f_.spec_.first_text; }
  const State& artifact(std::string_view name) const override { return *f_.spec_.artifacts.at(std::string(name)); }
  Strings categories(std::string_view field) const override { return f_.spec_.categories.at(std::string(field)); }
  const Encoder* tokenizer() const override { return nullptr; }

  Param add(const ParameterInfo& info, std::vector<std::int64_t> shape, Init init) override {
    own_.info.push_back(info);
    if (request) own_.info.back().lifetime = request->lifetime;
    if (hollow) return own_.values.emplace_back(), own_.info.size() - 1;
    if (request && !request->share.empty()) {
      const auto& like = f_.models_.at(request->like).own;
      for (Param i = 0; i < like.size(); ++i)
        if (like.info[i].name == info.name && matches(like.info[i], request->share)) {
          if (like.values[i].sizes() != at::IntArrayRef(shape))
            throw Error("shared " + backquoted(info.name) + " differs in shape");
          own_.values.push_back(like.values[i]);
          return own_.info.size() - 1;
        }
    }
    const auto random = RandomStreams(f_.spec_.seed, "init").child(stream_).child(info.name).stream();
    own_.values.push_back(normal(random, shape, init, f_.spec_.type).requires_grad_(!frozen));
    return own_.info.size() - 1;
  }

  const Model& make_model(const ModelRequest& r) override {
    const auto& like = f_.models_.at(r.like);
    Table settings = like.settings;
    for (const auto& [key, value] : r.spec.settings) settings.insert_or_assign(key, value);
    f_.make(r.role, r.spec.type.empty() ? like.type : r.spec.type, settings, nullptr, false, &r);
    const auto& made = f_.models_.at(r.role).own;
    const auto& source = f_.models_.at(r.like).own;
    const at::NoGradGuard quiet;
    for (std::size_t to = 0; to < r.copy_layers.size(); ++to)
      for (Param i = 0; i < made.size(); ++i)
        for (Param j = 0; j < source.size(); ++j)
          if (made.info[i].layer == static_cast<int>(to) && source.info[j].layer == r.copy_layers[to] &&
              tail(made.info[i].name) == tail(source.info[j].name))
            made.values[i].copy_(source.values[j]);
    return *f_.models_.at(r.role).model;
  }
  const Model& model(std::string_view role) const override { return *f_.models_.at(std::string(role)).model; }
  std::vector<const Checkpoint*> checkpoints(std::string_view reference) const override {
    std::vector<const Checkpoint*> found;
    for (const auto& [name, checkpoint] : f_.spec_.checkpoints)
      if (fits(name, reference)) found.push_back(checkpoint);
    return found;
  }
  std::unique_ptr<Model> architecture(const Checkpoint& checkpoint) override {
    Table table = checkpoint.settings;
    table.insert_or_assign("type", checkpoint.type);
    auto model = f_.registry_.make<Model>(table);
    Parameters ignored;
    Builder context(f_, path_, ignored, stream_);
    context.hollow = true;
    model->build(context);
    return model;
  }
  BuildContext& child(std::string_view name) override {
    const auto path = path_ + "/" + std::string(name);
    const bool first = f_.families_.insert(path_).second;
    f_.streams_[path] = first ? stream_ : stream_ + "/" + std::string(name);
    auto& part = f_.parts_[path];
    return *f_.builders_.emplace_back(std::make_unique<Builder>(f_, path, part, f_.streams_[path]));
  }

  const ModelRequest* request = nullptr;
  bool hollow = false, frozen = false;

 private:
  Fixture& f_;
  std::string path_;
  Parameters& own_;
  std::string stream_;
};

class Fixture::Step final : public StepContext {
 public:
  Step(Fixture& fixture, std::string path, Pass pass) : f_(fixture), path_(std::move(path)), pass_(std::move(pass)) {}

  at::Tensor embed(std::string_view role, const at::Tensor& ids) override {
    return find(role).model->embed(find(role).own.values, ids);
  }
  ForwardOutput forward(std::string_view role, const ForwardInput& in, const ForwardRequest& asked) override {
    if (pass_) return pass_(role, in, asked);
    const auto& built = find(role);
    ++f_.passes[std::string(role)];
    f_.flops += built.model->flops(in, asked);
    const at::AutoGradMode grad(c10::GradMode::is_enabled() && !built.frozen);
    auto want = asked;
    if (f_.spec_.training && c10::GradMode::is_enabled() && in.sample_id.defined())
      want.dropout = dropout(in.sample_id);
    return built.model->forward(built.own.values, in, want);
  }
  at::Tensor logits(std::string_view role, const at::Tensor& hidden) override {
    return find(role).model->logits(find(role).own.values, hidden);
  }
  const Parameters& parameters(std::string_view role) const override { return find(role).own; }
  const at::Tensor& weight(Param own) const override { return f_.parts_.at(path_).values.at(own); }
  at::Tensor uniform(const Batch& batch, std::int64_t per_item, std::string_view what) override {
    return draw(batch.sample_id, per_item, f_.streams_.at(path_) + "/" + std::string(what))
        .to(at::kFloat)
        .clamp(1e-7, 1 - 1e-7);
  }
  at::Tensor gather(const at::Tensor& rows) override { return rows; }  // one process
  at::Tensor predict(std::string_view role, const Batch& batch, std::string_view field) override {
    if (!f_.spec_.predictions) throw Error("no reference predicts " + backquoted(field));
    return f_.spec_.predictions(role, batch, field);
  }
  std::int64_t step() const override { return f_.step; }
  std::unique_ptr<StepContext> child(std::string_view name, Pass pass) override {
    return std::make_unique<Step>(f_, path_ + "/" + std::string(name), pass ? std::move(pass) : pass_);
  }

 private:
  at::Tensor draw(const at::Tensor& sample_id, std::int64_t per_item, const std::string& what) const {
    const auto streams = RandomStreams(f_.spec_.seed, "step").child(what);
    auto out = ops::empty({sample_id.size(0), per_item}, at::kDouble);
    for (std::int64_t i = 0; i < sample_id.size(0); ++i) {
      auto random = streams.stream(f_.step, static_cast<std::uint64_t>(sample_id[i].item<std::int64_t>()));
      for (std::int64_t k = 0; k < per_item; ++k) out.mutable_data_ptr<double>()[i * per_item + k] = random.uniform();
    }
    return out;
  }
  /// Keyed by sample, step and the number of the call within the pass.
  Dropout dropout(const at::Tensor& sample_id) const {
    return [this, sample_id, calls = std::make_shared<int>(0)](const at::Tensor& x, double rate) {
      const auto u = draw(sample_id, x.numel() / x.size(0), "dropout/" + std::to_string((*calls)++)).view(x.sizes());
      return x * u.ge(rate).to(x.options()) / (1 - rate);
    };
  }
  const Built& find(std::string_view role) const {
    const auto found = f_.models_.find(std::string(role));
    if (found == f_.models_.end()) throw Error("no model has the role " + backquoted(role));
    return found->second;
  }

  Fixture& f_;
  std::string path_;
  Pass pass_;
};

/// The primary model by itself.
class Fixture::Plain final : public Handle {
 public:
  explicit Plain(Fixture& fixture) : f_(fixture) {}
  const Encoder* tokenizer() const override { return nullptr; }
  ModelShape shape() const override { return f_.model("primary").shape(); }
  bool can(std::string_view what) const override { return what == "encode" || what == "logits"; }
  bool has(std::string_view capability) const override {
    const auto all = f_.model("primary").capabilities();
    return std::ranges::find(all, capability) != all.end();
  }
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    return f_.model("primary").forward(
        f_.weights("primary").values,
        {.ids = batch.dense("ids"), .mask = batch.dense("input.mask"), .segments = segments_of(batch)}, want);
  }
  at::Tensor logits(const at::Tensor& hidden) override {
    return f_.model("primary").logits(f_.weights("primary").values, hidden);
  }
  std::vector<Score> score(const Batch&) override { throw Error("the fixture's plain handle cannot score"); }
  Strings generate(const Batch&, const Table&, RandomStream) override {
    throw Error("the fixture's plain handle cannot generate");
  }
  at::Tensor predict(const Batch&, std::string_view) override {
    throw Error("the fixture's plain handle cannot predict");
  }
  const Strings& categories(std::string_view field) const override {
    return f_.spec_.categories.at(std::string(field));
  }

 private:
  Fixture& f_;
};

Fixture::Fixture(const Registry& registry, FixtureSpec spec, const Checkpoint* start)
    : registry_(registry), spec_(std::move(spec)) {
  Table settings = start ? start->settings : spec_.model;
  const auto type = start ? start->type : *settings.extract("type").mapped().as<std::string>();
  make("primary", type, settings, start, false, nullptr);
  for (const auto& [role, c] : spec_.references) make(role, c->type, c->settings, c, true, nullptr);
  objective_ = registry_.make<Objective>(spec_.objective);
  streams_["objective"] = "objective";
  Builder context(*this, "objective", parts_["objective"], "objective");
  objective_->build(context);
  if ((transform_ = objective_->input_transform())) transform_->start(context);
  root_ = std::make_shared<Step>(*this, "objective", Pass{});
  plain_ = std::make_unique<Plain>(*this);
  const auto collect = [&](const std::string& path, const Parameters& part) {
    for (Param i = 0; i < part.size(); ++i) {
      all_.info.push_back(part.info[i]), all_.values.push_back(part.values[i]);
      all_.info.back().name = path + "." + part.info[i].name;
    }
  };
  collect("primary", models_.at("primary").own);  // first, so that it owns what others share
  for (const auto& [role, built] : models_)
    if (role != "primary" && !built.frozen) collect(role, built.own);
  for (const auto& [path, part] : parts_) collect(path, part);
}
Fixture::~Fixture() = default;

void Fixture::make(const std::string& role, const std::string& type, const Table& settings, const Checkpoint* from,
                   bool frozen, const ModelRequest* request) {
  Table table = settings;
  table.insert_or_assign("type", type);
  auto& built = models_[role];
  built.type = type, built.settings = settings, built.frozen = frozen, built.model = registry_.make<Model>(table);
  Builder context(*this, role, built.own, role);
  context.request = request, context.frozen = frozen;
  built.model->build(context);
  const at::NoGradGuard quiet;
  for (Param i = 0; from && i < built.own.size(); ++i)
    built.own.values[i].copy_(from->parameters.values[from->parameters.find(built.own.info[i].name)]);
}

std::unique_ptr<Handle> Fixture::handle() {
  if (auto own = objective_->handle(root_, *plain_)) return own;
  return std::make_unique<Plain>(*this);
}

void Fixture::deliver() {
  const auto wishes = transform_->subscriptions();
  std::erase_if(undelivered, [&](const Feedback& f) {
    for (const auto& wish : wishes)
      if (wish.topic == f.topic && f.step + wish.delay <= step) return transform_->receive(f), true;
    return false;
  });
}

Batch Fixture::load(std::vector<std::vector<Example>> groups) {
  std::vector<FieldSpec> specs = spec_.dataset_fields;
  if (transform_) {
    deliver();
    const auto input = RandomStreams(spec_.seed, "input");
    for (auto& group : groups) {
      auto random = input.stream(0, static_cast<std::uint64_t>(group.at(0).group_id));
      transform_->apply(group, random);
    }
    for (const auto& spec : transform_->fields().writes) specs.push_back(spec);
  }
  std::vector<Example> items;
  for (auto& group : groups) items.insert(items.end(), group.begin(), group.end());
  return collate(items, specs);
}

void Fixture::report(const Batch& batch, const StepResult& result) {
  for (const auto& message : result.feedback) {
    Feedback back{message.topic, step, {}};
    const auto put = [&](const std::string& name, const at::Tensor& tensor) {
      const auto flat = tensor.to(at::kLong).contiguous();
      const std::span data(flat.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(flat.numel()));
      back.values[name] = Ints{{data.begin(), data.end()}, flat.sizes().vec()};
    };
    for (const auto& [name, tensor] : message.values) put(name, tensor);
    for (const auto& wish : transform_ ? transform_->subscriptions() : std::vector<Subscription>{})
      if (wish.topic == message.topic)
        for (const auto& name : wish.echo) put(name, batch.dense(name));
    undelivered.push_back(std::move(back));
  }
}

double Fixture::accumulate(const std::vector<Batch>& micro, std::string_view only) {
  if (micro.size() > 1 && objective_->batch_coupled()) throw Error("a batch-coupled objective cannot be split");
  passes.clear(), terms.clear(), metrics.clear(), terms_by_source.clear(), flops = 0;
  for (auto& value : all_.values) value.mutable_grad() = at::Tensor();
  std::map<std::string, double> count, seen;
  for (const auto& batch : micro)
    for (const auto& [name, n] : objective_->counts(batch)) count[name] += n.sum().item<double>();
  double loss = 0;
  for (const auto& batch : micro) {
    const auto result = objective_->step(batch, *root_);
    at::Tensor total;
    for (const auto& term : result.terms) {
      const double n = std::max(count.at(term.name), 1.0), value = term.sum.sum().item<double>() / n;
      terms[term.name] += value, loss += term.weight * value;
      if (term.sum.dim() == 1 && term.sum.size(0) == batch.items())
        for (std::int64_t i = 0; i < batch.items(); ++i)
          terms_by_source[term.name + "@" + batch.strings("source")[static_cast<std::size_t>(i)]] +=
              term.sum[i].item<double>();
      if (!term.name.starts_with(only) || !term.sum.requires_grad()) continue;
      const auto part = term.sum.sum() * (term.weight / n);
      total = total.defined() ? total + part : part;
    }
    if (total.defined()) total.backward();
    for (const auto& m : result.metrics)
      metrics[m.name] += m.sum.item<double>(), seen[m.name] += m.count.item<double>();
    report(batch, result);
  }
  for (auto& [name, value] : metrics) value /= std::max(seen[name], 1.0);
  if (constraint_) constraint_->after_backward(all_);
  return loss;
}

void Fixture::set(std::string_view parameter, double value) {
  objective_->set(parameter, value);
  if (transform_) transform_->set(parameter, value);
}

void Fixture::constrain(Constraint& constraint) {
  constraint_ = &constraint;
  constraint.start(all_, RandomStreams(spec_.seed, "constraint"));
}

void Fixture::update(double lr, double weight_decay) {
  if (!optimizer_) {
    ParameterGroup group{{}, 1, weight_decay};
    for (const auto i : all_.distinct()) group.tensors.push_back(&all_.values[i]);
    (optimizer_ = registry_.make<Optimizer>(spec_.optimizer))->start({group});
  }
  optimizer_->update(lr);
  if (constraint_) constraint_->after_update(all_, *optimizer_);
  ++step;
}

Checkpoint Fixture::exported() const {
  const auto& built = models_.at("primary");
  if (auto own = built.model->exported(built.own.values)) return std::move(*own);
  Checkpoint out{built.type, built.settings, {}, spec_.reserved};
  for (Param i = 0; i < built.own.size(); ++i)
    if (built.own.info[i].lifetime == Lifetime::keep) {
      out.parameters.info.push_back(built.own.info[i]);
      out.parameters.values.push_back(built.own.values[i].detach().clone());
    }
  return out;
}

}  // namespace xp::testing
