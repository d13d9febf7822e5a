#include "engine/session.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "api/ops.h"
#include "base/text.h"
#include "engine/normal_draws.h"
#include "engine/step.h"

namespace xp {
namespace {

// "layer.3.attention.query" -> "attention.query": what two layers' parameters share.
std::string within_layer(const std::string& name) {
  const auto number = name.find('.');
  const auto rest = number == std::string::npos ? number : name.find('.', number + 1);
  return rest == std::string::npos ? name : name.substr(rest + 1);
}

// Its numbers as they are now, on the CPU.
at::Tensor copied(const at::Tensor& value) { return value.detach().to(at::TensorOptions(at::kCPU), false, true); }

// Keyed by parameter name and element.
void fill(at::Tensor& value, Init init, const RandomStreams& streams) {
  const auto out = std::span(value.mutable_data_ptr<float>(), static_cast<std::size_t>(value.numel()));
  if (init.sd == 0)
    std::ranges::fill(out, static_cast<float>(init.mean));
  else
    fill_normal(out, init.mean, init.sd, streams.stream());
}

std::int64_t vocab_rows(const Parameters& parameters) {
  for (Param i = 0; i < parameters.size(); ++i)
    if (parameters.info[i].role == "vocab.input") return parameters.values[i].size(0);
  return 0;
}

class SessionView final : public Resources {
 public:
  SessionView(const SessionResources& from, std::map<std::string, Strings>& categories, const bool& sealed)
      : from_(from), categories_(categories), sealed_(sealed) {}

  std::int64_t vocab_size() const override { return from_.encoder ? from_.encoder->size() : 0; }
  std::int64_t reserved(std::string_view purpose, std::int64_t index) const override {
    if (!from_.encoder) throw Error("no id is reserved for " + backquoted(purpose) + ": the stage has no tokenizer");
    if (const auto id = from_.encoder->reserved(purpose, index)) return *id;
    Strings names;
    for (const auto& [name, id] : from_.encoder->purposes()) names.push_back(name);
    throw Error("the tokenizer reserves no id for " + backquoted(purpose) + " number " + std::to_string(index) +
                "; it has " + listed(names) + "; ask for it with `reserve` where the tokenizer is trained");
  }
  bool is_text(std::int64_t token) const override {
    if (!from_.encoder || token < 0 || token >= vocab_size()) return false;
    for (const auto& [purpose, id] : from_.encoder->purposes())
      if (id == token) return false;
    return true;
  }
  const State& artifact(std::string_view name) const override {
    if (!from_.artifact) throw Error("the stage has no artifact " + backquoted(name));
    return from_.artifact(name);
  }
  Strings categories(std::string_view field) const override {
    const auto found = categories_.find(std::string(field));
    if (found != categories_.end()) return found->second;
    if (sealed_ || !from_.categories) throw Error("the model was trained without the field " + backquoted(field));
    return categories_[std::string(field)] = from_.categories(field);
  }
  const Encoder* tokenizer() const override { return from_.encoder.get(); }

 private:
  const SessionResources& from_;
  std::map<std::string, Strings>& categories_;
  const bool& sealed_;
};

}  // namespace

/// Adds parameters to one model or one part of an objective.
class Builder final : public BuildContext {
 public:
  Builder(Session& session, std::string path, Parameters& own, std::string stream)
      : s_(session), path_(std::move(path)), own_(own), stream_(std::move(stream)) {}

  std::int64_t vocab_size() const override { return std::max(s_.resources().vocab_size(), rows); }
  std::int64_t reserved(std::string_view purpose, std::int64_t index) const override {
    return s_.resources().reserved(purpose, index);
  }
  bool is_text(std::int64_t token) const override { return s_.resources().is_text(token); }
  const State& artifact(std::string_view name) const override { return s_.resources().artifact(name); }
  Strings categories(std::string_view field) const override { return s_.resources().categories(field); }
  const Encoder* tokenizer() const override { return s_.encoder(); }

  Param add(const ParameterInfo& info, std::vector<std::int64_t> shape, Init init) override {
    own_.info.push_back(info);
    if (request) own_.info.back().lifetime = request->lifetime;
    if (hollow) return own_.values.emplace_back(), own_.size() - 1;
    if (request && !request->share.empty())
      if (const auto shared = shared_value(info, shape); shared.defined())
        return own_.values.push_back(shared), own_.size() - 1;
    auto value = ops::empty(shape, at::kFloat);
    if (!read) fill(value, init, s_.random_.child("init").child(stream_).child(info.name));
    own_.values.push_back(value.to(s_.device_).requires_grad_(!frozen));
    return own_.size() - 1;
  }

