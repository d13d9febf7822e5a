#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/objective.h"
#include "api/ops.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"

namespace ngram_mlm_test {

using at::Tensor;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using Row = std::vector<std::int64_t>;

constexpr std::int64_t kMask = 3, kFirst = 5, kVocab = 17;

/// A third of all pairs of the ids from `first` up to `end`, and half of what goes on from those with one id more.
xp::List ngrams(std::int64_t first = kFirst, std::int64_t end = kVocab) {
  xp::List all;
  for (auto a = first; a < end; ++a)
    for (auto b = first; b < end; ++b) {
      if ((a + b) % 3) continue;
      all.emplace_back(xp::List{a, b});
      for (auto c = first; c < end; ++c)
        if (c % 2) all.emplace_back(xp::List{a, b, c});
    }
  return all;
}

xp::Table objective(xp::Table more = {}) {
  more.emplace("type", "ngram_mlm"), more.emplace("ngrams", ngrams());
  return more;
}

FixtureSpec spec(xp::Table more = {}, xp::Table model = {}) {
  FixtureSpec s;
  s.vocab = kVocab, s.first_text = kFirst, s.reserved = {{"mask", kMask}}, s.type = at::kDouble;
  s.model = {{"type", "transformer"}, {"layers", 2},    {"width", 16},  {"heads", 2},
             {"max_time", 32},        {"init_sd", 0.2}, {"segments", 2}};
  for (auto& [key, value] : model) s.model.insert_or_assign(key, value);
  s.objective = objective(std::move(more));
  s.dataset_fields.push_back({"segment", "input", 0});
  return s;
}

std::vector<std::vector<xp::Example>> texts(const FixtureSpec& s, int groups) {
  auto all = xp::testing::random_texts(s, groups);
  for (auto& group : all) {
    xp::Ints segment;
    const auto length = std::ssize(group[0].ints("ids").data);
    for (std::int64_t t = 0; t < length; ++t) segment.data.push_back(t >= length / 2);
    group[0].fields["segment"] = segment;
  }
  return all;
}

/// Passes everything on and keeps what the primary model was asked.
class Recorder final : public xp::StepContext {
 public:
  explicit Recorder(xp::StepContext& to) : to_(to) {}
  Tensor embed(std::string_view role, const Tensor& ids) override { return to_.embed(role, ids); }
  xp::ForwardOutput forward(std::string_view role, const xp::ForwardInput& in,
                            const xp::ForwardRequest& want) override {
    return asked = in, to_.forward(role, in, want);
  }
  Tensor logits(std::string_view role, const Tensor& hidden) override { return to_.logits(role, hidden); }
  const xp::Parameters& parameters(std::string_view role) const override { return to_.parameters(role); }
  const Tensor& weight(xp::Param own) const override { return to_.weight(own); }
  Tensor uniform(const xp::Batch& batch, std::int64_t per_item, std::string_view what) override {
    return to_.uniform(batch, per_item, what);
  }
  Tensor gather(const Tensor& rows) override { return to_.gather(rows); }
  Tensor predict(std::string_view role, const xp::Batch& batch, std::string_view field) override {
    return to_.predict(role, batch, field);
  }
  std::int64_t step() const override { return to_.step(); }
  std::unique_ptr<xp::StepContext> child(std::string_view name, xp::Pass pass) override {
    return to_.child(name, std::move(pass));
  }

  xp::ForwardInput asked;

