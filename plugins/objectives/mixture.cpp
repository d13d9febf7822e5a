// A mixture of objectives: each example, or each batch, goes to one of them. Those with the same step run in one pass
// (UL2, Tay et al. 2023, section 3.1, is a mixture of denoisers).
#include <algorithm>
#include <map>

#include "api/evaluator.h"
#include "api/objective.h"
#include "api/ops.h"
#include "base/text.h"
#include "plugin/plugin.h"

namespace {

constexpr const char* kTerm = "mixture.term";  ///< field, per item: which objective it went to
constexpr const char* kStep = "mixture.step";  ///< message: a step was made, so the next batch is due

enum class Per : std::uint8_t { example, batch };

/// Hands each group to the transform of one objective. Per example it is drawn by weight from the group's own stream;
/// per batch the objective takes its turn that lags most behind its weight.
class PickOne final : public xp::Transform {
 public:
  struct Part {
    std::string name;
    double weight = 1;
    std::unique_ptr<xp::Transform> transform;  ///< may be null
  };
  PickOne(std::vector<Part> parts, Per per) : parts_(std::move(parts)), per_(per), turns_(parts_.size()) {
    for (const auto& part : parts_) {
      total_ += part.weight;
      if (part.transform) add(part.transform->fields());
    }
    for (const auto& spec : use_.writes)
      if (spec.name == kTerm) throw xp::Error("a mixture is a term of a mixture; write its terms into the outer one");
    use_.writes.push_back({kTerm, "", 0});
    now_ = due();
  }

  void start(const xp::Resources& resources) override {
    for (auto& part : parts_)
      if (part.transform) part.transform->start(resources);
  }
  xp::FieldUse fields() const override { return use_; }

  xp::Lengths lengths(std::int64_t raw, xp::RandomStream random) const override {
    if (per_ == Per::example) return lengths(pick(random), raw, random);  // the draw that apply will make
    xp::Lengths all;  // a text is cut before it is known whose turn it will be
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      if (parts_[k].weight == 0) continue;
      const auto own = lengths(k, raw, random);
      all = {std::max(all.input, own.input), std::max(all.target, own.target)};
    }
    return all;
  }

  void apply(std::vector<xp::Example>& group, xp::RandomStream& random) const override {
    const auto k = per_ == Per::example ? pick(random) : now_;
    const auto& part = parts_[k];
    auto stream = own(k, random);
    if (part.transform) part.transform->apply(group, stream);
    const auto made = part.transform ? part.transform->fields().writes : std::vector<xp::FieldSpec>{};
    for (auto& item : group) {
      item.fields[kTerm] = xp::Ints{{static_cast<std::int64_t>(k)}};
      for (const auto& spec : use_.writes)
        if (!item.fields.contains(spec.name)) item.fields[spec.name] = blank(item, spec, made);
    }
  }

  std::vector<xp::Subscription> subscriptions() const override {
    std::vector<xp::Subscription> all;
    if (per_ == Per::batch) all.push_back({kStep, 1, {}});
    for (const auto& part : parts_)
      if (part.transform)
        for (auto& wish : part.transform->subscriptions()) all.push_back(std::move(wish));
    return all;
  }
  void receive(const xp::Feedback& feedback) override {
    if (feedback.topic == kStep)  // a step of several micro-batches tells so several times
      while (batch_ <= feedback.step) next_turn();
    for (auto& part : parts_) {
      if (!part.transform) continue;
      const auto wishes = part.transform->subscriptions();
      if (std::any_of(wishes.begin(), wishes.end(), [&](const auto& w) { return w.topic == feedback.topic; }))
        part.transform->receive(feedback);
    }
  }
  void set(std::string_view parameter, double value) override {
    for (auto& part : parts_)
      if (part.transform && parameter.starts_with(part.name + "."))
        part.transform->set(parameter.substr(part.name.size() + 1), value);
  }
  void save(xp::State& state) const override {
    state.set("batch", xp::Ints{{batch_}});
    for (const auto& part : parts_)
      if (part.transform) part.transform->save(state.child(part.name));
  }
  void load(const xp::State& state) override {
    const auto batch = state.ints("batch").data.at(0);
    std::fill(turns_.begin(), turns_.end(), 0), batch_ = 0, now_ = due();
    while (batch_ < batch) next_turn();
    for (auto& part : parts_)
      if (part.transform) part.transform->load(state.child(part.name));
  }

 private:
  void add(const xp::FieldUse& more) {
    const auto merge = [](xp::Strings& to, const xp::Strings& from) {
      for (const auto& name : from)
        if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
    };
    merge(use_.reads, more.reads), merge(use_.reads_if_there, more.reads_if_there);
    for (const auto& spec : more.writes) {
      const auto same = [&](const auto& other) { return other.name == spec.name; };
      if (std::none_of(use_.writes.begin(), use_.writes.end(), same)) use_.writes.push_back(spec);
    }
  }