  const Model& make_model(const ModelRequest& r) override {
    const auto& like = s_.model(r.spec.like.empty() ? r.like : r.spec.like);
    s_.make(r.role, r.spec.type.empty() ? like.type : r.spec.type, overlaid(like.settings, r.spec.settings), nullptr,
            false, &r);
    auto& made = s_.model(r.role);
    made.lifetime = r.lifetime;
    copy_layers(r.copy_layers, s_.model(r.like).own, made.own);
    return *made.model;
  }
  const Model& model(std::string_view role) const override { return *s_.model(role).model; }
  const Parameters& parameters(std::string_view role) const override { return s_.model(role).own; }
  std::vector<const Checkpoint*> checkpoints(std::string_view reference) const override {
    return s_.resources_.checkpoints ? s_.resources_.checkpoints(reference) : std::vector<const Checkpoint*>();
  }
  std::unique_ptr<Model> architecture(const Checkpoint& checkpoint) override {
    Table table = checkpoint.settings;
    table.insert_or_assign("type", checkpoint.type);
    auto model = s_.registry_.make<Model>(table);
    Parameters ignored;
    Builder context(s_, path_, ignored, stream_);
    context.hollow = true, context.rows = vocab_rows(checkpoint.parameters);
    model->build(context);
    return model;
  }
  BuildContext& child(std::string_view name) override {
    const auto path = path_ + "/" + std::string(name);
    const bool first = s_.families_.insert(path_).second;
    s_.streams_[path] = first ? stream_ : stream_ + "/" + std::string(name);
    auto& part = s_.parts_[path];
    s_.builders_.push_back(std::make_unique<Builder>(s_, path, part, s_.streams_[path]));
    return *s_.builders_.back();
  }

  const ModelRequest* request = nullptr;
  bool hollow = false, frozen = false;
  bool read = false;      // a checkpoint gives all values, so none is drawn
  std::int64_t rows = 0;  // least rows of vocabulary tables: checkpoints may have more than there are tokens

 private:
  at::Tensor shared_value(const ParameterInfo& info, const std::vector<std::int64_t>& shape) const {
    const auto& like = s_.model(request->like).own;
    for (Param i = 0; i < like.size(); ++i) {
      if (like.info[i].name != info.name || !matches(like.info[i], request->share)) continue;
      if (like.values[i].sizes() != at::IntArrayRef(shape))
        throw Error("shared parameter " + backquoted(info.name) + " of role " + backquoted(request->role) +
                    " differs in shape from role " + backquoted(request->like));
      return like.values[i];
    }
    return {};
  }

  static void copy_layers(const std::vector<int>& layers, const Parameters& from, Parameters& to) {
    at::NoGradGuard quiet;
    for (std::size_t layer = 0; layer < layers.size(); ++layer)
      for (Param i = 0; i < to.size(); ++i)
        for (Param j = 0; j < from.size(); ++j)
          if (to.info[i].layer == static_cast<int>(layer) && from.info[j].layer == layers[layer] &&
              within_layer(to.info[i].name) == within_layer(from.info[j].name))
            to.values[i].copy_(from.values[j]);
  }

