// A weighted sum of objectives over the same batch.
#include "base/text.h"
#include "kit/composite.h"
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

class Sum final : public xp::CompositeObjective {
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
    add(p_.terms);
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    if (p_.share == Share::none) return CompositeObjective::step(batch, context);
    SharedPasses passes(context);
    xp::StepResult all;
    for (auto& term : p_.terms) {
      const auto child = context.child(term.name, passes.of_term(term.name));
      xp::append(all, term.part->step(batch, *child), term.name, term.weight);
    }
    return all;
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(sum) { registry.add<Sum>("sum", "Weighted sum of objectives."); }
