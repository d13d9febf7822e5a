// Runs real training steps of every sketch and checks what only a wrong interface would break.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>

#include "api/checkpoint_transform.h"
#include "api/evaluator.h"
#include "plugin/plugin.h"
#include "testing/torch_fixture.h"

#define SKETCHES(X)                                                                                                 \
  X(adamw)                                                                                                          \
  X(tiny_transformer)                                                                                               \
  X(mlm)                                                                                                            \
  X(sum)                                                                                                            \
  X(in_batch_softmax) X(s29_replaced_token) X(s24_cluster_sampler) X(s10_margin_rank) X(s58_denoise) X(s58_mixture) \
      X(s23_over_views) X(s23_masked_autoencoding) X(s40_match_features) X(s59_static_mask) X(s28_merge)            \
          X(s47_future_tokens)
#define DECLARE(NAME) extern const xp::PluginInfo xp_info_##NAME;
SKETCHES(DECLARE)

namespace {

using xp::Batch, xp::Example, xp::List, xp::Registry, xp::Table;
using Engine = xp::testing::Fixture;
using StageSpec = xp::testing::FixtureSpec;
using xp::testing::largest_difference, xp::testing::gradients, xp::testing::split;
using Groups = std::vector<std::vector<Example>>;

void check(bool good, const char* what) {
  INFO(what);
  CHECK(good);
}
bool near(double a, double b, double tolerance = 1e-6) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}
template <class F>
bool throws(const F& f) {
  try {
    f();
  } catch (const xp::Error&) {
    return true;
  }
  return false;
}

double checksum(const xp::Parameters& all) {
  double sum = 0;
  for (xp::Param i = 0; i < all.size(); ++i)
    sum += static_cast<double>(i + 1) * all.values[i].detach().to(at::kDouble).square().sum().item<double>();
  return sum;
}

/// Random texts of unequal length; groups of `members`.
Groups texts(int groups, int members = 1, std::uint64_t seed = 7, int length = 0) {
  Groups all;
  for (int g = 0; g < groups; ++g) {
    auto random = xp::RandomStreams(seed).stream(0, static_cast<std::uint64_t>(g));
    auto& group = all.emplace_back();
    for (int m = 0; m < members; ++m) {
      Example item{g * members + m, g, g % 2 ? "odd" : "even", {}};
      xp::Ints ids;
      for (auto n = length ? length : 6 + random.below(14); n > 0; --n) ids.data.push_back(25 + random.below(23));
      item.fields["better"] = xp::Ints{{m == 0}};
      item.fields["ids"] = std::move(ids);
      group.push_back(std::move(item));
    }
  }
  return all;
}

StageSpec spec(Table objective) {
  StageSpec s;
  s.reserved = {{"mask", 3}, {"end", 4}, {"mode.0", 5}, {"mode.1", 6}, {"mode.2", 7}, {"first_text", 25}};
  for (int i = 0; i < 16; ++i) s.reserved["sentinel." + std::to_string(i)] = 8 + i;
  s.model = {{"type", "tiny_transformer"}};
  s.optimizer = {{"type", "adamw"}};
  s.dataset_fields.push_back({"better", "", 0});
  s.objective = std::move(objective);
  return s;
}
xp::Checkpoint trained(const Registry& r, std::uint64_t seed, int steps, const xp::Checkpoint* start = nullptr) {
  auto s = spec({{"type", "in_batch_softmax"}});
  s.seed = start ? 1 : seed;
  Engine e(r, s, start);
  for (int i = 0; i < steps; ++i)
    e.accumulate({e.load(texts(8, 2, seed * 100 + static_cast<std::uint64_t>(i)))}), e.update(1e-2, 0);
  return e.exported();
}
at::Tensor run(const Registry& r, const xp::Checkpoint& c, const at::Tensor& ids) {
  at::NoGradGuard quiet;
  auto s = spec({{"type", "mlm"}});
  Engine e(r, s, &c);
  const auto& w = e.weights("primary").values;
  return e.model("primary").logits(w, e.model("primary").forward(w, {.ids = ids}, {.tokens = true}).tokens);
}

