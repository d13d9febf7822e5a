// One objective that turns into another.
#include <algorithm>
#include <map>

#include "api/evaluator.h"
#include "base/text.h"
#include "kit/composite.h"
#include "plugin/plugin.h"

namespace {

/// Values of one field before and after a transform.
bool same(const xp::Values& a, const xp::Values& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& x) {
        const auto& y = std::get<std::decay_t<decltype(x)>>(b);
        if constexpr (std::is_same_v<std::decay_t<decltype(x)>, xp::Strings>)
          return x == y;
        else
          return x.data == y.data;
      },
      a);
}

/// Transforms that do not see each other: each gets the group as it is and the group's own stream, as it would alone,
/// and what it writes, axes and topics too, bears "<name>." in front.
class Apart final : public xp::Transform {
 public:
  void add(std::string name, std::unique_ptr<xp::Transform> transform) {
    const auto writes = transform->fields().writes;
    parts_.push_back({std::move(name), std::move(transform), writes});
  }
  bool empty() const { return parts_.empty(); }

  /// Columns of a part in the batch, masks of its axes too -> how the part calls them.
  std::map<std::string, std::string> columns(const std::string& name) const {
    std::map<std::string, std::string> out;
    for (const auto& part : parts_)
      for (const auto& spec : part.writes) {
        if (part.name != name) continue;
        out[front(part) + spec.name] = spec.name;
        if (padded(spec)) out[front(part) + spec.axis + ".mask"] = spec.axis + ".mask";
      }
    return out;
  }

  void start(const xp::Resources& resources) override {
    for (auto& part : parts_) part.transform->start(resources);
  }

  xp::FieldUse fields() const override {
    xp::FieldUse all;
    const auto merge = [](xp::Strings& to, const xp::Strings& from) {
      for (const auto& one : from)
        if (std::find(to.begin(), to.end(), one) == to.end()) to.push_back(one);
    };
    for (const auto& part : parts_) {
      const auto own = part.transform->fields();
      merge(all.reads, own.reads), merge(all.reads_if_there, own.reads_if_there);
      for (const auto& spec : part.writes)
        all.writes.push_back({front(part) + spec.name, padded(spec) ? front(part) + spec.axis : spec.axis, spec.pad});
    }
    return all;
  }

  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    const auto before = group;
    for (const auto& part : parts_) {
      auto own = before;
      auto stream = random;
      part.transform->apply(own, stream);
      check(part, before, own);
      for (std::size_t i = 0; i < group.size(); ++i)
        for (const auto& spec : part.writes)
          if (const auto made = own[i].fields.find(spec.name); made != own[i].fields.end())
            group[i].fields[front(part) + spec.name] = std::move(made->second);
    }
  }

  xp::Lengths lengths(std::int64_t raw, xp::RandomStream random) const override {
    xp::Lengths all{raw, 0};
    for (const auto& part : parts_) {
      const auto own = part.transform->lengths(raw, random);
      all = {std::max(all.input, own.input), std::max(all.target, own.target)};
    }
    return all;
  }

  std::vector<xp::Subscription> subscriptions() const override {
    std::vector<xp::Subscription> all;
    for (const auto& part : parts_)
      for (auto& wish : part.transform->subscriptions()) {
        wish.topic = front(part) + wish.topic;
        for (auto& name : wish.echo)
          if (writes(part, name)) name = front(part) + name;
        all.push_back(std::move(wish));
      }
    return all;
  }
  void receive(const xp::Feedback& feedback) override {
    for (auto& part : parts_) {
      if (!feedback.topic.starts_with(front(part))) continue;
      xp::Feedback own{feedback.topic.substr(front(part).size()), feedback.step, {}};
      for (const auto& [name, values] : feedback.values)
        own.values[name.starts_with(front(part)) ? name.substr(front(part).size()) : name] = values;
      part.transform->receive(own);
    }
  }

  void set(std::string_view parameter, double value) override {
    for (auto& part : parts_)
      if (parameter.starts_with(front(part))) part.transform->set(parameter.substr(front(part).size()), value);
  }
  void save(xp::State& state) const override {
    for (const auto& part : parts_) part.transform->save(state.child(part.name));
  }
  void load(const xp::State& state) override {
    for (auto& part : parts_) part.transform->load(state.child(part.name));
  }

 private:
  struct Part {
    std::string name;
    std::unique_ptr<xp::Transform> transform;
    std::vector<xp::FieldSpec> writes;
  };

  static std::string front(const Part& part) { return part.name + "."; }
  static bool padded(const xp::FieldSpec& spec) {
    return !spec.axis.empty() && spec.axis != "ragged" && spec.axis != "strings";
  }
  static bool writes(const Part& part, const std::string& field) {
    return std::any_of(part.writes.begin(), part.writes.end(), [&](const auto& spec) { return spec.name == field; });
  }

  static void check(const Part& part, const std::vector<xp::Example>& before, const std::vector<xp::Example>& after) {
    const auto refuse = [&](const std::string& what) {
      throw xp::Error("the transform of " + xp::backquoted(part.name) + " changes " + what +
                      ", which both objectives of `anneal` read; let a transform of the stage do that");
    };
    if (before.size() != after.size()) refuse("the number of texts in a group");
    for (std::size_t i = 0; i < before.size(); ++i)
      for (const auto& [name, values] : before[i].fields) {
        if (writes(part, name)) continue;
        const auto found = after[i].fields.find(name);
        if (found == after[i].fields.end() || !same(values, found->second))
          refuse("the field " + xp::backquoted(name));
      }
  }

  std::vector<Part> parts_;
};