  /// What an item has in a column that only other parts write: padding as long as the axis is, or nothing.
  static xp::Values blank(const xp::Example& item, const xp::FieldSpec& spec,
                          const std::vector<xp::FieldSpec>& made) {
    if (spec.axis == "strings") return xp::Strings{""};
    if (spec.axis == "ragged") return xp::Ints{};
    if (spec.axis.empty()) return xp::Ints{{static_cast<std::int64_t>(spec.pad)}};
    const auto mate = std::find_if(made.begin(), made.end(), [&](const auto& own) { return own.axis == spec.axis; });
    const std::string name = mate != made.end() ? mate->name : spec.axis == "input" ? "ids" : "";
    const auto found = item.fields.find(name);
    if (found == item.fields.end()) return xp::Ints{};
    const auto n = std::visit(
        [](const auto& values) {
          if constexpr (std::is_same_v<std::decay_t<decltype(values)>, xp::Strings>)
            return values.size();
          else
            return values.data.size();
        },
        found->second);
    return xp::Ints{std::vector<std::int64_t>(n, static_cast<std::int64_t>(spec.pad))};
  }

  xp::Lengths lengths(std::size_t k, std::int64_t raw, const xp::RandomStream& random) const {
    const auto& part = parts_[k];
    return part.transform ? part.transform->lengths(raw, own(k, random)) : xp::Lengths{raw, 0};
  }
  std::size_t pick(const xp::RandomStream& random) const {
    const double at = random.fork(parts_.size() + 1).uniform() * total_;
    double sum = 0;
    std::size_t last = 0;
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      if (parts_[k].weight == 0) continue;
      last = k;
      if ((sum += parts_[k].weight) > at) return k;
    }
    return last;  // the product rounded up to the sum
  }
  // The first part inherits the stream, so that a mixture of one changes no draw.
  static xp::RandomStream own(std::size_t k, const xp::RandomStream& random) { return k ? random.fork(k) : random; }

  std::size_t due() const {
    std::size_t best = parts_.size();
    for (std::size_t k = 0; k < parts_.size(); ++k)
      if (parts_[k].weight > 0 && (best == parts_.size() || static_cast<double>(turns_[k]) * parts_[best].weight <
                                                                static_cast<double>(turns_[best]) * parts_[k].weight))
        best = k;
    return best;
  }
  void next_turn() { ++turns_[now_], ++batch_, now_ = due(); }

  std::vector<Part> parts_;
  Per per_;
  xp::FieldUse use_;
  double total_ = 0;
  std::vector<std::int64_t> turns_;  ///< batches that went to each part
  std::int64_t batch_ = 0;           ///< number of the batch that is made
  std::size_t now_ = 0;              ///< whose turn it is
};

/// Items that one pass serves, of one term or of several with the same step.
struct Share {
  std::vector<std::size_t> terms;
  at::Tensor rows;  // [n] int64
};

/// Columns of some items without the padding that only others need.
struct Part {
  xp::Batch batch;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> widths = {};  ///< by axis: of the whole batch, here
};

class Mixture final : public xp::Objective {
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
  }

  void build(xp::BuildContext& context) override {
    for (auto& term : p_.terms) term.part->build(context.child(term.name));
  }
  std::unique_ptr<xp::Transform> input_transform() override {
    std::vector<PickOne::Part> parts;
    for (auto& term : p_.terms) {
      auto& part = parts.emplace_back(PickOne::Part{term.name, term.weight, term.part->input_transform()});
      if (!part.transform) continue;
      for (const auto& spec : part.transform->fields().writes) axis_of_.emplace(spec.name, spec.axis);
    }
    return std::make_unique<PickOne>(std::move(parts), p_.per);
  }
  void set(std::string_view parameter, double value) override {
    for (auto& term : p_.terms)
      if (parameter.starts_with(term.name + ".")) term.part->set(parameter.substr(term.name.size() + 1), value);
  }
  bool batch_coupled() const override {
    return std::any_of(p_.terms.begin(), p_.terms.end(), [](const auto& t) { return t.part->batch_coupled(); });
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

  Part part_of(const xp::Batch& batch, const Share& share) const {
    if (share.rows.size(0) == batch.items()) return {batch};
    const auto some = batch.select(share.rows);
    Part out;
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
  static at::Tensor as_wide(const at::Tensor& values, const Part& part) {
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
};

}  // namespace

XP_PLUGIN(mixture) { registry.add<Mixture>("mixture", "Each example or batch to one of several objectives."); }
