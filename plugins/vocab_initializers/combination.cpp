#include <algorithm>
#include <map>

#include "api/vocab_initializer.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

using Members = std::vector<std::unique_ptr<xp::VocabInitializer>>;

void require_members(const Members& members, const char* type) {
  if (members.empty())
    throw xp::Error("initializer " + xp::backquoted(type) + " is made of others: name them in `of`", xp::Exit::usage);
}

bool any_wants_vectors(const Members& members) {
  return std::any_of(members.begin(), members.end(), [](const auto& one) { return one->wants_vectors(); });
}

const xp::Reference* first_donor(const Members& members) {
  for (const auto& one : members)
    if (const auto* donor = one->donor()) return donor;
  return nullptr;
}

/// Each initializer sets what those before it left open.
class FirstOf final : public xp::VocabInitializer {
 public:
  struct Params {
    Members of;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::of, "of", "Initializers, the first that knows a token sets its row.").required();
    }
  };
  explicit FirstOf(Params params) : p_(std::move(params)) { require_members(p_.of, "first_of"); }

  bool wants_vectors() const override { return any_wants_vectors(p_.of); }
  const xp::Reference* donor() const override { return first_donor(p_.of); }
  std::optional<xp::Strings> match() const override { return p_.of.front()->match(); }
  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    for (std::size_t i = 0; i < p_.of.size(); ++i) {
      auto own = setting;
      own.random = setting.random.child(std::to_string(i));
      p_.of[i]->plan(own, plan);
    }
  }

 private:
  Params p_;
};

/// A row is the weighted mean of what several initializers make of it. A token that one of them leaves open stays open.
class Interpolate final : public xp::VocabInitializer {
 public:
  struct Params {
    Members of;
    std::vector<double> weights;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::of, "of", "Initializers that mix old rows.").required();
      f.add(&Params::weights, "weights", "Share of each, in order; they are divided by their sum. None: alike.").min(0);
    }
  };
  explicit Interpolate(Params params) : p_(std::move(params)) {
    require_members(p_.of, "interpolate");
    if (p_.weights.empty()) p_.weights.assign(p_.of.size(), 1.0);
    double sum = 0;
    for (const double weight : p_.weights) sum += weight;
    if (p_.weights.size() != p_.of.size() || sum <= 0)
      throw xp::Error("`weights` of interpolate wants a share for each of " +
                          xp::count(p_.of.size(), "initializer") + ", not all of them 0",
                      xp::Exit::usage);
    for (double& weight : p_.weights) weight /= sum;
  }

  bool wants_vectors() const override { return any_wants_vectors(p_.of); }
  const xp::Reference* donor() const override { return first_donor(p_.of); }
  std::optional<xp::Strings> match() const override { return p_.of.front()->match(); }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    std::vector<xp::MixPlan> plans;
    for (std::size_t i = 0; i < p_.of.size(); ++i) {
      auto own = setting;
      own.random = setting.random.child(std::to_string(i));
      p_.of[i]->plan(own, plans.emplace_back(plan));
    }
    for (const auto row : plan.open_rows()) merge(plans, row, plan);
  }

 private:
  using Sums = std::map<xp::TokenId, double>;

  void merge(const std::vector<xp::MixPlan>& plans, xp::TokenId row, xp::MixPlan& plan) const {
    Sums sums;
    std::string rule;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const auto& one = plans[i].rows()[static_cast<std::size_t>(row)];
      if (!one.set) return;
      rule += (i ? "+" : "") + one.rule;
      if (!one.dense.empty() || !one.role_parts.empty())
        throw xp::Error("interpolate mixes weights of old rows, and initializer " + xp::backquoted(p_.of[i]->type()) +
                            " gives numbers, or other weights for output rows; put it into first_of instead",
                        xp::Exit::usage);
      if (one.uniform)
        for (xp::TokenId source = 0; source < plan.source_size(); ++source)
          sums[source] += p_.weights[i] / static_cast<double>(plan.source_size());
      for (const auto& part : one.parts) sums[part.source] += p_.weights[i] * part.weight;
    }
    std::vector<xp::MixPart> parts;
    for (const auto& [source, weight] : sums) parts.push_back({source, weight});
    plan.set_row(row, std::move(parts), rule);
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(combination) {
  registry.add<FirstOf>("first_of", "Several initializers, each for what those before it left open.");
  registry.add<Interpolate>("interpolate", "The weighted mean of what several initializers make of a row.");
}