 private:
  xp::StepContext& to_;
};

/// One item's symbols: those of the text, or those that ask.
struct Part {
  Tensor ids, positions, segments, order, labels, tokens;
};
Part part_of(const xp::Batch& batch, std::int64_t item, bool queries, const std::string& positions) {
  const auto order = batch.dense("symbol_order")[item], from = batch.dense("symbol_from")[item];
  const auto there = batch.dense("symbols.mask")[item].logical_and(queries ? order.ge(0) : order.lt(0));
  const auto at = there.nonzero().squeeze(1);
  const auto pick = [&](const Tensor& x) { return x.index_select(0, at); };
  const auto row = [&](const char* name) { return pick(batch.dense(name)[item]); };
  const auto segment = batch.dense("segment")[item].index_select(0, pick(from));
  return {row("symbol_ids"),
          row(positions == "original" ? "symbol_from" : "symbol_slot"),
          segment,
          pick(order),
          row("ngram_labels"),
          row("query_labels")};
}

const Tensor& own(Fixture& f, const std::string& name) { return f.all().values[f.all().find("objective." + name)]; }

double nats(const Tensor& scores, std::int64_t label) { return -scores.log_softmax(-1)[label].item<double>(); }

/// Both terms, an item and a query at a time and without padding.
std::map<std::string, double> plain_terms(Fixture& f, const xp::Batch& batch, const std::string& positions) {
  const at::NoGradGuard quiet;
  const auto& model = f.model("primary");
  const auto& w = f.weights("primary").values;
  double whole = 0, masks = 0, tokens = 0, queries = 0;
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const auto text = part_of(batch, i, false, positions), asked = part_of(batch, i, true, positions);
    const auto n = text.ids.size(0);
    const xp::ForwardInput alone{.ids = text.ids.unsqueeze(0),
                                 .positions = text.positions.unsqueeze(0),
                                 .segments = text.segments.unsqueeze(0)};
    const auto hidden = model.forward(w, alone, {.tokens = true}).tokens[0];
    for (std::int64_t t = 0; t < n; ++t) {
      const auto label = text.labels[t].item<std::int64_t>();
      if (label < 0) continue;
      const auto dense = xp::ops::gelu(own(f, "dense").matmul(hidden[t]) + own(f, "dense.bias"));
      whole += nats(own(f, "out").matmul(dense) + own(f, "out.bias"), label), ++masks;
    }
    for (std::int64_t q = 0; q < asked.ids.size(0); ++q) {
      const auto with = [&](const Tensor& a, const Tensor& b) { return xp::ops::cat({a, b.narrow(0, q, 1)}); };
      auto reach = xp::ops::ones({1, n + 1, n + 1}, at::kBool);
      for (std::int64_t t = 0; t < n; ++t) reach[0][t][n] = false;
      xp::ForwardInput in{.mask = reach,
                          .positions = with(text.positions, asked.positions).unsqueeze(0),
                          .segments = with(text.segments, asked.segments).unsqueeze(0)};
      if (positions == "original")
        in.ids = with(text.ids, asked.ids).unsqueeze(0);
      else
        in.vectors = with(model.embed(w, text.ids), own(f, "symbols").index_select(0, asked.order)).unsqueeze(0);
      const auto last = model.forward(w, in, {.tokens = true}).tokens[0][n];
      tokens += nats(model.logits(w, last), asked.tokens[q].item<std::int64_t>()), ++queries;
    }
  }
  return {{"ngram", whole / masks}, {"token", tokens / queries}};
}

// Finite differences, counts for all terms, the same loss for every order, padding and split into micro-batches.
TEST_CASE("ngram_mlm keeps what every objective promises") {
  const xp::Table model{{"type", "transformer"}, {"layers", 1}, {"width", 8}, {"heads", 2}, {"max_time", 32}};
  const std::string positions = GENERATE("original", "collapsed");
  const bool fine = GENERATE(true, false);
  const auto settings =
      objective({{"ngrams", ngrams(2, 9)}, {"mask_rate", 0.4}, {"positions", positions}, {"fine_grained", fine}});
  CHECK(xp::testing::check_objective(xp::testing::registry(), settings, {model}).empty());
}

struct Symbols {
  Row ids, from, slot, order, ngram_labels, query_labels;
  bool operator==(const Symbols&) const = default;
};
Symbols masked(Fixture& f, Row ids, Row maskable = {}) {
  std::vector<xp::Example> group(1);
  group[0].fields["ids"] = xp::Ints{std::move(ids)};
  if (!maskable.empty()) group[0].fields["maskable"] = xp::Ints{std::move(maskable)};
  auto random = xp::RandomStreams(1).stream();
  f.transform()->apply(group, random);
  const auto get = [&](const char* name) { return group[0].ints(name).data; };
  return {get("symbol_ids"),   get("symbol_from"),  get("symbol_slot"),
          get("symbol_order"), get("ngram_labels"), get("query_labels")};
}

