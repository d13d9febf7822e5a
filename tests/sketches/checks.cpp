// Runs real training steps of every sketch and checks what only a wrong interface would break.
#include "checks.h"

#include "plugin/plugin.h"

#define SKETCHES(X)                                                                         \
  X(adamw)                                                                                  \
  X(tiny_transformer)                                                                       \
  X(mlm)                                                                                    \
  X(sum)                                                                                    \
  X(in_batch_softmax)                                                                       \
  X(s29_replaced_token)                                                                     \
  X(s24_cluster_sampler) X(s10_margin_rank) X(s58_denoise) X(s58_mixture) X(s23_over_views) \
      X(s23_masked_autoencoding) X(s40_match_features) X(s59_static_mask) X(s28_merge) X(s47_future_tokens)
#define DECLARE(NAME) extern const xp::PluginInfo xp_info_##NAME;
SKETCHES(DECLARE)

namespace sketches {

const Registry& registry() {
  static const auto all = [] {
    auto made = std::make_unique<Registry>();
#define ADD(NAME) xp_info_##NAME.add_to(*made);
    SKETCHES(ADD)
    return made;
  }();
  return *all;
}

namespace {

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

}  // namespace

#define SYSTEM(NAME) \
  TEST_CASE(#NAME) { NAME(registry()); }
SYSTEM(s29)
SYSTEM(s24)
SYSTEM(s10)
SYSTEM(s58)
SYSTEM(s23)

}  // namespace sketches
