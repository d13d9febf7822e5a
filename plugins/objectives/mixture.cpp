// A mixture of objectives: each example, or each batch, goes to one of them. Those with the same step run in one pass
// (UL2, Tay et al. 2023, section 3.1, is a mixture of denoisers).
#include <algorithm>
#include <map>
#include <numeric>

#include "api/ops.h"
#include "base/text.h"
#include "kit/composite.h"
#include "kit/one_of.h"
#include "plugin/plugin.h"

namespace {

constexpr const char* kName = "mixture";
constexpr const char* kTerm = "mixture.term";  ///< field, per item: which objective it went to
constexpr const char* kStep = "mixture.step";  ///< message: a step was made, so the next batch is due

enum class Per : std::uint8_t { example, batch };

/// The objective of an example, by weight from its group's own stream.
std::size_t drawn(const std::vector<double>& weights, const xp::RandomStream& random) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double at = random.fork(weights.size() + 1).uniform() * total;
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] == 0) continue;
    last = k;
    if ((sum += weights[k]) > at) return k;
  }
  return last;  // the product rounded up to the sum
}

/// The objective of a batch: the one whose turns lag most behind its weight.
std::size_t due(const std::vector<double>& weights, const std::vector<std::int64_t>& turns) {
  std::size_t best = weights.size();
  for (std::size_t k = 0; k < weights.size(); ++k)
    if (weights[k] > 0 && (best == weights.size() || static_cast<double>(turns[k]) * weights[best] <
                                                         static_cast<double>(turns[best]) * weights[k]))
      best = k;
  return best;
}

/// Items that one pass serves, of one term or of several with the same step.
struct Share {
  std::vector<std::size_t> terms;
  at::Tensor rows;  // [n] int64
};

/// Columns of some items without the padding that only others need.
struct Excerpt {
  xp::Batch batch;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> widths = {};  ///< by axis: of the whole batch, here
};