TEST_CASE("ngram_mlm puts one mask for the longest n-gram, and a query for each of its tokens behind the text") {
  const xp::List list{xp::List{5, 6}, xp::List{5, 6, 7}, xp::List{8, 9}};
  Fixture f(xp::testing::registry(), spec({{"ngrams", list}, {"mask_rate", 1.0}}));
  const auto m = kMask, v = kVocab;
  CHECK(masked(f, {5, 6, 7, 1, 8, 9, 5, 6, 8}) == Symbols{{m, 1, m, m, m, m, m, m, m, m, m, m, m},
                                                          {0, 3, 4, 6, 8, 0, 1, 2, 4, 5, 6, 7, 8},
                                                          {0, 1, 2, 3, 4, 0, 0, 0, 2, 2, 3, 3, 4},
                                                          {-1, -1, -1, -1, -1, 0, 1, 2, 0, 1, 0, 1, 0},
                                                          {v + 1, -1, v + 2, v, 8, -1, -1, -1, -1, -1, -1, -1, -1},
                                                          {-1, -1, -1, -1, -1, 5, 6, 7, 8, 9, 5, 6, 8}});
  CHECK(masked(f, {5, 6, 7, 8, 9}, {1, 1, 0, 1, 1}) == Symbols{{m, 7, m, m, m, m, m},
                                                               {0, 2, 3, 0, 1, 3, 4},
                                                               {0, 1, 2, 0, 0, 2, 2},
                                                               {-1, -1, -1, 0, 1, 0, 1},
                                                               {v, -1, v + 2, -1, -1, -1, -1},
                                                               {-1, -1, -1, 5, 6, 8, 9}});
  f.set("mask_rate", 0);
  CHECK(masked(f, {5, 6, 7, 1, 8}) ==
        Symbols{{5, 6, 7, 1, 8}, {0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}, Row(5, -1), Row(5, -1), Row(5, -1)});
}

TEST_CASE("ngram_mlm hides n-grams and tokens at its rate") {
  const xp::List list{xp::List{5, 6}};
  Fixture f(xp::testing::registry(), spec({{"ngrams", list}, {"mask_rate", 0.15}}));
  constexpr std::size_t kUnits = 40000;  // an n-gram, then a token, in turn
  Row ids;
  for (std::size_t i = 0; i < kUnits / 2; ++i) ids.insert(ids.end(), {5, 6, 7});
  double pairs = 0, tokens = 0;
  for (const auto label : masked(f, ids).ngram_labels) pairs += label == kVocab, tokens += label == 7;
  const double n = kUnits / 2, margin = 3 * std::sqrt(n * 0.15 * 0.85);
  CHECK(std::abs(pairs - 0.15 * n) < margin);
  CHECK(std::abs(tokens - 0.15 * n) < margin);
}

TEST_CASE("ngram_mlm is the mean cross entropy of classes at masks and of tokens at queries") {
  const std::string positions = GENERATE("original", "collapsed"), kind = GENERATE("learned", "rotary", "relative");
  CAPTURE(positions, kind);
  const auto s = spec({{"mask_rate", 0.5}, {"positions", positions}}, {{"positions", kind}});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(texts(s, 6));
  f.accumulate({batch});
  const auto expected = plain_terms(f, batch, positions);
  CHECK(std::abs(f.terms.at("ngram") - expected.at("ngram")) < 1e-12);
  CHECK(std::abs(f.terms.at("token") - expected.at("token")) < 1e-12);
  const auto labels = batch.dense("ngram_labels");
  const auto longer = labels.ge(kVocab).sum().item<double>();
  REQUIRE(longer > 5);
  CHECK(f.metrics.at("ngrams") == longer / labels.ge(0).sum().item<double>());
  CHECK(f.passes == std::map<std::string, int>{{"primary", 1}});
}