void s29(const Registry& r) {
  const Table rtd{{"type", "replaced_token_detection"}, {"generator", Table{{"width", 4}}}};
  Engine e(r, spec(rtd));
  const auto batch = e.load(texts(32));
  e.accumulate({batch}, "detection");
  double generator_only = 0, shared = 0;
  auto& all = e.all();
  for (xp::Param i = 0; i < all.size(); ++i) {
    const auto& g = all.values[i].grad();
    const double size = g.defined() ? g.abs().sum().item<double>() : 0;
    (all.info[i].name.starts_with("generator.") && !all.info[i].name.starts_with("generator.embedding")
         ? generator_only
         : shared) += size;
  }
  check(generator_only == 0 && shared > 0,
        "S29 detection term: zero gradient in the generator, some in shared tables");
  std::set<const void*> storages;
  for (const auto& x : all.values) storages.insert(x.data_ptr());
  check(all.distinct().size() == storages.size() && all.size() == storages.size() + 2,
        "S29 shared tables are one tensor, counted once");
  check(e.passes == std::map<std::string, int>{{"generator", 1}, {"primary", 1}} && e.flops > 0,
        "S29 one pass of each model, FLOPs counted");
  const double whole = e.accumulate({batch});
  const auto one = gradients(e);
  const double parts = e.accumulate(split(batch, 8));
  check(near(parts, whole) && largest_difference(one, gradients(e)) < 1e-6,
        "S29 4 x 8 equals 32: two terms, ragged counts, tokens drawn in the step");
  std::vector<at::Tensor> naive;
  for (const auto& part : split(batch, 8)) {
    e.accumulate({part});
    const auto g = gradients(e);
    for (std::size_t i = 0; i < g.size(); ++i)
      naive.size() < g.size() ? naive.push_back(g[i] / 4) : (void)naive[i].add_(g[i], 0.25);
  }
  check(largest_difference(one, naive) > 1e-3, "S29 the mean of micro-batch gradients is something else");
  e.accumulate({e.load(texts(200))});
  check(e.metrics.at("replaced") > 0.9 && e.metrics.at("replaced") < 1,
        "S29 some samples equal the original and count as original");
  const auto out = e.exported();
  bool clean = true;
  for (const auto& info : out.parameters.info) clean &= info.lifetime == xp::Lifetime::keep;
  check(clean && out.parameters.size() == e.weights("primary").size(), "S29 export holds the encoder only");
  const double before = whole;
  for (int i = 0; i < 20; ++i) e.accumulate({batch}), e.update();
  check(e.accumulate({batch}) < before, "S29 twenty steps lower the loss");
}

void s24(const Registry& r) {
  xp::State clusters;
  xp::Ints of{std::vector<std::int64_t>(48, -1)};
  for (std::size_t id = 25; id < 48; ++id) of.data[id] = static_cast<std::int64_t>(id % 3);
  clusters.set("cluster", of);
  const auto make = [&] {
    auto s = spec({{"type", "substituted_token_detection"},
                   {"rate", 0.3},
                   {"sampler", Table{{"type", "by_cluster"}, {"clusters", "clusters"}, {"delay", 2}}}});
    s.artifacts["clusters"] = &clusters;
    return std::make_unique<Engine>(r, s);
  };
  const auto counts = [](Engine& e) {
    xp::State s;
    e.transform()->save(s);
    return std::get<xp::Ints>(s.child("sampler").values("count")).data;
  };
  const auto step = [](Engine& e) {
    e.accumulate({e.load(texts(8, 1, static_cast<std::uint64_t>(e.step)))}), e.update();
  };
  auto e = make();
  const auto start = counts(*e);
  step(*e), step(*e);
  check(counts(*e) == start, "S24 no message arrives before its declared delay");
  const auto first = e->undelivered.front();
  step(*e);
  std::vector<std::int64_t> expected = start;
  const auto &pair = std::get<xp::Ints>(first.values.at("cluster_pair")).data,
             &right = std::get<xp::Ints>(first.values.at("right")).data;
  int failures = 0;
  for (std::size_t i = 0; i < pair.size(); ++i)
    if (pair[i] >= 0) expected[static_cast<std::size_t>(pair[i])] += right[i] ? -1 : 1, failures += !right[i];
  check(counts(*e) == expected && failures > 0, "S24 counts rise with failures, two steps later");
  for (int i = 0; i < 3; ++i) step(*e);
  xp::State saved;
  e->transform()->save(saved);
  auto again = make();
  again->transform()->load(saved);
  again->undelivered = e->undelivered, again->step = e->step;
  const auto a = e->load(texts(8, 1, 99)), b = again->load(texts(8, 1, 99));
  check(at::equal(a.dense("substituted_ids"), b.dense("substituted_ids")),
        "S24 a resumed sampler draws as the uninterrupted one");
}

