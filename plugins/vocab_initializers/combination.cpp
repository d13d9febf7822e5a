#include <algorithm>
#include <map>
#include <set>

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

/// The donor that all members which want one name; throws Error (Exit::usage) if they name several.
const xp::Reference* donor_of(const Members& members) {
  const xp::Reference* out = nullptr;
  for (const auto& one : members) {
    const auto* own = one->donor();
    if (own && out && own->text != out->text)
      throw xp::Error("members of a combination name two donors, " + xp::backquoted(out->text) + " and " +
                          xp::backquoted(own->text) + "; one is read",
                      xp::Exit::usage);
    if (own) out = own;
  }
  return out;
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
  const xp::Reference* donor() const override { return donor_of(p_.of); }
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

/// A row is the weighted mean of what several initializers make of it. A token that one of them leaves open stays
/// open.
class Interpolate final : public xp::VocabInitializer {
 public:
  struct Params {
    Members of;
    std::vector<double> weights;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::of, "of", "Initializers that mix old rows.").required();
      f.add(&Params::weights, "weights", "Share of each, in order; they are divided by their sum. None: alike.")
          .min(0);
    }
  };
  explicit Interpolate(Params params) : p_(std::move(params)) {
    require_members(p_.of, "interpolate");
    if (p_.weights.empty()) p_.weights.assign(p_.of.size(), 1.0);
    double sum = 0;
    for (const double weight : p_.weights) sum += weight;
    if (p_.weights.size() != p_.of.size() || sum <= 0)
      throw xp::Error("`weights` of interpolate wants a share for each of " + xp::count(p_.of.size(), "initializer") +
                          ", not all of them 0",
                      xp::Exit::usage);
    for (double& weight : p_.weights) weight /= sum;
  }

  bool wants_vectors() const override { return any_wants_vectors(p_.of); }
  const xp::Reference* donor() const override { return donor_of(p_.of); }
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
  void merge(const std::vector<xp::MixPlan>& plans, xp::TokenId row, xp::MixPlan& plan) const {
    std::string rule;
    std::set<std::string> roles;
    double uniform = 0;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const auto& one = plans[i].rows()[static_cast<std::size_t>(row)];
      if (!one.set) return;
      if (!one.dense.empty())
        throw xp::Error("interpolate mixes weights of old rows, and initializer " + xp::backquoted(p_.of[i]->type()) +
                            " gives numbers; put it into first_of instead",
                        xp::Exit::usage);
      rule += (i ? "+" : "") + one.rule;
      uniform += p_.weights[i] * one.uniform;
      for (const auto& [role, parts] : one.role_parts) roles.insert(role);
    }
    auto parts = mixed(plans, row, "");
    if (uniform > 0)
      plan.set_uniform_row(row, rule, {}, uniform, std::move(parts));
    else
      plan.set_row(row, std::move(parts), rule);
    for (const auto& role : roles) plan.set_role_parts(row, role, mixed(plans, row, role));
  }

  std::vector<xp::MixPart> mixed(const std::vector<xp::MixPlan>& plans, xp::TokenId row,
                                 std::string_view role) const {
    std::map<xp::TokenId, double> sums;
    for (std::size_t i = 0; i < plans.size(); ++i)
      for (const auto& part : plans[i].rows()[static_cast<std::size_t>(row)].parts_for(role))
        sums[part.source] += p_.weights[i] * part.weight;
    std::vector<xp::MixPart> parts;
    for (const auto& [source, weight] : sums) parts.push_back({source, weight});
    return parts;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(combination) {
  registry.add<FirstOf>("first_of", "Several initializers, each for what those before it left open.");
  registry.add<Interpolate>("interpolate", "The weighted mean of what several initializers make of a row.");
}