TEST_CASE("without fine_grained there are no queries and one term") {
  const auto s = spec({{"mask_rate", 0.5}, {"fine_grained", false}});
  auto with = s;
  with.objective["fine_grained"] = true;
  Fixture f(xp::testing::registry(), s), g(xp::testing::registry(), with);
  const auto batch = f.load(texts(s, 6));
  CHECK(batch.dense("symbol_order").max().item<std::int64_t>() == -1);
  f.accumulate({batch}), g.accumulate({g.load(texts(with, 6))});
  CHECK(f.terms.size() == 1);
  CHECK(std::abs(f.terms.at("ngram") - g.terms.at("ngram")) < 1e-12);
}

TEST_CASE("query symbols of ngram_mlm leave the text's outputs as they are, and read it and themselves alone") {
  const std::string positions = GENERATE("original", "collapsed"), kind = GENERATE("learned", "rotary", "relative");
  CAPTURE(positions, kind);
  const auto s = spec({{"mask_rate", 0.5}, {"positions", positions}}, {{"positions", kind}});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(texts(s, 6));
  const at::NoGradGuard quiet;
  Recorder recorder(f.context());
  f.objective().step(batch, recorder);
  auto in = recorder.asked;
  const auto& model = f.model("primary");
  const auto& w = f.weights("primary").values;
  if (!in.vectors.defined()) in.vectors = f.context().embed("primary", in.ids), in.ids = Tensor();
  const auto run = [&] { return model.forward(w, in, {.tokens = true}).tokens; };
  const auto all = run(), given = in.vectors;
  const auto is_query = batch.dense("symbol_order").ge(0);
  const auto worst = [](const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); };

  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const auto text = part_of(batch, i, false, positions);
    const auto alone = model.forward(w,
                                     {.ids = text.ids.unsqueeze(0),
                                      .positions = text.positions.unsqueeze(0),
                                      .segments = text.segments.unsqueeze(0)},
                                     {.tokens = true});
    CHECK(worst(all[i].narrow(0, 0, text.ids.size(0)), alone.tokens[0]) < 1e-12);
  }
  // What a query symbol holds changes what it gives itself, and nothing else.
  const auto first = batch.dense("symbol_order")[0].ge(0).nonzero()[0].item<std::int64_t>();
  in.vectors = given.clone();
  in.vectors[0][first][0].add_(1.0);
  auto moved = (run() - all).abs().amax(-1);
  CHECK(moved[0][first].item<double>() > 1e-3);
  moved[0][first] = 0;
  CHECK(moved.max().item<double>() < 1e-12);
  // A symbol of the text moves every query of its item.
  in.vectors = given.clone();
  in.vectors[0][0][0].add_(1.0);
  const auto read = (run() - all).abs().amax(-1);
  CHECK(read[0].masked_select(is_query[0]).min().item<double>() > 1e-6);
  CHECK(read.narrow(0, 1, batch.items() - 1).max().item<double>() < 1e-12);
}