void s10(const Registry& r) {
  const auto sum = [](const char* share) {
    return Table{{"type", "sum"},
                 {"share", share},
                 {"terms", List{Table{{"type", "mlm"}, {"mask_rate", 0.3}}, Table{{"type", "margin_rank"}}}}};
  };
  Engine one(r, spec(sum("pass"))), two(r, spec(sum("none")));
  const auto batch = one.load(texts(16, 2));
  one.accumulate({batch}), two.accumulate({two.load(texts(16, 2))});
  check(one.passes["primary"] == 1 && two.passes["primary"] == 2,
        "S10 one pass for two losses when shared, two when not");
  check(one.terms.at("mlm.mlm") == two.terms.at("mlm.mlm") &&
            one.terms.at("margin_rank.rank") != two.terms.at("margin_rank.rank"),
        "S10 the rank loss reads the masked pass, the other term does not change");
  Engine plain(r, spec({{"type", "mlm"}, {"mask_rate", 0.3}}));
  Engine wrapped(r, spec({{"type", "sum"}, {"terms", List{Table{{"type", "mlm"}, {"mask_rate", 0.3}}}}}));
  bool same = plain.accumulate({plain.load(texts(32))}) == wrapped.accumulate({wrapped.load(texts(32))});
  same &= largest_difference(gradients(plain), gradients(wrapped)) == 0;
  check(same, "sum([mlm]) equals mlm bit for bit: masks, loss, gradients");
  const auto share = [](const Batch& b) {
    return (b.dense("labels") >= 0).sum().item<double>() / b.dense("input.mask").sum().item<double>();
  };
  wrapped.set("mlm.mask_rate", 0.9);
  check(share(wrapped.load(texts(64))) > 0.8 && share(plain.load(texts(64))) < 0.4,
        "a schedule reaches a transform in the loader, through a wrapper");
  const auto ragged = plain.load(texts(32));
  plain.accumulate({ragged});
  const auto whole = gradients(plain);
  plain.accumulate(split(ragged, 8));
  check(largest_difference(whole, gradients(plain)) < 1e-6, "mlm 4 x 8 equals 32 with ragged counts");
  plain.accumulate(split(ragged, 5));
  check(largest_difference(whole, gradients(plain)) < 1e-6, "mlm micro-batches of unequal size (5, ..., 2) equal 32");
  const auto both = one.load(texts(16, 2));
  one.accumulate({both});
  const auto full = gradients(one);
  one.accumulate(split(both, 8));
  check(largest_difference(full, gradients(one)) < 1e-6, "S10 4 x 8 equals 32 with two terms and whole groups");
}

