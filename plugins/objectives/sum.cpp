// A weighted sum of objectives over the same batch.
#include <algorithm>

#include "api/evaluator.h"
#include "api/objective.h"
#include "base/text.h"
#include "kit/chain.h"
#include "plugin/plugin.h"

namespace {

/// The first term's passes, whole, by role and in their order; later terms are served from them.
class SharedPasses {
 public:
  explicit SharedPasses(xp::StepContext& context) : context_(context) {}

  /// For one term: its n-th pass of a role is the first term's n-th one.
  xp::Pass of_term(const std::string& term) {
    // Shared, as contexts below copy the pass.
    const auto next = std::make_shared<std::map<std::string, std::size_t, std::less<>>>();
    return [this, term, next](std::string_view role, const xp::ForwardInput& in, const xp::ForwardRequest& want) {
      if (want.pooling == xp::Pooling::own)
        throw xp::Error("term " + xp::backquoted(term) +
                        " asks for the model's own pooling, which a shared pass does not have; choose another, or "
                        "share = \"none\"");
      auto& done = passes_[std::string(role)];
      const auto n = (*next)[std::string(role)]++;
      if (n == done.size())
        done.push_back(
            {context_.forward(role, in, {.tokens = true, .layers = true}), in.memory.defined(), in.causal});
      check(term, role, in, done[n]);
      const bool by_item = in.mask.defined() && in.mask.dim() == 2;
      return xp::serve(done[n].output, by_item ? in.mask : at::Tensor(), want);
    };
  }

 private:
  struct Done {
    xp::ForwardOutput output;
    bool decodes, causal;
  };

  static void check(const std::string& term, std::string_view role, const xp::ForwardInput& in, const Done& done) {
    const auto& own = in.ids.defined() ? in.ids : in.vectors;
    const auto& tokens = done.output.tokens;
    const bool same_shape = !own.defined() || (own.size(0) == tokens.size(0) && own.size(1) == tokens.size(1));
    if (same_shape && in.memory.defined() == done.decodes && in.causal == done.causal) return;
    throw xp::Error(
        "term " + xp::backquoted(term) + " cannot share the pass of " + xp::backquoted(role) +
        ": the shape of its input or its direction is another than the first term's; write share = \"none\"");
  }

  xp::StepContext& context_;
  std::map<std::string, std::vector<Done>, std::less<>> passes_;
};

class Sum final : public xp::Objective {
 public:
  enum class Share : std::uint8_t { none, pass };
  struct Params {
    std::vector<xp::Weighted<xp::Objective>> terms;
    Share share = Share::none;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::terms, "terms", "Objectives, each with a `weight`.").required();
      f.add(&Params::share, "share",
            "Whether each term runs passes of its own, or all are served from the passes (and so the input) of the "
            "first.",
            {{"none", Share::none}, {"pass", Share::pass}});
    }
  };

  explicit Sum(Params p) : p_(std::move(p)) {
    if (p_.terms.empty()) throw xp::Error("`terms` is empty; a sum needs an objective");
  }

  void build(xp::BuildContext& context) override {
    for (auto& term : p_.terms) term.part->build(context.child(term.name));
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    auto chain = std::make_unique<xp::Chain>();
    for (auto& term : p_.terms)
      if (auto part = term.part->input_transform()) chain->add(term.name, std::move(part));
    if (chain->size() == 0) return nullptr;
    return chain;
  }

  void set(std::string_view parameter, double value) override {
    for (auto& term : p_.terms)
      if (parameter.starts_with(term.name + ".")) term.part->set(parameter.substr(term.name.size() + 1), value);
  }

  bool batch_coupled() const override {
    return std::any_of(p_.terms.begin(), p_.terms.end(), [](const auto& term) { return term.part->batch_coupled(); });
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    xp::Counts all;
    for (const auto& term : p_.terms) xp::append(all, term.part->counts(batch), term.name);
    return all;
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    SharedPasses passes(context);
    xp::StepResult all;
    for (auto& term : p_.terms) {
      const auto child = context.child(term.name, p_.share == Share::pass ? passes.of_term(term.name) : xp::Pass{});
      xp::append(all, term.part->step(batch, *child), term.name, term.weight);
    }
    return all;
  }

  /// That of the first term which has one.
  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    for (auto& term : p_.terms)
      if (auto own = term.part->handle(context->child(term.name), plain)) return own;
    return nullptr;
  }

  void save(xp::State& state) const override {
    for (const auto& term : p_.terms) term.part->save(state.child(term.name));
  }
  void load(const xp::State& state) override {
    for (auto& term : p_.terms) term.part->load(state.child(term.name));
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(sum) { registry.add<Sum>("sum", "Weighted sum of objectives."); }
