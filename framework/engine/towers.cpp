#include "engine/towers.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace xp {
namespace {

// The model of a checkpoint that a tower starts from: the one with its role, else the only one.
Checkpoint of_role(Checkpoint from, const std::string& role, const std::string& text) {
  if (from.role == role || from.towers.empty()) return from;
  Strings names{from.role};
  for (auto& tower : from.towers) {
    if (tower.role == role) return std::move(tower);
    names.push_back(tower.role);
  }
  throw Error("checkpoint " + backquoted(text) + " has the models " + listed(names) + ", tower " + backquoted(role) +
              " is none of them");
}

void checkpoints_in(const Value& value, std::vector<const Reference*>& out) {
  if (const auto* reference = value.as<Reference>(); reference && reference->kind == "checkpoint")
    out.push_back(reference);
  if (const auto* list = value.as<List>())
    for (const auto& one : *list) checkpoints_in(one, out);
  if (const auto* table = value.as<Table>())
    for (const auto& [key, one] : *table) checkpoints_in(one, out);
}

// What new models name in their settings, as merges do.
std::vector<const Reference*> ingredients_of(const TrainRequest& request) {
  std::vector<const Reference*> out;
  const auto add = [&](const auto& model) {
    if (const auto* spec = std::get_if<ModelSpec>(&model))
      for (const auto& [key, value] : spec->settings) checkpoints_in(value, out);
  };
  if (request.model) add(*request.model);
  for (const auto& tower : request.towers) add(tower.model);
  return out;
}

}  // namespace

std::optional<Reference> tokenizer_of(const TrainRequest& request) {
  if (request.tokenizer) return request.tokenizer;
  if (request.model)
    if (const auto* from = std::get_if<Reference>(&*request.model)) return *from;
  for (const auto& tower : request.towers)
    if (const auto* from = std::get_if<Reference>(&tower.model)) return *from;
  const auto inside = ingredients_of(request);
  return inside.empty() ? std::nullopt : std::optional(*inside.front());
}

Towers::Towers(const TrainRequest& request, const Load& load, at::Device device) {
  if (request.model) {
    if (const auto* from = std::get_if<Reference>(&*request.model))
      add_checkpoint(load(*from));
    else
      all_.push_back({{.role = "primary", .model = *request.model}});
  }
  for (const auto& tower : request.towers) {
    One one{tower};
    if (const auto* from = std::get_if<Reference>(&tower.model))
      one.from = of_role(load(*from), tower.role, from->text);
    all_.push_back(std::move(one));
  }
  for (const auto* reference : ingredients_of(request))
    if (std::none_of(ingredients_.begin(), ingredients_.end(),
                     [&](const auto& o) { return o.reference == *reference; }))
      ingredients_.push_back({*reference, std::make_unique<Checkpoint>(on_device(load(*reference), device))});
  if (all_.empty()) throw Error("a stage that trains needs `model` or `towers`");
  std::set<std::string> roles;
  for (const auto& one : all_)
    if (!roles.insert(one.request.role).second)
      throw Error("two models want the role " + backquoted(one.request.role));
  for (const auto& one : all_) {
    const auto& followed = one.request.ema_of;
    if (followed.empty()) continue;
    const auto found =
        std::find_if(all_.begin(), all_.end(), [&](const One& o) { return o.request.role == followed; });
    if (found == all_.end() || !found->request.ema_of.empty())
      throw Error("tower " + backquoted(one.request.role) + " follows " + backquoted(followed) +
                  ", which is no trained model of the stage; there is " + listed({roles.begin(), roles.end()}));
  }
  if (!all_.front().request.ema_of.empty())
    throw Error("the first model of a stage is trained; " + backquoted(all_.front().request.role) +
                " is a moving average");
}

void Towers::add_checkpoint(Checkpoint from) {
  auto others = std::move(from.towers);
  from.towers.clear();
  One first{{.role = from.role}};
  first.from = std::move(from);
  all_.push_back(std::move(first));
  for (auto& other : others) {
    One one{{.role = other.role}};
    one.from = std::move(other);
    all_.push_back(std::move(one));
  }
}

void Towers::add_to(Session& session) {
  const auto add = [&](const One& one) {
    const auto& asked = one.request;
    const auto* from = one.from ? &*one.from : nullptr;
    session.add_own_model(asked.role, from ? ModelSpec{} : std::get<ModelSpec>(asked.model), from,
                          asked.ema_of.empty() ? asked.train : Strings{});
  };
  for (const auto& one : all_)
    if (one.request.ema_of.empty()) add(one);
  for (const auto& one : all_)
    if (!one.request.ema_of.empty()) add(one), average(session, one);
}

void Towers::average(Session& session, const One& one) {
  const auto& own = session.model(one.request.role).own;
  const auto& followed = session.model(one.request.ema_of).own;
  Average out{.decay = one.request.ema_decay};
  const at::NoGradGuard quiet;
  for (const auto i : own.distinct()) {
    const auto& value = followed.values[followed.find(own.info[i].name)];
    if (value.sizes() != own.values[i].sizes())
      throw Error("parameter " + backquoted(own.info[i].name) + " of tower " + backquoted(one.request.role) +
                  " has another shape than in " + backquoted(one.request.ema_of) +
                  ", which it follows; their models must be alike");
    if (!one.from) own.values[i].copy_(value);
    out.own.push_back(own.values[i]), out.followed.push_back(value);
  }
  averages_.push_back(std::move(out));
}

std::vector<const Checkpoint*> Towers::starts() const {
  std::vector<const Checkpoint*> out;
  for (const auto& one : all_)
    if (one.from) out.push_back(&*one.from);
  for (const auto& one : ingredients_) out.push_back(one.checkpoint.get());
  return out;
}

std::vector<const Checkpoint*> Towers::ingredients(std::string_view text) const {
  std::vector<const Checkpoint*> out;
  for (const auto& one : ingredients_)
    if (one.reference.text == text) out.push_back(one.checkpoint.get());
  return out;
}

double Towers::lr_mult(const std::string& parameter) const {
  const auto role = parameter.substr(0, parameter.find('.'));
  for (const auto& one : all_)
    if (one.request.role == role) return one.request.lr_mult;
  return 1;
}

void Towers::follow() {
  const at::NoGradGuard quiet;
  for (auto& one : averages_)
    for (std::size_t i = 0; i < one.own.size(); ++i) one.own[i].lerp_(one.followed[i], 1 - one.decay);
}

std::vector<at::Tensor> Towers::averages() const {
  std::vector<at::Tensor> out;
  for (const auto& one : averages_) out.insert(out.end(), one.own.begin(), one.own.end());
  return out;
}

}  // namespace xp