void s58(const Registry& r) {
  const Table a{{"type", "denoise"}, {"mode", "R"}, {"span", 3}, {"rate", 0.15}},
      b{{"type", "denoise"}, {"mode", "S"}, {"prefix", true}, {"rate", 0.25}},
      c{{"type", "denoise"}, {"mode", "X"}, {"span", 3}, {"rate", 0.5}};
  auto s = spec({{"type", "mixture"}, {"terms", List{a, b, c}}});
  s.model.insert_or_assign("memory", true);
  Engine e(r, s);
  auto groups = texts(24, 1, 7, 64);
  bool fits = true;
  for (auto& group : groups) {  // what the loader does: ask how many raw tokens give 32
    const auto random = xp::RandomStreams(s.seed, "input").stream(0, static_cast<std::uint64_t>(group[0].group_id));
    const auto raw = xp::raw_tokens_for(*e.transform(), {32, 32}, random, 64);
    const auto now = e.transform()->lengths(raw, random), next = e.transform()->lengths(raw + 1, random);
    fits &= now.input <= 32 && (next.input > 32 || next.target > 32);
    group[0].ints("ids").data.resize(static_cast<std::size_t>(raw));
  }
  const auto raw = groups;
  const auto batch = e.load(groups);
  const auto length = batch.dense("source.mask").sum(1);
  check(fits && length.max().item<std::int64_t>() == 32 && length.min().item<std::int64_t>() >= 31,
        "S58 length contract: every draw fills 32 tokens, none exceeds");
  bool restored = true;
  std::set<std::int64_t> modes;
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    std::vector<std::int64_t> text;
    const auto source = batch.dense("source_ids")[i], target = batch.dense("target_ids")[i];
    modes.insert(source[0].item<std::int64_t>());
    for (std::int64_t t = 1, u = 0; t < source.size(0) && source[t].item<std::int64_t>() != 4; ++t) {
      const auto id = source[t].item<std::int64_t>();
      if (id >= 25) {
        text.push_back(id);
        continue;
      }
      for (++u; u < target.size(0) && target[u].item<std::int64_t>() >= 25; ++u)
        text.push_back(target[u].item<std::int64_t>());
    }
    restored &= text == raw[static_cast<std::size_t>(i)][0].ints("ids").data;
  }
  check(restored && modes.size() == 3, "S58 input with target gives back the text; all three modes occur");
  const double whole = e.accumulate({batch});
  const auto g = gradients(e);
  check(e.passes["primary"] == 2, "S58 a mixture of three costs one encoder and one decoder pass");
  check(e.terms_by_source.size() == 6, "S58 losses are known by source and mode");
  const double parts = e.accumulate(split(batch, 6));
  check(near(parts, whole) && largest_difference(g, gradients(e)) < 1e-6, "S58 4 x 6 equals 24 with ragged targets");
  const Table m{{"type", "mlm"}};
  auto mixed = spec({{"type", "mixture"}, {"terms", List{m, c}}});
  mixed.model.insert_or_assign("memory", true);
  Engine two(r, mixed);
  two.accumulate({two.load(texts(16))});
  check(two.terms.size() == 2 && two.passes["primary"] == 3,
        "a mixture of unlike objectives splits the batch by example");
}

void s23(const Registry& r) {
  const List sizes{List{1, 4}, List{1, 8}, List{2, 8}, List{2, 16}};
  const Table task{{"type", "in_batch_softmax"}};
  Engine e(r, spec({{"type", "over_views"}, {"sizes", sizes}, {"task", task}, {"align", "kl"}}));
  Engine plain(r, spec(task));
  const auto batch = e.load(texts(12, 2));
  e.accumulate({batch}), plain.accumulate({batch});
  check(e.passes["primary"] == 1, "S23 four sizes from one pass");
  check(near(e.terms.at("2x16.contrast"), plain.terms.at("contrast"), 0),
        "S23 the full size gives the plain task's loss");
  check(e.terms.size() == 7 && e.terms.at("1x4.align") > 0, "S23 four tasks and three alignment terms");
  check(throws([&] { e.accumulate(split(batch, 8)); }),
        "S23 a batch-coupled objective refuses to be split, also through a wrapper");
  at::NoGradGuard quiet;
  const auto& w = e.weights("primary").values;
  const xp::ForwardInput in{.ids = batch.dense("ids"), .mask = batch.dense("input.mask")};
  const auto cut = e.model("primary").forward(w, in, {.tokens = true, .view = {1, 8}}).tokens;
  const auto full = e.model("primary").forward(w, in, {.layers = true}).layers;
  check(at::equal(cut, full[1].narrow(-1, 0, 8)), "S23 the truncated encoder equals the view");
  c10::GradMode::set_enabled(true);
  Engine words(
      r, spec({{"type", "over_views"}, {"sizes", sizes}, {"task", Table{{"type", "mlm"}, {"mask_rate", 0.3}}}}));
  words.accumulate({words.load(texts(12))});
  check(words.passes["primary"] == 1 && words.terms.size() == 4,
        "S23 masked language modelling over views: one pass, head sliced");
  const Table pair{
      {"type", "sum"},
      {"share", "pass"},
      {"terms", List{Table{{"type", "mlm"}, {"mask_rate", 0.2}}, Table{{"type", "masked_autoencoding"}}}}};
  Engine smae(r, spec({{"type", "over_views"}, {"sizes", sizes}, {"task", pair}}));
  const auto &copy = smae.weights("decoder"), &source = smae.weights("primary");
  const bool copied = at::equal(copy.values[copy.find("layer.0.up")], source.values[source.find("layer.0.up")]);
  const auto items = smae.load(texts(12));
  const double before = smae.accumulate({items});
  check(copied && smae.passes["primary"] == 1 && smae.passes["decoder"] == 4 && smae.terms.size() == 8,
        "S23 over_views(sum(mlm, masked_autoencoding)): one encoder pass, decoder starts as layer 0");
  const auto g = gradients(smae);
  smae.accumulate(split(items, 4));
  check(largest_difference(g, gradients(smae)) < 1e-6, "S23 3 x 4 equals 12 with eight terms");
  for (int i = 0; i < 20; ++i) smae.accumulate({items}), smae.update();
  check(smae.accumulate({items}) < before, "S23 twenty steps lower the loss");
}

