#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "api/ops.h"
#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "base/text.h"
#include "kit/small_adam.h"
#include "kit/subword_vectors.h"
#include "kit/tensors.h"
#include "kit/vocab_tables.h"
#include "plugin/plugin.h"

namespace {

enum class Sparsity { k_nearest, dense };

/// Constrained Word2Vec (Mundra et al. 2024, arXiv 2407.05841): every new row is a learnt convex combination of old
/// rows, so no new token can outscore all old ones. With a corpus the combination learns from skip-gram pairs over
/// its tokens; without one it reconstructs the token's word vector from those of the old tokens.
class Cw2v final : public xp::VocabInitializer {
 public:
  struct Params {
    Sparsity sparsity = Sparsity::k_nearest;
    std::int64_t neighbours = 20, rank = 1024, steps = 500, batch = 1024, window = 5, negatives = 5;
    double lr = 0.05, temperature = 0.1;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::sparsity, "sparsity",
            "Combine the nearest old tokens by word vectors, or all old tokens through low-rank logits as published "
            "(needs a corpus).",
            {{"k_nearest", Sparsity::k_nearest}, {"dense", Sparsity::dense}});
      f.add(&Params::neighbours, "neighbours", "Old tokens that a row may combine with k_nearest.").min(1);
      f.add(&Params::rank, "rank", "Rank of the logits when dense.").min(1);
      f.add(&Params::steps, "steps", "Steps of Adam.").min(1);
      f.add(&Params::batch, "batch", "Pairs of a step, or rows when there is no corpus.").min(1);
      f.add(&Params::window, "window", "Tokens to each side that make pairs.").min(1);
      f.add(&Params::negatives, "negatives", "Tokens drawn against each pair, by count^0.75.").min(1);
      f.add(&Params::lr, "lr", "Learning rate of Adam.").above(0);
      f.add(&Params::temperature, "temperature", "Start of k_nearest: softmax of cosine / temperature.").above(0);
      f.needs("artifact", "vectors", {{"sparsity", {"k_nearest"}}});
    }
  };
  explicit Cw2v(Params params) : p_(params) {}

  bool wants_vectors() const override { return p_.sparsity == Sparsity::k_nearest; }

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    if (p_.sparsity == Sparsity::dense && !setting.corpus)
      throw xp::Error("cw2v with sparsity = dense learns from text: give the stage a `corpus`", xp::Exit::usage);
    Problem problem = prepare(setting, plan);
    if (problem.rows.empty()) return;
    const at::AutoGradMode learns(true);
    if (setting.corpus)
      learn_from_text(setting, problem);
    else
      learn_from_vectors(setting, problem);
    write(problem, plan);
  }

 private:
  struct Problem {
    std::vector<xp::TokenId> rows;       ///< new tokens that are learnt
    std::vector<std::int64_t> place;     ///< of each target token: its index in rows, or -1
    std::vector<std::int64_t> old;       ///< of each target token that was copied: the source token, or -1
    at::Tensor candidates;               ///< [rows, k] int64 into the source; undefined: all of it
    std::vector<at::Tensor> parameters;  ///< logits [rows, k], or two factors
    at::Tensor table;                    ///< source rows, [source, d]
    at::Tensor source_vectors, target_vectors;
  };

  Problem prepare(const xp::VocabSetting& setting, const xp::MixPlan& plan) const {
    Problem out;
    const auto n = static_cast<std::size_t>(plan.target_size());
    out.place.assign(n, -1), out.old.assign(n, -1);
    for (std::size_t i = 0; i < n; ++i)
      if (const auto& row = plan.rows()[i]; row.parts.size() == 1) out.old[i] = row.parts.front().source;
    const auto inputs = xp::weights_of(setting).select("role:vocab.input");
    if (inputs.empty()) throw xp::Error("the model has no table with role vocab.input");
    out.table = xp::weights_of(setting).values[inputs.front()].detach().to(at::kFloat);
    if (p_.sparsity == Sparsity::dense) {
      for (const auto row : plan.open_rows())
        out.place[static_cast<std::size_t>(row)] = std::ssize(out.rows), out.rows.push_back(row);
      out.parameters = {uniform({std::ssize(out.rows), p_.rank}, setting.random.child("left")),
                        uniform({p_.rank, plan.source_size()}, setting.random.child("right"))};
      return out;
    }
    if (!setting.vectors)
      throw xp::Error("this initializer compares words: give the stage `vectors`", xp::Exit::usage);
    const auto& words = setting.vectors->strings("words");
    const auto& vectors = setting.vectors->floats("vectors");
    const auto order = xp::vector_order(words.size(), false, setting.random.stream());
    const auto source = xp::subword_vectors(setting.source, words, vectors, order),
               target = xp::subword_vectors(setting.target, words, vectors, order);
    for (const auto row : plan.open_rows())
      if (target.covered[static_cast<std::size_t>(row)])
        out.place[static_cast<std::size_t>(row)] = std::ssize(out.rows), out.rows.push_back(row);
    const auto near = xp::nearest_tokens(target, out.rows, source, p_.neighbours);
    if (out.rows.empty() || near.front().empty()) return out.rows.clear(), out;
    const auto k = std::ssize(near.front());
    std::vector<std::int64_t> ids;
    std::vector<float> logits;
    for (const auto& list : near)
      for (const auto& one : list)
        ids.push_back(one.token), logits.push_back(static_cast<float>(one.cosine / p_.temperature));
    out.candidates = xp::tensor_of(ids, {std::ssize(out.rows), k});
    out.parameters = {xp::tensor_of(logits, {std::ssize(out.rows), k}).requires_grad_(true)};
    out.source_vectors = source.vectors, out.target_vectors = target.vectors;
    return out;
  }

  static at::Tensor uniform(std::vector<std::int64_t> shape, const xp::RandomStreams& random) {
    auto out = xp::ops::empty(shape, at::kFloat);
    auto stream = random.stream();
    for (std::int64_t i = 0; i < out.numel(); ++i)
      out.mutable_data_ptr<float>()[i] = static_cast<float>(stream.uniform());
    return out.requires_grad_(true);
  }

  /// Convex combinations of `table` for the learnt rows at these places: [n, d].
  at::Tensor combined(const Problem& problem, const at::Tensor& places, const at::Tensor& table) const {
    if (!problem.candidates.defined()) return weights(problem, places).matmul(table);
    const auto ids = problem.candidates.index_select(0, places);
    const auto rows = table.index_select(0, ids.flatten()).view({ids.size(0), ids.size(1), table.size(1)});
    return weights(problem, places).unsqueeze(1).matmul(rows).squeeze(1);
  }
  static at::Tensor weights(const Problem& problem, const at::Tensor& places) {
    const auto own = problem.parameters.front().index_select(0, places);
    return problem.parameters.size() == 1 ? own.softmax(1) : own.matmul(problem.parameters[1]).softmax(1);
  }

  void learn_from_vectors(const xp::VocabSetting& setting, Problem& problem) const {
    std::vector<std::int64_t> ids(problem.rows.begin(), problem.rows.end());
    const auto wanted = problem.target_vectors.index_select(0, xp::tensor_of(ids));
    xp::SmallAdam adam(problem.parameters, p_.lr);
    for (std::int64_t step = 0; step < p_.steps; ++step) {
      setting.progressed(static_cast<double>(step), static_cast<double>(p_.steps), "learning weights");
      std::vector<std::int64_t> places;
      auto stream = setting.random.child("step").stream(step);
      const auto n = std::ssize(problem.rows);
      for (std::int64_t i = 0; i < std::min(p_.batch, n); ++i) places.push_back(n <= p_.batch ? i : stream.below(n));
      const auto at = xp::tensor_of(places);
      const auto loss = combined(problem, at, problem.source_vectors).sub(wanted.index_select(0, at)).square().sum();
      loss.backward();
      adam.update();
    }
  }

  struct Pairs {
    std::vector<std::vector<xp::TokenId>> texts;
    std::vector<std::int32_t> noise;
    std::int64_t tokens = 0;
  };

  static Pairs read(const xp::VocabSetting& setting) {
    Pairs out;
    std::vector<double> counts(static_cast<std::size_t>(setting.target.size()));
    setting.corpus->for_each([&](const xp::Document& document) {
      auto& ids = out.texts.emplace_back();
      for (const auto& token : setting.target.encode(document.text))
        ids.push_back(token.id), counts[static_cast<std::size_t>(token.id)] += 1;
      out.tokens += std::ssize(ids);
      if (ids.size() < 2) out.texts.pop_back();
    });
    if (out.texts.empty()) throw xp::Error("the corpus has no text of two tokens", xp::Exit::data);
    double mass = 0;
    for (const double c : counts) mass += std::pow(c, 0.75);
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] > 0)
        out.noise.insert(out.noise.end(), static_cast<std::size_t>(std::ceil(1e6 * std::pow(counts[i], 0.75) / mass)),
                         static_cast<std::int32_t>(i));
    return out;
  }

  void learn_from_text(const xp::VocabSetting& setting, Problem& problem) const {
    const auto pairs = read(setting);
    xp::SmallAdam adam(problem.parameters, p_.lr);
    for (std::int64_t step = 0; step < p_.steps; ++step) {
      setting.progressed(static_cast<double>(step), static_cast<double>(p_.steps), "learning weights");
      auto stream = setting.random.child("step").stream(step);
      std::vector<std::int64_t> centre, context, drawn;
      while (std::ssize(centre) < p_.batch) {
        const auto& text = pairs.texts[static_cast<std::size_t>(stream.below(std::ssize(pairs.texts)))];
        const auto i = stream.below(std::ssize(text));
        const auto j = i + stream.below(2 * p_.window + 1) - p_.window;
        if (j == i || j < 0 || j >= std::ssize(text)) continue;
        centre.push_back(text[static_cast<std::size_t>(i)]), context.push_back(text[static_cast<std::size_t>(j)]);
        for (std::int64_t n = 0; n < p_.negatives; ++n)
          drawn.push_back(pairs.noise[static_cast<std::size_t>(stream.below(std::ssize(pairs.noise)))]);
      }
      const auto a = embed(problem, centre), b = embed(problem, context);
      const auto c = embed(problem, drawn).view({p_.batch, p_.negatives, -1});
      const auto near = xp::ops::log_sigmoid(a.mul(b).sum(1)).sum();
      const auto far = xp::ops::log_sigmoid(c.matmul(a.unsqueeze(2)).squeeze(2).neg()).sum();
      const auto loss = near.add(far).neg().div(static_cast<double>(p_.batch));
      if (!loss.requires_grad()) continue;  // a batch of copied tokens only teaches nothing
      loss.backward();
      adam.update();
    }
  }

  /// Rows of target tokens as they stand: copied, learnt, or the mean for tokens that neither rule covers.
  at::Tensor embed(const Problem& problem, const std::vector<std::int64_t>& tokens) const {
    std::vector<std::int64_t> from, learnt, where_learnt, fixed, where_fixed;
    auto out = problem.table.mean(0, true).expand({std::ssize(tokens), problem.table.size(1)}).clone();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto t = static_cast<std::size_t>(tokens[i]);
      if (problem.place[t] >= 0)
        learnt.push_back(problem.place[t]), where_learnt.push_back(static_cast<std::int64_t>(i));
      else if (problem.old[t] >= 0)
        fixed.push_back(problem.old[t]), where_fixed.push_back(static_cast<std::int64_t>(i));
    }
    if (!fixed.empty())
      out = out.index_copy(0, xp::tensor_of(where_fixed), problem.table.index_select(0, xp::tensor_of(fixed)));
    if (!learnt.empty())
      out = out.index_copy(0, xp::tensor_of(where_learnt), combined(problem, xp::tensor_of(learnt), problem.table));
    return out;
  }

  // Weights too small to matter would make the plan as large as the product of both vocabularies.
  void write(const Problem& problem, xp::MixPlan& plan) const {
    const at::NoGradGuard quiet;
    constexpr float kLeast = 1e-4F;
    for (std::size_t i = 0; i < problem.rows.size(); ++i) {
      const auto own = weights(problem, xp::tensor_of(std::vector<std::int64_t>{static_cast<std::int64_t>(i)}))
                           .squeeze(0)
                           .contiguous();
      const auto* w = own.const_data_ptr<float>();
      const auto* ids = problem.candidates.defined() ? problem.candidates.const_data_ptr<std::int64_t>() +
                                                           static_cast<std::int64_t>(i) * own.size(0)
                                                     : nullptr;
      std::vector<xp::MixPart> parts;
      double sum = 0;
      for (std::int64_t j = 0; j < own.size(0); ++j)
        if (w[j] >= kLeast) parts.push_back({static_cast<xp::TokenId>(ids ? ids[j] : j), w[j]}), sum += w[j];
      if (parts.empty()) {
        plan.set_uniform_row(problem.rows[i], "mean", "the learnt weights are spread evenly");
        continue;
      }
      for (auto& part : parts) part.weight /= sum;
      plan.set_row(problem.rows[i], std::move(parts), "convex");
    }
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(cw2v) { registry.add<Cw2v>("cw2v", "Learnt convex combinations of old rows (Constrained Word2Vec)."); }
