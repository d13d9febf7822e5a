#include <map>
#include <set>
#include <unordered_map>

#include "api/ops.h"
#include "api/stage.h"
#include "base/text.h"
#include "kit/procrustes.h"
#include "kit/tensors.h"
#include "kit/word_files.h"
#include "plugin/plugin.h"

namespace {

using Places = std::unordered_map<std::string, std::int64_t>;

/// Words of one language with unit vectors [words, dim] in double.
struct Space {
  xp::Strings words;
  std::vector<std::int64_t> counts;
  at::Tensor vectors;
  Places places;
};

/// Turns the vectors of one language into the space of another, so that one table holds the words of both.
class AlignStaticVectors final : public xp::Stage {
 public:
  enum class Align : std::uint8_t { procrustes, none };
  struct Params {
    xp::Reference source, target;
    std::optional<xp::Reference> dictionary;
    bool shared_words = true;
    std::int64_t min_count = 1;
    Align align = Align::procrustes;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::source, "source", "Vectors that are turned.").artifact("static_vectors").required();
      f.add(&Params::target, "target", "Vectors that stay.").artifact("static_vectors").required();
      f.add(&Params::dictionary, "dictionary",
            "Translations by count, as `word_alignment` makes them; of each source word the most frequent one is "
            "taken.")
          .artifact("statistics");
      f.add(&Params::shared_words, "shared_words", "Words written the same in both are taken for translations too.");
      f.add(&Params::min_count, "min_count", "Rarer translations of the dictionary are left out.").min(1);
      f.add(&Params::align, "align",
            "The orthogonal map that brings translations nearest (`procrustes`), or none, to compare with.",
            {{"procrustes", Align::procrustes}, {"none", Align::none}});
      f.gives("output", "vectors", "static_vectors");
      f.gives("metric", "pairs", "pairs"), f.gives("metric", "cosine", "cosine"), f.gives("metric", "words", "words");
    }
  };
  explicit AlignStaticVectors(Params params) : p_(std::move(params)) {}

  void run(xp::StageContext& context) override {
    auto source = space(context.state(p_.source), "source");
    const auto target = space(context.state(p_.target), "target");
    if (source.vectors.size(1) != target.vectors.size(1))
      throw xp::Error("`source` has vectors of dimension " + std::to_string(source.vectors.size(1)) +
                          " and `target` of " + std::to_string(target.vectors.size(1)) +
                          "; train both with the same `dim`",
                      xp::Exit::data);
    const auto [left, right] = pairs(context, source, target);
    const auto s = source.vectors.index_select(0, xp::tensor_of(left)),
               t = target.vectors.index_select(0, xp::tensor_of(right));
    if (p_.align == Align::procrustes) source.vectors = source.vectors.matmul(xp::procrustes(s, t));
    const auto turned = source.vectors.index_select(0, xp::tensor_of(left));
    auto& recorder = context.recorder();
    recorder.metric("pairs", static_cast<double>(left.size()), {.unit = "pairs"});
    recorder.metric("cosine", turned.mul(t).sum(1).mean().item<double>(), {.unit = "cosine"});
    const auto both = joined(source, target);
    recorder.metric("words", static_cast<double>(both.strings("words").size()), {.unit = "words"});
    context.save(both);
  }

 private:
  static Space space(const xp::State& state, const char* field) {
    const auto& vectors = state.floats("vectors");
    Space out{state.strings("words"), state.ints("counts").data, {}, {}};
    if (vectors.shape.size() != 2 || vectors.shape[0] != std::ssize(out.words) ||
        out.counts.size() != out.words.size())
      throw xp::Error(xp::backquoted(field) + " holds " + xp::count(out.words.size(), "word") +
                          " and another number of vectors or counts; train the vectors again",
                      xp::Exit::data);
    out.vectors = xp::tensor_of(vectors.data, vectors.shape).to(at::kDouble);
    out.vectors = out.vectors.div(out.vectors.norm(2, {1}, true).clamp_min(1e-12));
    for (std::size_t i = 0; i < out.words.size(); ++i) out.places.emplace(out.words[i], static_cast<std::int64_t>(i));
    return out;
  }

  /// Rows of both sides that are translations of each other.
  std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> pairs(xp::StageContext& context,
                                                                        const Space& source,
                                                                        const Space& target) const {
    std::set<std::pair<std::int64_t, std::int64_t>> found;
    if (p_.dictionary) add_translations(context.state(*p_.dictionary), source, target, found);
    if (p_.shared_words)
      for (const auto& [word, row] : source.places)
        if (const auto other = target.places.find(word); other != target.places.end())
          found.emplace(row, other->second);
    if (found.empty())
      throw xp::Error(
          "no pair of translations has a vector on both sides; give a `dictionary` whose words were trained, or "
          "lower its "
          "min_count",
          xp::Exit::data);
    std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> out;
    for (const auto& [row, other] : found) out.first.push_back(row), out.second.push_back(other);
    return out;
  }

  void add_translations(const xp::State& dictionary, const Space& source, const Space& target,
                        std::set<std::pair<std::int64_t, std::int64_t>>& found) const {
    std::map<std::int64_t, std::pair<double, std::int64_t>> best;  // source row: count, target row
    for (const auto& pair : xp::pair_counts(dictionary)) {
      const auto left = source.places.find(pair.source), right = target.places.find(pair.target);
      if (pair.count < static_cast<double>(p_.min_count) || left == source.places.end() ||
          right == target.places.end())
        continue;
      auto& most = best[left->second];
      if (pair.count > most.first) most = {pair.count, right->second};
    }
    for (const auto& [row, most] : best) found.emplace(row, most.second);
  }

  /// The target's words, then the source's others; a word of both gets the mean by count of its unit vectors.
  static xp::State joined(const Space& source, const Space& target) {
    auto words = target.words;
    auto counts = target.counts;
    const auto dim = target.vectors.size(1);
    auto vectors = xp::ops::zeros({std::ssize(target.words) + std::ssize(source.words), dim}, at::kDouble);
    vectors.narrow(0, 0, std::ssize(target.words)).copy_(target.vectors);
    const auto from = source.vectors.contiguous();
    auto* to = vectors.mutable_data_ptr<double>();
    for (std::size_t i = 0; i < source.words.size(); ++i) {
      const auto shared = target.places.find(source.words[i]);
      const double* row = from.const_data_ptr<double>() + static_cast<std::int64_t>(i) * dim;
      double share = 1;
      std::size_t at = words.size();
      if (shared == target.places.end()) {
        words.push_back(source.words[i]), counts.push_back(source.counts[i]);
      } else {
        at = static_cast<std::size_t>(shared->second);
        counts[at] += source.counts[i];
        share = static_cast<double>(source.counts[i]) / static_cast<double>(std::max<std::int64_t>(1, counts[at]));
      }
      double* sum = to + static_cast<std::int64_t>(at) * dim;
      for (std::int64_t d = 0; d < dim; ++d) sum[d] = (1 - share) * sum[d] + share * row[d];
    }
    const auto kept = vectors.narrow(0, 0, std::ssize(words)).to(at::kFloat).contiguous();
    xp::Floats numbers{{kept.const_data_ptr<float>(), kept.const_data_ptr<float>() + kept.numel()},
                       {std::ssize(words), dim}};
    xp::State state;
    state.set("words", std::move(words)), state.set("counts", xp::Ints{std::move(counts)});
    state.set("vectors", std::move(numbers));
    return state;
  }

  Params p_;
};

}  // namespace

XP_PLUGIN(align_static_vectors) {
  registry.add<AlignStaticVectors>("align_static_vectors",
                                   "Turns word vectors of one language into the space of another's.");
}
