// One objective at several depths and widths of the model in every step.
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "api/evaluator.h"
#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "kit/chain.h"
#include "kit/torch_operators.h"
#include "plugin/plugin.h"

namespace {

using at::Tensor;

constexpr std::int64_t kMostSizes = 6;  ///< of a list made here, as many as published

/// True if both are known to give the same pass.
bool same_input(const xp::ForwardInput& a, const xp::ForwardInput& b) {
  using In = xp::ForwardInput;
  for (const auto part : {&In::ids, &In::vectors, &In::mask, &In::positions, &In::memory, &In::memory_mask, &In::keys,
                          &In::segments, &In::sample_id}) {
    const Tensor &x = a.*part, &y = b.*part;
    if (x.defined() != y.defined()) return false;
    if (!x.defined() || x.is_same(y)) continue;
    if (x.is_floating_point() || x.sizes() != y.sizes() || x.scalar_type() != y.scalar_type() || !x.equal(y))
      return false;
  }
  return a.fields == b.fields && a.causal == b.causal;
}

/// Passes of the whole model that serve every view.
class ViewPasses {
 public:
  /// `shared`: there is more than one view, so passes give all layers.
  ViewPasses(xp::StepContext& context, bool shared) : context_(context), shared_(shared) {}

  xp::Pass of_view(xp::View view) {
    const auto next = std::make_shared<std::size_t>(0);  // shared, as contexts below copy the pass
    return [this, view, next](std::string_view role, const xp::ForwardInput& in, const xp::ForwardRequest& asked) {
      auto want = asked;
      if (role != "primary") return context_.forward(role, in, want);
      want.view = view;
      // A model's own pooling is known to the model alone.
      if (!shared_ || want.pooling == xp::Pooling::own) return context_.forward(role, in, want);
      const auto n = (*next)++;
      if (n == done_.size())
        done_.push_back({in, context_.forward(role, in, {.tokens = true, .layers = true})});
      else if (!same_input(done_[n].in, in))
        return context_.forward(role, in, want);  // what it reads depends on the view
      const bool by_item = in.mask.defined() && in.mask.dim() == 2;
      return xp::serve(done_[n].out, by_item ? in.mask : Tensor(), want);
    };
  }

 private:
  struct Done {
    xp::ForwardInput in;
    xp::ForwardOutput out;
  };
  xp::StepContext& context_;
  bool shared_;
  std::vector<Done> done_;
};

/// Sizes as a recipe writes them: a list of [layers, width]. Throws Error if one is no such pair or comes twice.
std::vector<xp::View> listed_views(const xp::List& list) {
  std::vector<xp::View> out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto front = "views[" + std::to_string(i) + "] is " + xp::to_text(list[i]);
    const auto* pair = list[i].as<xp::List>();
    const auto *layers = pair && pair->size() == 2 ? (*pair)[0].as<std::int64_t>() : nullptr,
               *width = layers ? (*pair)[1].as<std::int64_t>() : nullptr;
    if (!width || *layers < 1 || *width < 1) throw xp::Error(front + "; a view is [layers, width], such as [2, 64]");
    for (const auto& other : out)
      if (other.layers == *layers && other.width == *width) throw xp::Error(front + ", which stands there twice");
    out.push_back({*layers, *width});
  }
  if (out.empty()) throw xp::Error("`views` is empty; write [[layers, width], ...], small_to_full or random");
  return out;
}

/// `small_to_full` (Starbucks, Zhuang et al. 2024): a fixed list whose depth and width grow together. `random` (2D
/// Matryoshka, Li et al. 2024): one depth, drawn anew each step, at every width of that list. `align` adds KL(largest
/// || view), the largest one's scores held fixed (Hinton et al. 2015, section 2, at the task's own temperature).
class OverViews final : public xp::Objective {
 public:
  struct Align {
    std::string type = "kl", to = "full";
    double weight = 1;