void s40(const Registry& r) {
  const auto base = trained(r, 3, 3);
  auto s = spec({{"type", "sum"},
                 {"terms", List{Table{{"type", "mlm"}, {"mask_rate", 0.3}}, Table{{"type", "match_features"}}}}});
  s.references["teacher"] = &base;
  Engine e(r, s, &base);
  const auto hash = checksum(e.weights("teacher"));
  const auto batch = e.load(texts(16));
  e.accumulate({batch});
  check(e.terms.at("match_features.match") == 0, "S40 teacher equal to the start: zero feature term");
  check(e.passes["primary"] == 2 && e.passes["teacher"] == 1, "S40 two passes of the student, one of the teacher");
  for (int i = 0; i < 5; ++i) e.accumulate({batch}), e.update();
  bool frozen = checksum(e.weights("teacher")) == hash;
  for (const auto& x : e.weights("teacher").values) frozen &= !x.grad().defined();
  for (const auto& info : e.all().info) frozen &= !info.name.starts_with("teacher");
  e.accumulate({batch});
  check(frozen && e.terms.at("match_features.match") > 0, "S40 the teacher neither moves nor is optimised");
}

void s59(const Registry& r) {
  Engine e(r, spec({{"type", "mlm"}, {"mask_rate", 0.3}})), free(r, spec({{"type", "mlm"}, {"mask_rate", 0.3}}));
  const auto mask = r.make<xp::Constraint>({{"type", "static_mask"}, {"sparsity", 0.5}});
  e.constrain(*mask);
  std::vector<at::Tensor> start;
  for (const auto& x : e.all().values) start.push_back(x.detach().ne(0));
  for (int i = 0; i < 100; ++i)
    e.accumulate({e.load(texts(4, 1, static_cast<std::uint64_t>(i)))}), e.update(1e-2, 0.1);
  bool zeros = true, others = true;
  double share = 0, dense = 0;
  for (xp::Param i = 0; i < e.all().size(); ++i) {
    const auto now = e.all().values[i].detach().ne(0);
    const bool masked = e.all().info[i].role == "dense";
    if (masked)
      zeros &= at::equal(now, start[i]), share += now.sum().item<double>(), dense += static_cast<double>(now.numel());
    else
      others &= mask->density(e.all().info[i]) == 1;
  }
  check(zeros && others && near(share / dense, 0.5, 0.05),
        "S59 masked entries are exactly zero after 100 AdamW steps; tables and norms stay dense");
  const auto sparse = e.exported();
  const xp::Checkpoint* in = &sparse;
  const auto opened =
      r.make<xp::CheckpointTransform>({{"type", "densify"}})->apply({&in, 1}, nullptr, {}, xp::RandomStreams(0));
  const auto ids = texts(1)[0][0].ints("ids").data;
  const auto x = at::tensor(ids, at::kLong).unsqueeze(0);
  check(at::equal(run(r, sparse, x), run(r, opened, x)), "S59 densify leaves the logits equal");
  Engine next(r, spec({{"type", "mlm"}, {"mask_rate", 0.3}}), &opened);
  next.accumulate({next.load(texts(8))}), next.update();
  const auto& grown = next.weights("primary");
  check(grown.values[grown.find("layer.0.qkv")].ne(0).to(at::kFloat).mean().item<double>() > 0.9,
        "S59 zeros grow in the next stage");
}

