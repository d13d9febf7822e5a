// S10, first half: a weighted sum of objectives. With share = "pass", the first child's pass of a model serves all.
#include "api/objective.h"
#include "kit/chain.h"
#include "plugin/plugin.h"

namespace {

class Sum final : public xp::Objective {
 public:
  struct Params {
    std::vector<xp::Weighted<xp::Objective>> terms;
    std::string share = "none";
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::terms, "terms", "Objectives, each with a weight.");
      f.add(&Params::share, "share", "`pass`: one pass of a model serves all terms; the first term's input counts.");
    }
  };
  explicit Sum(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& c) override {
    for (auto& t : p_.terms) t.part->build(c.child(t.name));
  }
  std::unique_ptr<xp::Transform> input_transform() override {
    auto chain = std::make_unique<xp::Chain>();
    for (auto& t : p_.terms)
      if (auto part = t.part->input_transform()) chain->add(t.name, std::move(part));
    return chain;
  }
  void set(std::string_view parameter, double value) override {
    for (auto& t : p_.terms)
      if (parameter.starts_with(t.name + ".")) t.part->set(parameter.substr(t.name.size() + 1), value);
  }
  bool batch_coupled() const override {
    for (const auto& t : p_.terms)
      if (t.part->batch_coupled()) return true;
    return false;
  }
  xp::Counts counts(const xp::Batch& b) const override {
    xp::Counts all;
    for (const auto& t : p_.terms) xp::append(all, t.part->counts(b), t.name);
    return all;
  }
  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    std::map<std::string, xp::ForwardOutput, std::less<>> done;  // everything of the first pass, by role
    xp::Pass once = [&](std::string_view role, const xp::ForwardInput& in, const xp::ForwardRequest& want) {
      auto found = done.find(role);
      if (found == done.end())
        found = done.emplace(role, c.forward(role, in, {.tokens = true, .layers = true})).first;
      return xp::serve(found->second, in.mask, want);
    };
    xp::StepResult all;
    for (auto& t : p_.terms)
      xp::append(all, t.part->step(b, *c.child(t.name, p_.share == "pass" ? once : xp::Pass{})), t.name, t.weight);
    return all;
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(sum) { registry.add<Sum>("sum", "Weighted sum of objectives."); }