TEST_CASE("micro-batches of ngram_mlm add up, whatever their padding, with dropout as well") {
  const auto s = spec({{"mask_rate", 0.4}, {"positions", GENERATE("original", "collapsed")}}, {{"dropout", 0.2}});
  Fixture f(xp::testing::registry(), s);
  auto groups = texts(s, 12);
  const auto batch = f.load(groups);
  const double loss = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  std::vector<xp::Batch> own_padding;
  for (const auto& group : groups) own_padding.push_back(f.load({group}));
  for (const auto& micro : {xp::testing::split(batch, 5), own_padding}) {
    CHECK(std::abs(f.accumulate(micro) - loss) < 1e-12);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
  f.set("mask_rate", 0);  // a micro-batch may hide nothing
  CHECK(f.accumulate({f.load(texts(s, 2))}) == 0);
}

TEST_CASE("ngram_mlm trains its head by the classes and its query symbols by the tokens, and drops both afterwards") {
  const auto s = spec({{"mask_rate", 0.5}, {"positions", "collapsed"}});
  Fixture f(xp::testing::registry(), s);
  const auto batch = f.load(texts(s, 8));
  const auto size = [&](const std::string& name) {
    const auto& grad = own(f, name).grad();
    return grad.defined() ? grad.abs().max().item<double>() : 0;
  };
  f.accumulate({batch}, "ngram");
  for (const char* name : {"dense", "dense.bias", "out", "out.bias"}) CHECK(size(name) > 1e-4);
  CHECK(size("symbols") == 0);
  f.accumulate({batch}, "token");
  for (const char* name : {"dense", "dense.bias", "out", "out.bias"}) CHECK(size(name) == 0);
  CHECK(size("symbols") > 1e-4);
  CHECK(own(f, "out").size(0) == kVocab + std::ssize(ngrams()));
  CHECK(own(f, "symbols").size(0) == 3);
  for (const auto& info : f.all().info)
    if (info.name.starts_with("objective.")) CHECK(info.lifetime == xp::Lifetime::pretrain_only);
}

xp::State artifact(std::int64_t vocab = kVocab) {
  xp::State state;
  state.set("vocab_size", xp::Ints{{vocab}});
  state.set("token_ngrams_2", xp::Ints{{5, 6, 8, 9}, {2, 2}});
  state.set("token_ngrams_3", xp::Ints{{5, 6, 7}, {1, 3}});
  return state;
}
const xp::Value kArtifact = xp::Reference{.text = "grams", .kind = "statistics"};

TEST_CASE("ngram_mlm takes its n-grams from an artifact as from a list") {
  const auto state = artifact();
  auto s = spec({{"ngrams", kArtifact}, {"mask_rate", 1.0}});
  s.artifacts["grams"] = &state;
  const xp::List list{xp::List{5, 6}, xp::List{8, 9}, xp::List{5, 6, 7}};
  Fixture f(xp::testing::registry(), s), g(xp::testing::registry(), spec({{"ngrams", list}, {"mask_rate", 1.0}}));
  const Row ids{5, 6, 7, 8, 9, 5, 6};
  CHECK(masked(f, ids) == masked(g, ids));
  CHECK(masked(f, ids).ngram_labels[1] == kVocab + 1);
}

TEST_CASE("ngram_mlm refuses rates, n-grams and artifacts that do not fit") {
  const auto refuses = [](xp::Table more, const char* what, const xp::State* state = nullptr) {
    auto s = spec(std::move(more));
    if (state) s.artifacts["grams"] = state;
    CHECK_THROWS_WITH(Fixture(xp::testing::registry(), s), ContainsSubstring(what));
  };
  refuses({{"mask_rate", 1.5}}, "`mask_rate` is 1.5");
  refuses({{"ngrams", xp::List{}}}, "`ngrams` holds none");
  refuses({{"ngrams", xp::List{xp::List{5}}}}, "n-gram [5] is too short");
  refuses({{"ngrams", xp::List{5, 6}}}, "each is a list of token ids");
  refuses({{"ngrams", xp::List{xp::List{5, "six"}}}}, "token ids are whole numbers");
  refuses({{"ngrams", xp::List{xp::List{5, kVocab}}}}, "n-gram [5, 17]: token id 17 stands for no text");
  refuses({{"ngrams", xp::List{xp::List{kMask, 5}}}}, "token id 3 stands for no text");
  refuses({{"ngrams", xp::List{xp::List{5, 6}, xp::List{5, 6}}}}, "n-gram [5, 6] is there twice");
  const xp::State none, other = artifact(18);
  refuses({{"ngrams", kArtifact}}, "fit it with the method `token_ngrams`", &none);
  refuses({{"ngrams", kArtifact}}, "knows a vocabulary of 18, the tokenizer has one of 17", &other);
  Fixture f(xp::testing::registry(), spec());
  CHECK_THROWS_WITH(f.set("mask_rate", -1), ContainsSubstring("`mask_rate` is -1"));
  CHECK_THROWS_WITH(masked(f, {5, kVocab}), ContainsSubstring("token id 17 does not fit a vocabulary of 17"));
  CHECK_THROWS_WITH(masked(f, {5, 6}, {1}), ContainsSubstring("field `maskable` has 1 value for 2 tokens"));
}

}  // namespace ngram_mlm_test