    static void describe(xp::Fields<Align>& f) {
      f.add(&Align::type, "type", "Kullback-Leibler divergence of the task's `scores`, a softmax over each row.")
          .choices({"kl"});
      f.add(&Align::to, "to", "What all others follow: `full`, the largest of the views.").choices({"full"});
      f.add(&Align::weight, "weight", "Weight of each view's divergence.").min(0);
    }
  };
  struct Params {
    xp::Value views = "small_to_full";
    std::unique_ptr<xp::Objective> task;
    std::optional<Align> align;

    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::views, "views",
            "A list of [layers, width]; `small_to_full`: up to six of them, evenly from the smallest to the whole "
            "model; `random`: a depth drawn each step, at each of those widths.")
          .any_of({xp::field::text({"small_to_full", "random"}),
                   xp::field::list(xp::field::list(xp::field::number(true)))})
          .required();
      f.add(&Params::task, "task", "What the model must do at every size.").required();
      f.add(&Params::align, "align", "Whether smaller views follow the largest one.").optional();
      f.needs("capability", "primary:views");
      f.gives("metric", "layers", "layers", {{"views", {"random"}}});
    }
  };

  explicit OverViews(Params p) : p_(std::move(p)) {
    if (!p_.task) throw xp::Error("over_views needs `task`: the objective that every view is trained with");
    const auto* text = p_.views.as<std::string>();
    if (text && *text != "small_to_full" && *text != "random")
      throw xp::Error("`views` is " + xp::backquoted(*text) +
                      "; write small_to_full, random or [[layers, width], ...]");
    random_ = text && *text == "random";
    if (const auto* list = p_.views.as<xp::List>())
      views_ = listed_views(*list);
    else if (!text)
      throw xp::Error("`views` is " + xp::to_text(p_.views) + "; write [[layers, width], ...]");
  }

  void build(xp::BuildContext& context) override {
    p_.task->build(context.child("task"));
    const auto shape = context.model("primary").shape();
    depth_ = shape.layers;
    if (views_.empty()) {
      const auto sizes = std::min(shape.layers, kMostSizes);
      for (std::int64_t i = 1; i <= sizes; ++i)
        views_.push_back({shape.layers * i / sizes, std::max<std::int64_t>(shape.width * i / sizes, 1)});
    }
    for (const auto& view : views_) {
      if (view.layers > shape.layers || view.width > shape.width)
        throw xp::Error("view [" + std::to_string(view.layers) + ", " + std::to_string(view.width) +
                        "] is larger than the model, which has " +
                        xp::count(static_cast<std::size_t>(shape.layers), "layer") + " of width " +
                        std::to_string(shape.width));
      if (view.layers >= full_.layers && view.width >= full_.width) full_ = view;
    }
    for (const auto& view : views_)
      if (p_.align && (view.layers > full_.layers || view.width > full_.width))
        throw xp::Error("`align` wants a view that is as deep and as wide as all others; [" +
                        std::to_string(view.layers) + ", " + std::to_string(view.width) + "] and [" +
                        std::to_string(full_.layers) + ", " + std::to_string(full_.width) + "] are not");
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    auto own = p_.task->input_transform();
    if (!own) return nullptr;
    auto chain = std::make_unique<xp::Chain>();
    chain->add("task", std::move(own));
    return chain;
  }
  void set(std::string_view parameter, double value) override {
    if (parameter.starts_with("task.")) p_.task->set(parameter.substr(5), value);
  }
  bool batch_coupled() const override { return p_.task->batch_coupled(); }

  xp::Counts counts(const xp::Batch& batch) const override {
    const auto own = p_.task->counts(batch);
    if (p_.align && own.size() != 1)
      throw xp::Error("`align` wants a task with one term; " + xp::backquoted(p_.task->type()) + " has " +
                      std::to_string(own.size()));
    xp::Counts all;
    for (const auto& view : views_) {
      xp::append(all, own, name(view));
      if (follows(view)) all[name(view) + ".align"] = own.begin()->second;
    }
    return all;
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override;

  std::unique_ptr<xp::Handle> handle(std::shared_ptr<xp::StepContext> context, xp::Handle& plain) override {
    return p_.task->handle(context->child("task"), plain);
  }
  void save(xp::State& state) const override { p_.task->save(state.child("task")); }
  void load(const xp::State& state) override { p_.task->load(state.child("task")); }

 private:
  /// "2x64"; of random depth: "random_x64".
  std::string name(const xp::View& view) const {
    return (random_ ? std::string("random_") : std::to_string(view.layers)) + "x" + std::to_string(view.width);
  }
  bool is_full(const xp::View& view) const { return view.layers == full_.layers && view.width == full_.width; }
  bool follows(const xp::View& view) const { return p_.align && (random_ || !is_full(view)); }

  /// A depth for all rows of the step, however the batch is split.
  static std::int64_t drawn_depth(std::int64_t deepest, xp::StepContext& context) {
    xp::Batch key;
    key.sample_id = xp::ops::zeros({1}, at::kLong);
    const double u = context.uniform(key, 1, "depth").item<double>();
    return std::min(static_cast<std::int64_t>(std::floor(u * static_cast<double>(deepest))) + 1, deepest);
  }

  /// The task's only output of that name, [rows, candidates].
  Tensor scores_of(const xp::StepResult& result) const {
    Tensor found;
    for (const auto& [key, tensor] : result.published)
      if (key == "scores" || key.ends_with(".scores")) found = tensor;
    if (!found.defined())
      throw xp::Error("`align` compares what the task publishes as `scores`, and " + xp::backquoted(p_.task->type()) +
                      " publishes none");
    return found;
  }

  xp::LossTerm align(const xp::View& view, const Tensor& scores, const Tensor& target, const Tensor& count,
                     const xp::Batch& batch) const {
    const auto wanted = target.log_softmax(-1), own = scores.log_softmax(-1);
    // What has no chance at all (a masked candidate) costs nothing; the difference would be inf - inf.
    const auto apart = (wanted - own).masked_fill(wanted.isinf(), 0);
    auto rows = (wanted.exp() * apart).sum(-1);
    if (count.dim() == 1 && rows.dim() == 1 && rows.size(0) == batch.items())
      rows = rows * count.gt(0);
    else
      rows = rows.sum();
    return {name(view) + ".align", rows, p_.align->weight};
  }

  Params p_;
  bool random_ = false;
  std::vector<xp::View> views_;
  xp::View full_;
  std::int64_t depth_ = 0;
};