  Session& s_;
  std::string path_;
  Parameters& own_;
  std::string stream_;
};

Table overlaid(const Table& base, const Table& changes) {
  Table out = base;
  for (const auto& [key, value] : changes) {
    const auto* text = value.as<std::string>();
    std::optional<Quantity> quantity;
    if (text) quantity = parse_quantity(*text);
    const auto old = base.find(key);
    if (quantity && quantity->unit == Unit::factor && old != base.end() && old->second.is_number()) {
      const double scaled = old->second.number() * quantity->amount;
      if (old->second.as<std::int64_t>()) {
        if (scaled != std::floor(scaled))
          throw Error(backquoted(key) + " = " + *text + " of " + number_text(old->second.number()) +
                      " is not a whole number");
        out.insert_or_assign(key, Value(static_cast<std::int64_t>(scaled)));
      } else {
        out.insert_or_assign(key, Value(scaled));
      }
    } else {
      out.insert_or_assign(key, value);
    }
  }
  return out;
}

Session::Session(const Registry& registry, const RandomStreams& random, SessionResources resources,
                 at::ScalarType precision, at::Device device)
    : registry_(registry), random_(random), resources_(std::move(resources)), precision_(precision), device_(device) {
  public_resources_ = std::make_unique<SessionView>(resources_, categories_, sealed_);
}
Session::~Session() = default;

const Resources& Session::resources() const { return *public_resources_; }

BuiltModel& Session::model(std::string_view role) {
  const auto found = models_.find(role);
  if (found != models_.end()) return found->second;
  if (role == "primary" && !own_roles_.empty()) return models_.find(own_roles_.front())->second;
  Strings names;
  for (const auto& [name, built] : models_) names.push_back(name);
  throw Error("no model has the role " + backquoted(role) + "; there is " + listed(names));
}

double Session::own_numbers() const {
  double out = 0;
  for (const auto& role : own_roles_)
    for (const auto& own = models_.at(role).own; const auto i : own.distinct())
      out += static_cast<double>(own.values[i].numel());
  return out;
}

void Session::make(const std::string& role, const std::string& type, const Table& settings, const Checkpoint* from,
                   bool frozen, const ModelRequest* request) {
  if (models_.contains(role)) throw Error("two models want the role " + backquoted(role));
  Table table = settings;
  table.insert_or_assign("type", type);
  auto& built = models_[role];
  built.type = type, built.frozen = frozen, built.model = registry_.make<Model>(table);
  built.settings = built.model->settings();
  Builder context(*this, role, built.own, role);
  context.request = request, context.frozen = frozen, context.read = from != nullptr;
  context.rows = from ? vocab_rows(from->parameters) : request ? own_rows_ : 0;
  built.model->build(context);
  if (!from) return;
  at::NoGradGuard quiet;
  for (Param i = 0; i < built.own.size(); ++i) {
    const auto& value = from->parameters.values[from->parameters.find(built.own.info[i].name)];
    if (value.sizes() != built.own.values[i].sizes())
      throw Error(
          "parameter " + backquoted(built.own.info[i].name) + " of the checkpoint has another shape than the model",
          Exit::data);
    built.own.values[i].copy_(value);
  }
}

void Session::add_model(const std::string& role, const ModelSpec& spec, const Checkpoint* from, bool frozen) {
  make(role, from ? from->type : spec.type, from ? from->settings : spec.settings, from, frozen, nullptr);
}

void Session::add_own_model(const std::string& role, const ModelSpec& spec, const Checkpoint* from,
                            const Strings& train) {
  add_model(role, spec, from, train.empty());
  own_roles_.push_back(role);
  if (from) own_rows_ = std::max(own_rows_, vocab_rows(from->parameters));
  if (train.empty() || train == Strings{"*"}) return;
  auto& own = models_.at(role).own;
  for (auto& value : own.values) value.requires_grad_(false);
  for (const auto& pattern : train) {
    const auto moved = own.select(pattern);
    if (moved.empty()) {
      std::set<std::string> roles;
      for (const auto& info : own.info) roles.insert("role:" + info.role);
      throw Error("no parameter of model " + backquoted(role) + " fits " + backquoted(pattern) + "; there is " +
                  listed({roles.begin(), roles.end()}));
    }
    for (const auto i : moved) own.values[i].requires_grad_(true);
  }
}

void Session::build(Objective& objective, const Parameters* from) {
  streams_["objective"] = "objective";
  Builder context(*this, "objective", parts_["objective"], "objective");
  objective.build(context);
  if (!from) return;
  at::NoGradGuard quiet;
  for (auto& [path, part] : parts_)
    for (Param i = 0; i < part.size(); ++i)
      if (part.info[i].lifetime == Lifetime::keep)
        part.values[i].copy_(from->values[from->find(path + "." + part.info[i].name)]);
}

Parameters Session::trainable() const {
  Parameters all;
  const auto collect = [&](const std::string& path, const Parameters& part) {
    for (Param i = 0; i < part.size(); ++i) {
      if (!part.values[i].requires_grad()) continue;
      all.info.push_back(part.info[i]), all.values.push_back(part.values[i]);
      all.info.back().name = path + "." + part.info[i].name;
    }
  };
  const auto first = own_roles_.empty() ? std::string("primary") : own_roles_.front();
  if (const auto primary = models_.find(first); primary != models_.end() && !primary->second.frozen)
    collect(first, primary->second.own);  // first, so that it owns what others share
  for (const auto& [role, built] : models_)
    if (role != first && !built.frozen) collect(role, built.own);
  for (const auto& [path, part] : parts_) collect(path, part);
  return all;
}

void Session::refresh() {
  std::map<const void*, at::Tensor> cast;  // tied weights stay one tensor
  const auto convert = [&](const std::vector<at::Tensor>& from, std::vector<at::Tensor>& to) {
    to.clear();
    for (const auto& value : from) {
      if (precision_ == at::kFloat || !value.is_floating_point()) {
        to.push_back(value);
        continue;
      }
      auto& made = cast[value.unsafeGetTensorImpl()];
      if (!made.defined()) made = value.to(precision_);
      to.push_back(made);
    }
  };
  for (auto& [role, built] : models_) {
    convert(built.own.values, built.active);
    built.passes = 0;  // dropout draws by the number of the pass, which must not tell how many went before this batch
  }
  for (auto& [path, part] : parts_) convert(part.values, active_parts_[path]);
}

std::shared_ptr<StepContext> Session::context(bool training) { return make_step(*this, "objective", training); }

std::map<std::string, std::int64_t> Session::reserved_map() const {
  std::map<std::string, std::int64_t> out;
  if (resources_.encoder)
    for (const auto& [purpose, id] : resources_.encoder->purposes()) out[purpose] = id;
  return out;
}

Checkpoint Session::exported_model(const std::string& role) const {
  const auto& built = models_.at(role);
  Checkpoint out;
  if (auto own = built.model->exported(built.own.values)) {
    out = on_device(std::move(*own), at::kCPU);
  } else {
    out.type = built.type, out.settings = built.settings;
    std::map<const void*, at::Tensor> clones;
    for (Param i = 0; i < built.own.size(); ++i) {
      if (built.own.info[i].lifetime != Lifetime::keep) continue;
      auto& clone = clones[built.own.values[i].unsafeGetTensorImpl()];
      if (!clone.defined()) clone = copied(built.own.values[i]);
      out.parameters.info.push_back(built.own.info[i]);
      out.parameters.values.push_back(clone);
    }
  }
  out.reserved = reserved_map();
  out.categories = categories_;
  out.role = role;
  return out;
}

Checkpoint Session::exported(const Objective* objective, bool has_handle) const {
  const at::NoGradGuard quiet;
  Checkpoint out = exported_model(own_roles_.empty() ? "primary" : own_roles_.front());
  for (std::size_t i = 1; i < own_roles_.size(); ++i) out.towers.push_back(exported_model(own_roles_[i]));
  if (!objective) return out;
  for (const auto& [path, part] : parts_)
    for (Param i = 0; i < part.size(); ++i)
      if (part.info[i].lifetime == Lifetime::keep) {
        out.objective_parameters.info.push_back(part.info[i]);
        out.objective_parameters.info.back().name = path + "." + part.info[i].name;
        out.objective_parameters.values.push_back(copied(part.values[i]));
      }
  if (!has_handle && out.objective_parameters.size() == 0) return out;
  out.objective = objective->settings();
  if (has_handle) out.objective.insert_or_assign("type", Value(objective->type()));
  return out;
}

Checkpoint on_device(Checkpoint from, at::Device device) {
  std::map<const void*, at::Tensor> moved;  // tied weights stay one tensor
  for (auto* part : {&from.parameters, &from.objective_parameters})
    for (auto& value : part->values) {
      auto& there = moved[value.unsafeGetTensorImpl()];
      if (!there.defined()) there = value.to(device);
      value = there;
    }
  for (auto& tower : from.towers) tower = on_device(std::move(tower), device);
  return from;
}

void check_same_ids(const Checkpoint& start, const Encoder& encoder) {
  for (const auto& [purpose, id] : start.reserved) {
    const auto found = encoder.purposes().find(purpose);
    if (found == encoder.purposes().end() || found->second != id)
      throw Error("the checkpoint reserves id " + std::to_string(id) + " for " + backquoted(purpose) +
                  ", the tokenizer does not; replace the vocabulary with a stage that transfers it first");
  }
}

}  // namespace xp