/// (1 - a) * from + a * to, with `a` as a schedule moves it: a homotopy between two objectives (Allgower and Georg
/// 1990, chapter 1). Each reads what its own transform makes, as if it were alone; one without weight runs no pass.
class Anneal final : public xp::CompositeObjective {
 public:
  struct Params {
    std::unique_ptr<xp::Objective> from, to;
    double a = 0;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::from, "from", "The objective at a = 0.").required();
      f.add(&Params::to, "to", "The objective at a = 1; evaluators use the model in its way, if it has one.")
          .required();
      f.add(&Params::a, "a", "Weight of `to`; that of `from` is 1 - a.").min(0).max(1).schedulable();
    }
  };

  explicit Anneal(Params p) : p_(std::move(p)) {
    add("from", p_.from), add("to", p_.to);
    weigh(p_.a);
  }

  void set(std::string_view parameter, double value) override {
    if (parameter == "a") weigh(value);
    CompositeObjective::set(parameter, value);
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    auto apart = std::make_unique<Apart>();
    for (const auto& part : parts_)
      if (auto own = part.objective->input_transform()) apart->add(part.name, std::move(own));
    columns_.clear();
    for (const auto& part : parts_) columns_.push_back(apart->columns(part.name));
    if (apart->empty()) return nullptr;
    return apart;
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    xp::StepResult all;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      if (!runs(k, batch)) continue;
      xp::Batch own;
      const auto& part = parts_[k];
      auto result = part.objective->step(seen_by(k, batch, own), *context.child(part.name));
      for (auto& message : result.feedback) message.topic = part.name + "." + message.topic;
      xp::append(all, std::move(result), part.name, part.weight);
    }
    return all;
  }

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    for (const auto* part : {&parts_[1], &parts_[0]})
      if (auto own = part->objective->handle(context->child(part->name), plain)) return own;
    return nullptr;
  }

 private:
  void weigh(double a) {
    if (!(a >= 0 && a <= 1)) throw xp::Error("`a` is " + xp::number_text(a) + "; a share between 0 and 1 is needed");
    parts_[0].weight = 1 - a, parts_[1].weight = a;
  }
  bool runs(std::size_t part, const xp::Batch&) const override { return parts_[part].weight > 0; }

  const xp::Batch& seen_by(std::size_t part, const xp::Batch& batch, xp::Batch& own) const override {
    if (columns_.empty() || (columns_[0].empty() && columns_[1].empty())) return batch;
    const auto &mine = columns_[part], &others = columns_[1 - part];
    own = xp::renamed(batch, [&](const std::string& name) {
      return mine.contains(name) || others.contains(name) ? std::string() : name;
    });
    for (const auto& [name, as_mine] : mine) own.set(as_mine, batch.columns().at(name));
    return own;
  }

  Params p_;
  std::vector<std::map<std::string, std::string>> columns_;  ///< by part: name in the batch -> name to the part
};

}  // namespace

XP_PLUGIN(anneal) { registry.add<Anneal>("anneal", "One objective that turns into another."); }