xp::StepResult OverViews::step(const xp::Batch& batch, xp::StepContext& context) {
  auto views = views_;
  xp::StepResult all;
  if (random_) {
    const auto layers = drawn_depth(depth_, context);
    for (auto& view : views) view.layers = layers;
    const auto one = batch.sample_id.new_ones({});
    all.metrics.push_back({"layers", one * layers, one});
  }
  const bool apart = std::none_of(views.begin(), views.end(), [&](const auto& view) { return is_full(view); });
  ViewPasses passes(context, views.size() > 1 || (p_.align && apart));
  const auto run = [&](const xp::View& view) {
    const auto child = context.child("task", passes.of_view(view));
    return p_.task->step(batch, *child);
  };
  std::vector<Tensor> scores;
  Tensor target;
  for (const auto& view : views) {
    auto result = run(view);
    if (p_.align) scores.push_back(scores_of(result));
    if (p_.align && is_full(view)) target = scores.back().detach();
    xp::append(all, std::move(result), name(view), 1);
  }
  if (!p_.align) return all;
  if (!target.defined()) {
    const at::NoGradGuard fixed;
    target = scores_of(run(full_));
  }
  const auto count = p_.task->counts(batch).begin()->second;
  for (std::size_t i = 0; i < views.size(); ++i)
    if (follows(views[i])) all.terms.push_back(align(views[i], scores[i], target, count, batch));
  return all;
}

}  // namespace

XP_PLUGIN(over_views) { registry.add<OverViews>("over_views", "One objective at several sizes of the model."); }
