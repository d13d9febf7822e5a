#include <numeric>

#include "base/text.h"
#include "kit/composite.h"
#include "kit/one_of.h"
#include "plugin/plugin.h"

namespace {

constexpr const char* kName = "alternate";
constexpr const char* kTerm = "alternate.term";  ///< field, per item: whose turn it was when the batch was made
constexpr const char* kStep = "alternate.step";  ///< message: a step was made, so the next batch is due

/// Whose turn it is after so many turns of each, in a cycle of `steps`.
std::size_t due(const std::vector<std::int64_t>& steps, const std::vector<std::int64_t>& turns) {
  const auto sum = [](const auto& all) { return std::accumulate(all.begin(), all.end(), std::int64_t{0}); };
  auto place = sum(turns) % sum(steps);
  std::size_t k = 0;
  while (place >= steps[k]) place -= steps[k++];
  return k;
}

/// Objectives that take turns, each with whole steps of its own: step s of the stage goes to the term that holds
/// place s modulo the cycle's length (CodeT5, Wang et al. 2021, section 3.2, alternates its losses with equal
/// shares). The batch says whose turn it is, as its input was made for that term alone.
class Alternate final : public xp::CompositeObjective {
 public:
  struct Params {
    std::vector<xp::Weighted<xp::Objective>> terms;
    std::vector<std::int64_t> steps;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::terms, "terms", "Objectives in their order, each with a `weight` of its loss.").required();
      f.add(&Params::steps, "steps", "Steps that each of them has before the next one's turn; empty: one each.")
          .min(1);
    }
  };

  explicit Alternate(Params p) : p_(std::move(p)) {
    if (p_.terms.empty()) throw xp::Error("`terms` is empty; objectives are needed that take turns");
    if (p_.steps.empty()) p_.steps.assign(p_.terms.size(), 1);
    if (p_.steps.size() != p_.terms.size())
      throw xp::Error("`steps` has " + xp::count(p_.steps.size(), "number") + " for " +
                      xp::count(p_.terms.size(), "objective"));
    for (std::size_t k = 0; k < p_.steps.size(); ++k)
      if (p_.steps[k] < 1)
        throw xp::Error("the steps of " + xp::backquoted(p_.terms[k].name) + " are " + std::to_string(p_.steps[k]) +
                        "; each objective has one or more in its turn");
    add(p_.terms);
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    std::vector<xp::OneOf::Part> parts;
    for (auto& term : p_.terms) parts.push_back({term.name, term.part->input_transform()});
    auto one = std::make_unique<xp::OneOf>(
        kName, std::move(parts),
        [steps = p_.steps](const std::vector<std::int64_t>& turns) { return due(steps, turns); });
    foreign_.clear();
    for (std::size_t k = 0; k < p_.terms.size(); ++k) foreign_.push_back(one->foreign(k));
    return one;
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    auto all = CompositeObjective::step(batch, context);
    all.feedback.push_back({kStep, {}});
    return all;
  }

 private:
  bool runs(std::size_t part, const xp::Batch& batch) const override {
    return batch.dense(kTerm)[0].item<std::int64_t>() == static_cast<std::int64_t>(part);
  }

  /// Without the padding that stands where other terms would write.
  const xp::Batch& seen_by(std::size_t part, const xp::Batch& batch, xp::Batch& own) const override {
    const auto& others = foreign_.at(part);
    if (others.empty()) return batch;
    return own = xp::renamed(batch,
                             [&](const std::string& name) { return others.contains(name) ? std::string() : name; });
  }

  Params p_;
  std::vector<std::set<std::string>> foreign_;  ///< by term: fields that only others write
};

}  // namespace

XP_PLUGIN(alternate) { registry.add<Alternate>("alternate", "Objectives that take turns, step by step."); }
