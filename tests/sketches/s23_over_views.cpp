// S23: any objective at several depths and widths of the model, from one pass; optionally all aligned to the largest.
#include <ATen/ATen.h>

#include "api/objective.h"
#include "plugin/plugin.h"

namespace {

class OverViews final : public xp::Objective {
 public:
  struct Params {
    std::vector<std::vector<std::int64_t>> sizes;  // [layers, width]; the last is the one to align to
    std::unique_ptr<xp::Objective> task;
    std::string align = "none";
    double align_weight = 1;
    static void describe(xp::Fields<Params>& f) {
      f.needs("capability", "primary:views");
      f.add(&Params::sizes, "sizes", "Pairs of layers and width, growing.");
      f.add(&Params::task, "task", "What every size must do.");
      f.add(&Params::align, "align", "`kl`: the task's `scores` of each size follow those of the largest.");
      f.add(&Params::align_weight, "align_weight", "Weight of alignment.");
    }
  };
  explicit OverViews(Params p) : p_(std::move(p)) {}

  void build(xp::BuildContext& c) override { p_.task->build(c.child("task")); }
  std::unique_ptr<xp::Transform> input_transform() override { return p_.task->input_transform(); }
  bool batch_coupled() const override { return p_.task->batch_coupled(); }

  xp::Counts counts(const xp::Batch& b) const override {
    xp::Counts all;
    for (std::size_t i = 0; i < p_.sizes.size(); ++i) {
      const auto child = p_.task->counts(b);
      xp::append(all, child, name(i));
      if (p_.align == "kl" && i + 1 < p_.sizes.size()) all[name(i) + ".align"] = child.begin()->second;
    }
    return all;
  }

  xp::StepResult step(const xp::Batch& b, xp::StepContext& c) override {
    std::vector<xp::ForwardOutput> passes;  // the task's passes, in the order in which it asks
    xp::StepResult all;
    for (std::size_t i = 0; i < p_.sizes.size(); ++i) {
      std::size_t next = 0;
      auto view = c.child("task", [&](std::string_view role, const xp::ForwardInput& in, xp::ForwardRequest want) {
        if (role != "primary") return c.forward(role, in, want);
        if (next == passes.size()) passes.push_back(c.forward(role, in, {.tokens = true, .layers = true}));
        want.view = {p_.sizes[i][0], p_.sizes[i][1]};
        return xp::serve(passes[next++], in.mask, want);
      });
      xp::append(all, p_.task->step(b, *view), name(i), 1);
    }
    if (p_.align != "kl") return all;
    const auto target = all.published.at(name(p_.sizes.size() - 1) + ".scores").detach().log_softmax(-1);
    for (std::size_t i = 0; i + 1 < p_.sizes.size(); ++i) {
      const auto own = all.published.at(name(i) + ".scores").log_softmax(-1);
      all.terms.push_back({name(i) + ".align", (target.exp() * (target - own)).sum(-1), p_.align_weight});
    }
    return all;
  }

 private:
  std::string name(std::size_t i) const {
    return std::to_string(p_.sizes[i][0]) + "x" + std::to_string(p_.sizes[i][1]);
  }
  Params p_;
};

}  // namespace

XP_PLUGIN(s23_over_views) { registry.add<OverViews>("over_views", "An objective at several sizes of the model."); }
