// Runs real training steps of the sketch and checks what only a wrong interface would break.
#include "checks.h"

#include "plugin/plugin.h"

#define SKETCHES(X) X(adamw) X(tiny_transformer) X(mlm) X(s47_future_tokens)
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
  auto other = texts(1), same = texts(1);
  other[0][0].ints("ids").data.back() = 24;
  check(next.accumulate({next.load(same)}) != next.accumulate({next.load(other)}),
        "S47 a text's last token is asked for, though nothing is asked from there");
  check(e.exported().parameters.size() == e.weights("primary").size(), "S47 export leaves the decoder behind");
}

}  // namespace

TEST_CASE("s47") { s47(registry()); }

}  // namespace sketches
