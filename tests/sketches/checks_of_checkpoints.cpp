// Sketches that begin from checkpoints, change them, or leave something else behind than they trained.
#include "checks.h"

namespace sketches {
namespace {

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

}  // namespace

#define SYSTEM(NAME) \
  TEST_CASE(#NAME) { NAME(registry()); }
SYSTEM(s40)
SYSTEM(s59)
SYSTEM(s28)
SYSTEM(s47)

}  // namespace sketches
