#include "base/text.h"
#include "kit/composite.h"
#include "plugin/plugin.h"

namespace {

/// task + weight * match: an objective beside one that compares with a frozen reference (Hinton et al. 2015, section
/// 2; with features, Lee et al. 2023, "Self-distillation for further pre-training"). The task draws as it would
/// alone.
class TeacherWrap final : public xp::CompositeObjective {
 public:
  struct Params {
    std::unique_ptr<xp::Objective> task, match;
    double weight = 1;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::task, "task", "What the model is trained for.").required();
      f.add(&Params::match, "match",
            "What compares it with a frozen reference; it reads what the task hides if it asks for that.")
          .required();
      f.add(&Params::weight, "weight", "Weight of `match` beside the task; at 0 it runs no pass.")
          .min(0)
          .schedulable();
    }
  };

  explicit TeacherWrap(Params p) : p_(std::move(p)) {
    add("task", p_.task), add("match", p_.match);
    weigh(p_.weight);
  }

  void set(std::string_view parameter, double value) override {
    if (parameter == "weight") weigh(value);
    CompositeObjective::set(parameter, value);
  }

 private:
  void weigh(double weight) {
    if (!(weight >= 0)) throw xp::Error("`weight` is " + xp::number_text(weight) + "; it must be 0 or more");
    parts_[1].weight = weight;
  }
  bool runs(std::size_t part, const xp::Batch&) const override { return part == 0 || parts_[1].weight > 0; }

  Params p_;
};

}  // namespace

XP_PLUGIN(teacher_wrap) {
  registry.add<TeacherWrap>("teacher_wrap", "An objective beside a comparison with a frozen reference.");
}