class Mixture final : public xp::CompositeObjective {
 public:
  struct Params {
    std::vector<xp::Weighted<xp::Objective>> terms;
    Per per = Per::example;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::terms, "terms", "Objectives; `weight` is the share of examples or batches that go to one.")
          .required();
      f.add(&Params::per, "per",
            "What goes to one objective as a whole: examples, drawn by weight (groups are never cut), or batches, in "
            "turns.",
            {{"example", Per::example}, {"batch", Per::batch}});
    }
  };
  explicit Mixture(Params p) : p_(std::move(p)) {
    for (const auto& term : p_.terms) {
      if (!(term.weight >= 0))
        throw xp::Error("the weight of " + xp::backquoted(term.name) + " is " + xp::number_text(term.weight) +
                        "; it is a share, 0 or more");
      total_ += term.weight;
    }
    if (!(total_ > 0)) throw xp::Error("`terms` has no objective with a weight above 0");
    add(p_.terms);
  }

  std::unique_ptr<xp::Transform> input_transform() override {
    std::vector<xp::OneOf::Part> parts;
    for (auto& term : p_.terms) {
      parts.push_back({term.name, term.part->input_transform(), term.weight > 0});
      if (!parts.back().transform) continue;
      for (const auto& spec : parts.back().transform->fields().writes) axis_of_.emplace(spec.name, spec.axis);
    }
    std::vector<double> weights;
    for (const auto& term : p_.terms) weights.push_back(term.weight);
    auto one = p_.per == Per::example
                   ? std::make_unique<xp::OneOf>(
                         kName, std::move(parts),
                         [weights](const xp::RandomStream& random) { return drawn(weights, random); })
                   : std::make_unique<xp::OneOf>(
                         kName, std::move(parts),
                         [weights](const std::vector<std::int64_t>& turns) { return due(weights, turns); });
    foreign_.clear();
    for (std::size_t k = 0; k < p_.terms.size(); ++k) foreign_.push_back(one->foreign(k));
    return one;
  }

  xp::Counts counts(const xp::Batch& batch) const override {
    xp::Counts all;
    for (const auto& share : shares(batch)) {
      const auto& term = p_.terms[share.terms.front()];
      auto own = term.part->counts(part_of(batch, share).batch);
      for (auto& [name, n] : own) n = whole(n, share, batch.items());
      xp::append(all, own, term.name);
    }
    return all;
  }

  xp::StepResult step(const xp::Batch& batch, xp::StepContext& context) override {
    xp::StepResult all;
    for (const auto& share : shares(batch)) {
      const auto& term = p_.terms[share.terms.front()];
      const auto some = part_of(batch, share);
      auto result = term.part->step(some.batch, *context.child(term.name));
      if (share.terms.size() > 1) show(batch, share, result, term.part->counts(some.batch), all);
      for (auto& own : result.terms) own.sum = whole(own.sum, share, batch.items());
      for (auto& message : result.feedback)  // it comes back beside columns of the whole batch
        for (auto& [name, values] : message.values) values = whole(as_wide(values, some), share, batch.items());
      result.published.clear();  // rows of a part fit no other part
      xp::append(all, std::move(result), term.name, weight(share));
    }
    if (p_.per == Per::batch) all.feedback.push_back({kStep, {}});
    return all;
  }

 private:
  /// One for each kind of step that occurs in the batch.
  std::vector<Share> shares(const xp::Batch& batch) const {
    const auto& went = batch.dense(kTerm);
    std::vector<Share> all;
    for (std::size_t first = 0; first < p_.terms.size(); ++first) {
      Share share;
      auto here = went.new_zeros(went.sizes(), at::kBool);
      for (std::size_t k = first; k < p_.terms.size(); ++k) {
        std::size_t like = 0;
        while (like < k && !p_.terms[like].part->same_step(*p_.terms[k].part)) ++like;
        if (like != first) continue;
        share.terms.push_back(k), here = here.logical_or(went.eq(static_cast<std::int64_t>(k)));
      }
      share.rows = here.nonzero().squeeze(1);
      if (!share.terms.empty() && share.rows.size(0) > 0) all.push_back(std::move(share));
    }
    return all;
  }

  Excerpt part_of(const xp::Batch& batch, const Share& share) const {
    const auto& others = foreign_.at(share.terms.front());
    const auto seen =
        xp::renamed(batch, [&](const std::string& name) { return others.contains(name) ? std::string() : name; });
    if (share.rows.size(0) == batch.items()) return {seen};
    const auto some = seen.select(share.rows);
    Excerpt out;
    out.batch.sample_id = some.sample_id, out.batch.group_id = some.group_id;
    for (const auto& [name, column] : some.columns())
      if (const auto* mask = std::get_if<at::Tensor>(&column); mask && name.ends_with(".mask") && mask->dim() == 2)
        out.widths[name.substr(0, name.size() - 5)] = {mask->size(1), mask->sum(1).max().item<std::int64_t>()};
    for (const auto& [name, column] : some.columns()) {
      const auto* dense = std::get_if<at::Tensor>(&column);
      const auto width = dense && dense->dim() > 1 ? out.widths.find(axis_of(name)) : out.widths.end();
      if (width != out.widths.end() && dense->size(1) == width->second.first)
        out.batch.set(name, dense->narrow(1, 0, width->second.second));
      else
        out.batch.set(name, column);
    }
    return out;
  }

  /// Of what the terms write it is known, the data's own fields are the text's.
  std::string axis_of(const std::string& field) const {
    if (field.ends_with(".mask")) return field.substr(0, field.size() - 5);
    const auto known = axis_of_.find(field);
    return known == axis_of_.end() ? "input" : known->second;
  }

  /// Values by token as wide as they come back: messages are about the text.
  static at::Tensor as_wide(const at::Tensor& values, const Excerpt& part) {
    const auto width = part.widths.find("input");
    if (values.dim() < 2 || width == part.widths.end() || values.size(1) != width->second.second) return values;
    return xp::ops::constant_pad_nd(values, {0, width->second.first - values.size(1)});
  }

  /// Back to the items of the whole batch, zero for those that went elsewhere.
  static at::Tensor whole(const at::Tensor& x, const Share& share, std::int64_t items) {
    if (x.dim() == 0 || share.rows.size(0) == items) return x;
    auto shape = x.sizes().vec();
    shape[0] = items;
    return x.new_zeros(shape).index_copy(0, share.rows, x);
  }

  /// A term is a mean over its own items. Drawn by example, every step has all terms, each as heavy as its share; by
  /// batch, a step has one, and how often that is makes the share.
  double weight(const Share& share) const {
    if (p_.per == Per::batch) return 1;
    double sum = 0;
    for (const auto k : share.terms) sum += p_.terms[k].weight;
    return sum / total_;
  }

  /// Terms that run in one pass have one loss; what each contributes is recorded under its own name.
  void show(const xp::Batch& batch, const Share& share, const xp::StepResult& result, const xp::Counts& counts,
            xp::StepResult& all) const {
    const auto went = batch.dense(kTerm).index_select(0, share.rows);
    for (const auto k : share.terms) {
      const auto mine = went.eq(static_cast<std::int64_t>(k));
      if (!mine.any().item<bool>()) continue;
      for (const auto& term : result.terms) {
        const auto& count = counts.at(term.name);
        if (term.sum.dim() == 0 || count.dim() == 0) continue;
        all.metrics.push_back(
            {p_.terms[k].name + "." + term.name, term.sum.detach().mul(mine).sum(), count.mul(mine).sum()});
      }
    }
  }

  Params p_;
  double total_ = 0;
  std::map<std::string, std::string> axis_of_;  ///< of the fields that the terms' transforms write
  std::vector<std::set<std::string>> foreign_;  ///< by term: fields that only others write
};

}  // namespace

XP_PLUGIN(mixture) { registry.add<Mixture>("mixture", "Each example or batch to one of several objectives."); }