void s28(const Registry& r) {
  const auto base = trained(r, 1, 2), one = trained(r, 11, 10, &base), two = trained(r, 12, 10, &base);
  auto s = spec({{"type", "in_batch_softmax"}});
  s.checkpoints = {{"base", &base}, {"tuned.1", &one}, {"tuned.2", &two}};
  s.model = {{"type", "merge"}, {"of", "tuned.*"}, {"from", "base"}, {"method", Table{{"type", "slerp"}}}};
  Engine e(r, s);
  const auto batch = e.load(texts(16, 2, 500));
  const auto hash = checksum(one.parameters);
  const double first = e.accumulate({batch});
  bool moved = e.all().size() == 3;
  for (const auto& x : e.all().values) moved &= x.grad().defined() && x.grad().abs().item<double>() > 0;
  check(moved, "S28 three numbers are all that is learnt, and each has a gradient");
  const auto still = e.exported();
  const std::vector<const xp::Checkpoint*> inputs{&one, &two};
  const auto slerp = r.make<xp::CheckpointTransform>({{"type", "slerp"}});
  const auto merged = slerp->apply(inputs, &base, at::ones({3}), xp::RandomStreams(0));
  Engine plain(r, spec({{"type", "in_batch_softmax"}}), &merged);
  check(plain.accumulate({batch}) == first && still.type == "tiny_transformer",
        "S28 functional forward equals the materialised merge; export is a plain model");
  double last = first;
  for (int i = 0; i < 30; ++i) last = e.accumulate({batch}), e.update(5e-2, 0);
  bool clean = checksum(one.parameters) == hash;
  for (const auto& x : one.parameters.values) clean &= !x.grad().defined() && !x.requires_grad();
  check(last < first && clean, "S28 learning lowers the loss and leaves the merged checkpoints alone");
  const std::vector<const xp::Checkpoint*> twins{&one, &one};
  const auto same = slerp->apply(twins, &base, at::ones({3}), xp::RandomStreams(0));
  double apart = 0;
  for (std::size_t i = 0; i < same.parameters.size(); ++i)
    apart = std::max(apart, (same.parameters.values[i] - one.parameters.values[i]).abs().max().item<double>());
  check(apart < 1e-6, "S28 slerp(a, a) = a");
}

void s47(const Registry& r) {
  const Table decoder{{"layers", 1}, {"width", 8}};
  auto s = spec({{"type", "future_tokens"}, {"horizon", 4}, {"slots", 3}, {"positions", 0.5}, {"decoder", decoder}});
  s.model.insert_or_assign("causal", true);
  Engine e(r, s);
  const auto batch = e.load(texts(16));
  const double loss = e.accumulate({batch});
  double weighted = 0, total = 0;
  for (int k = 1; k <= 4; ++k)
    weighted += std::pow(0.8, k) * e.terms.at("ahead_" + std::to_string(k)), total += std::pow(0.8, k);
  check(e.terms.size() == 4 && near(loss, weighted / total),
        "S47 one term per horizon, weights gamma^k that sum to 1");
  check(e.passes == std::map<std::string, int>{{"decoder", 1}, {"primary", 1}},
        "S47 one pass of the model, one of the owned decoder");
  const auto g = gradients(e);
  e.accumulate(split(batch, 4));
  check(largest_difference(g, gradients(e)) < 1e-6, "S47 4 x 4 equals 16: horizons run out at different places");
  s.objective.insert_or_assign("positions", 1.0), s.objective.insert_or_assign("horizon", 1);
  Engine next(r, s);
  const auto all = next.load(texts(16));
  const double one = next.accumulate({all});
  const auto handle = next.handle();
  double nats = 0, tokens = 0;
  for (const auto& score : handle->score(all)) nats += score.nats, tokens += static_cast<double>(score.tokens);
  check(near(one, nats / tokens),
        "S47 the handle scores through the decoder: horizon 1 is the ordinary next-token loss");
  check(e.exported().parameters.size() == e.weights("primary").size(), "S47 export leaves the decoder behind");
}

const Registry& registry() {
  static const auto all = [] {
    auto made = std::make_unique<Registry>();
#define ADD(NAME) xp_info_##NAME.add_to(*made);
    SKETCHES(ADD)
    return made;
  }();
  return *all;
}

}  // namespace

#define SYSTEM(NAME) \
  TEST_CASE(#NAME) { NAME(registry()); }
SYSTEM(s29)
SYSTEM(s24)
SYSTEM(s10)
SYSTEM(s58)
SYSTEM(s23)
SYSTEM(s40)
SYSTEM(s59)
SYSTEM(s28)
SYSTEM(s47)
