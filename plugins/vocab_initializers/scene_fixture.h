#pragma once
// What the tests of initializers share: two tokenizers over like texts, tables of the first, word vectors.

#include <cmath>

#include "api/ops.h"
#include "api/parameters.h"
#include "api/vocab_initializer.h"
#include "kit/mixing.h"
#include "testing/testing.h"
#include "testing/tokenizer_checks.h"

namespace xp::fixture {

/// A WordPiece and a Unigram vocabulary over the same words; a table and a bias of the first; vectors of eight words
/// in two tight groups at a right angle, sea and farm.
struct Scene {
  std::unique_ptr<const Encoder> source, target;
  Parameters weights;
  State vectors;

  Scene() {
    const std::vector<std::string> texts{"ship wave sail harbour ship wave", "cow field plough barn cow field",
                                         "sail barn ship cow wave field"};
    source = testing::fit(*testing::make_tokenizer("wordpiece", {{"vocab_size", 60}, {"min_count", 1}}), texts);
    target = testing::fit(*testing::make_tokenizer("unigram", {{"vocab_size", 70}}), texts);
    auto table = ops::empty({source->size(), 6}, at::kFloat);
    RandomStream stream(9);
    for (std::int64_t i = 0; i < table.numel(); ++i)
      table.mutable_data_ptr<float>()[i] = static_cast<float>(stream.uniform() + 1);
    weights.info = {{"embedding.token", "vocab.input"}, {"head.bias", "vocab.bias"}};
    weights.values = {table, table.select(1, 0).clone()};
    const Strings words{"ship", "wave", "sail", "harbour", "cow", "field", "plough", "barn"};
    Floats numbers{{}, {8, 2}};
    for (int w = 0; w < 8; ++w) {
      const double angle = (w < 4 ? 0.0 : 1.5) + 0.02 * w;
      numbers.data.push_back(static_cast<float>(std::cos(angle)));
      numbers.data.push_back(static_cast<float>(std::sin(angle)));
    }
    vectors.set("words", words), vectors.set("vectors", std::move(numbers));
  }

  const at::Tensor& table() const { return weights.values[0]; }
  VocabSetting setting(const DataSource* corpus = nullptr, std::uint64_t seed = 4) const {
    return {.source = *source,
            .target = *target,
            .weights = &weights,
            .vectors = &vectors,
            .corpus = corpus,
            .subject = nullptr,
            .random = RandomStreams(seed)};
  }
  MixPlan plan(const Table& initializer, std::uint64_t seed = 4) const {
    MixPlan plan(source->size(), target->size());
    fill(initializer, plan, seed);
    return plan;
  }
  void fill(const Table& initializer, MixPlan& plan, std::uint64_t seed = 4) const {
    testing::registry().make<VocabInitializer>(initializer)->plan(setting(nullptr, seed), plan);
  }

  bool is_text(TokenId target_id) const { return target->key(target_id).kind != TokenKind::special; }
};

/// Rows of this rule; each of `broken` is one with a negative weight or a sum that is not 1.
struct Convexity {
  std::size_t rows = 0, broken = 0;
};
inline Convexity convexity(const MixPlan& plan, const std::string& rule) {
  Convexity out;
  for (const auto& row : plan.rows()) {
    if (row.rule != rule) continue;
    ++out.rows;
    double sum = 0;
    bool negative = false;
    for (const auto& part : row.parts) negative |= part.weight < 0, sum += part.weight;
    out.broken += negative || std::abs(sum - 1) > 1e-6;
  }
  return out;
}

/// By how much the loss on old tokens rises at worst over random hidden states, when the rows are added to the old
/// ones: vocab_initializers.md 2.7.
inline double worst_leak(const at::Tensor& old_rows, const at::Tensor& new_rows, int states = 50) {
  RandomStream stream(17);
  double worst = 0;
  const auto a = old_rows.to(at::kDouble).contiguous(), b = new_rows.to(at::kDouble).contiguous();
  const auto width = a.size(1);
  for (int s = 0; s < states; ++s) {
    std::vector<double> h;
    for (std::int64_t d = 0; d < width; ++d) h.push_back(6 * stream.uniform() - 3);
    const auto mass = [&](const at::Tensor& rows) {
      double sum = 0;
      for (std::int64_t r = 0; r < rows.size(0); ++r) {
        double dot = 0;
        for (std::int64_t d = 0; d < width; ++d)
          dot += rows.const_data_ptr<double>()[r * width + d] * h[static_cast<std::size_t>(d)];
        sum += std::exp(dot);
      }
      return sum;
    };
    worst = std::max(worst, std::log1p(mass(b) / mass(a)));
  }
  return worst;
}

}  // namespace xp::fixture
