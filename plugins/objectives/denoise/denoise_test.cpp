#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "testing/testing.h"
#include "testing/torch_conformance_objective.h"
#include "testing/torch_fixture.h"
#include "testing/torch_recipe_run.h"

namespace denoise_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;

constexpr std::int64_t kEnd = 4, kMode = 5, kSentinel = 8, kText = 140;

FixtureSpec spec(Table settings, at::ScalarType type = at::kFloat) {
  FixtureSpec s;
  s.vocab = 200, s.first_text = kText;
  s.reserved = {{"end", kEnd}, {"mode.0", kMode}, {"mode.1", kMode + 1}, {"mode.2", kMode + 2}};
  for (int i = 0; i < 100; ++i) s.reserved["sentinel." + std::to_string(i)] = kSentinel + i;
  s.model = {{"type", "transformer"}, {"kind", "encoder_decoder"},
             {"layers", 1},           {"decoder_layers", 1},
             {"width", 16},           {"heads", 2},
             {"max_time", 256},       {"init_sd", 0.2}};
  s.objective = {{"type", "denoise"}};
  for (const auto& [key, value] : settings) s.objective.insert_or_assign(key, value);
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// The seven denoisers of the reference, with the mode that each must announce.
struct Setting {
  Table table;
  char mode;
  double rate, span;
};
std::vector<Setting> settings() {
  const auto one = [](const char* mode, std::int64_t span, double rate) {
    return Setting{{{"mode", mode}, {"span", span}, {"rate", rate}}, mode[0], rate, static_cast<double>(span)};
  };
  return {one("R", 3, 0.15), one("R", 8, 0.15), {{{"mode", "S"}, {"prefix", true}, {"rate", 0.25}}, 'S', 0.25, 0},
          one("X", 3, 0.5),  one("X", 8, 0.5),  one("X", 64, 0.15),
          one("X", 64, 0.5)};
}

using Ids = std::vector<std::int64_t>;

/// What a text became, taken apart.
struct Taken {
  Ids restored;
  std::vector<std::int64_t> kept, spans;  ///< lengths, in order; `kept[i]` stands before span i
  std::int64_t mode = 0;
};

Taken take_apart(const Ids& source, const Ids& target) {
  Taken out;
  REQUIRE(source.size() >= 2);
  REQUIRE((source.back() == kEnd && target.back() == kEnd));
  out.mode = source.front();
  std::size_t u = 0;
  std::int64_t kept = 0;
  for (std::size_t t = 1; t + 1 < source.size(); ++t) {
    if (source[t] >= kText) {
      out.restored.push_back(source[t]), ++kept;
      continue;
    }
    const auto sentinel = kSentinel + std::ssize(out.spans);  // in order, each once
    CHECK((source[t] == sentinel && target.at(u) == sentinel));
    const auto begin = ++u;
    while (target.at(u) >= kText) out.restored.push_back(target[u++]);
    out.spans.push_back(static_cast<std::int64_t>(u - begin)), out.kept.push_back(kept), kept = 0;
  }
  CHECK(kept == 0);
  CHECK(u + 1 == target.size());
  return out;
}

std::vector<std::vector<Example>> texts(int n, std::int64_t least, std::int64_t most) {
  std::vector<std::vector<Example>> all;
  for (int i = 0; i < n; ++i) {
    auto random = RandomStreams(5).stream(0, static_cast<std::uint64_t>(i));
    Example item{i, i, i % 2 ? "odd" : "even"};
    Ints ids;
    for (auto left = least + random.below(most - least + 1); left > 0; --left)
      ids.data.push_back(kText + random.below(200 - kText));
    item.fields["ids"] = std::move(ids);
    all.push_back({std::move(item)});
  }
  return all;
}

void corrupt(const Transform& transform, std::vector<Example>& group) {
  auto random = RandomStreams(9).stream(0, static_cast<std::uint64_t>(group[0].sample_id));
  transform.apply(group, random);
}

void check_mean(double sum, double squares, double n, double expected) {
  const double mean = sum / n, sd = std::sqrt(std::max(squares / n - mean * mean, 0.0));
  INFO("mean " << mean << ", expected " << expected << ", standard error " << sd / std::sqrt(n));
  CHECK(std::abs(mean - expected) < 3 * sd / std::sqrt(n) + 1e-9);
}

TEST_CASE("denoise: input and target give back the text, and the mode's token and label agree") {
  for (const auto& setting : settings()) {
    Fixture f(testing::registry(), spec(setting.table));
    for (auto& group : texts(60, 0, 200)) {
      const auto ids = group[0].ints("ids").data;
      corrupt(*f.transform(), group);
      const auto taken = take_apart(group[0].ints("source_ids").data, group[0].ints("target_ids").data);
      CHECK(taken.restored == ids);
      CHECK(taken.mode == kMode + static_cast<std::int64_t>(std::string("RSX").find(setting.mode)));
      CHECK(group[0].source == (group[0].sample_id % 2 ? "odd:" : "even:") + std::string(1, setting.mode));
    }
  }
}

TEST_CASE("denoise cuts out the rate in spans of the mean length, within three standard errors") {
  for (const auto& setting : settings()) {
    INFO("mode " << setting.mode << ", span " << setting.span << ", rate " << setting.rate);
    Fixture f(testing::registry(), spec(setting.table));
    double n = 0, rate = 0, rate2 = 0, spans = 0, spans2 = 0;
    // Rounding favours neither side where the lengths cover whole cycles of noise / span: here 6 to 10.
    const auto least = setting.span > 0 ? std::llrint(6 * setting.span / setting.rate) : 260;
    const auto most = setting.span > 0 ? std::llrint(10 * setting.span / setting.rate) - 1 : 560;
    for (auto& group : texts(1500, least, most)) {
      const auto raw = static_cast<double>(group[0].ints("ids").data.size());
      corrupt(*f.transform(), group);
      const auto taken = take_apart(group[0].ints("source_ids").data, group[0].ints("target_ids").data);
      double noise = 0;
      for (const auto length : taken.spans) noise += static_cast<double>(length);
      const double off = noise - setting.rate * raw;  // rounding only
      CHECK(std::abs(off) <= 0.5 + 1e-9);
      ++n, rate += off, rate2 += off * off;
      if (setting.span == 0) {
        CHECK(taken.spans.size() == 1);
        continue;
      }
      const double more = static_cast<double>(taken.spans.size()) - noise / setting.span;
      spans += more, spans2 += more * more;
      CHECK(std::abs(more) <= 0.5 + 1e-9);
    }
    check_mean(rate, rate2, n, 0);
    if (setting.span > 0) check_mean(spans, spans2, n, 0);
  }
}

TEST_CASE("denoise parts kept and cut tokens into every composition equally often") {
  Fixture f(testing::registry(), spec({{"mode", "X"}, {"span", 2}, {"rate", 0.5}}));
  std::map<std::vector<std::int64_t>, double> kept, gone;
  constexpr int n = 6000;
  for (auto& group : texts(n, 12, 12)) {  // 6 of 12 tokens in 3 spans: compositions of 6 into 3 parts
    corrupt(*f.transform(), group);
    const auto taken = take_apart(group[0].ints("source_ids").data, group[0].ints("target_ids").data);
    ++kept[taken.kept], ++gone[taken.spans];
  }
  for (const auto* seen : {&kept, &gone}) {
    CHECK(seen->size() == 10);
    double chi2 = 0;
    for (const auto& [parts, count] : *seen) chi2 += (count - n / 10.0) * (count - n / 10.0) / (n / 10.0);
    CHECK(chi2 < 9 + 3 * std::sqrt(18.0));  // 9 degrees of freedom: mean 9, variance 18
  }
}

TEST_CASE("denoise with prefix is a prefix language model") {
  Fixture f(testing::registry(), spec({{"mode", "S"}, {"prefix", true}, {"rate", 0.25}}));
  for (auto& group : texts(30, 4, 200)) {
    const auto ids = group[0].ints("ids").data;
    corrupt(*f.transform(), group);
    const auto last = static_cast<std::ptrdiff_t>(std::llrint(0.25 * static_cast<double>(ids.size())));
    Ids source{kMode + 1}, target{kSentinel};
    source.insert(source.end(), ids.begin(), ids.end() - last),
        target.insert(target.end(), ids.end() - last, ids.end());
    source.push_back(kSentinel), source.push_back(kEnd), target.push_back(kEnd);
    CHECK(group[0].ints("source_ids").data == source);
    CHECK(group[0].ints("target_ids").data == target);
  }
}

TEST_CASE("denoise says beforehand how long its input and target become, and longer texts are never shorter") {
  for (const auto& setting : settings()) {
    Fixture f(testing::registry(), spec(setting.table));
    const auto& transform = *f.transform();
    const auto random = RandomStreams(9).stream();
    Lengths before;
    for (std::int64_t raw = 0; raw < 400; ++raw) {
      const auto now = transform.lengths(raw, random);
      CHECK((now.input >= before.input && now.target >= before.target));
      before = now;
    }
    for (auto& group : texts(40, 0, 200)) {
      const auto said = transform.lengths(std::ssize(group[0].ints("ids").data), random);
      corrupt(transform, group);
      CHECK(said.input == std::ssize(group[0].ints("source_ids").data));
      CHECK(said.target == std::ssize(group[0].ints("target_ids").data));
    }
    const auto raw = raw_tokens_for(transform, {128, 128}, random, 1024);
    const auto fits = transform.lengths(raw, random), next = transform.lengths(raw + 1, random);
    CHECK((fits.input <= 128 && fits.target <= 128 && (next.input > 128 || next.target > 128)));
    CHECK(fits.input >= 127);
  }
}

TEST_CASE("denoise's loss is the mean cross entropy of each target token given the source and those before it") {
  Fixture f(testing::registry(), spec({{"rate", 0.3}}, at::kDouble));
  auto groups = texts(5, 6, 20);
  const double found = f.accumulate({f.load(groups)});
  CHECK(f.passes == std::map<std::string, int>{{"primary", 2}});
  const at::NoGradGuard quiet;
  const auto& model = f.model("primary");
  const auto& w = f.weights("primary").values;
  double nats = 0, count = 0;
  for (auto& group : groups) {
    auto random = RandomStreams(1, "input").stream(0, static_cast<std::uint64_t>(group[0].group_id));
    f.transform()->apply(group, random);
    const auto &source = group[0].ints("source_ids").data, &target = group[0].ints("target_ids").data;
    const auto memory = model.forward(w, {.ids = ops::tensor(source).unsqueeze(0)}, {.tokens = true}).tokens;
    Ids before{kEnd};
    for (const auto id : target) {
      const auto hidden = model
                              .forward(w, {.ids = ops::tensor(before).unsqueeze(0), .causal = true, .memory = memory},
                                       {.tokens = true})
                              .tokens;
      nats -= model.logits(w, hidden[0][std::ssize(before) - 1]).log_softmax(-1)[id].item<double>(), ++count;
      before.push_back(id);
    }
  }
  CHECK(std::abs(found - nats / count) < 1e-12);
}

TEST_CASE("denoise keeps the promises of objectives, and learning lowers its loss") {
  auto model = spec({}).model;
  CHECK(testing::check_objective(testing::registry(), {{"type", "denoise"}, {"rate", 0.4}}, {model}).empty());
  Fixture f(testing::registry(), spec({}));
  const auto batch = f.load(texts(16, 10, 40));
  const double before = f.accumulate({batch});
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before);
}

TEST_CASE("denoise says what does not fit") {
  CHECK_THROWS_WITH(Fixture(testing::registry(), spec({{"rate", 1.0}})), ContainsSubstring("`rate` is 1"));
  CHECK_THROWS_WITH(Fixture(testing::registry(), spec({{"span", 0}})), ContainsSubstring("`span` is 0"));
  Fixture f(testing::registry(), spec({{"mode", "X"}, {"rate", 0.5}, {"span", 1}}));
  auto group = texts(1, 202, 202)[0];
  CHECK_THROWS_WITH(corrupt(*f.transform(), group),
                    ContainsSubstring("a text of 202 tokens gives 101 spans, there are 100 sentinels"));
  auto without = spec({});
  std::erase_if(without.reserved, [](const auto& one) { return one.first.starts_with("sentinel."); });
  CHECK_THROWS_WITH(Fixture(testing::registry(), without), ContainsSubstring("no id is reserved for `sentinel`"));
}

TEST_CASE("denoise runs from a recipe: what the tokenizer adds is no part of it, inputs and targets both fit") {
  const std::string rate = GENERATE("0.5", "0.8");  // at 0.8 the target is longer than the input
  testing::RecipeRun project;
  project.put("en.txt", testing::planted_text(20, 1, 60));
  project.run(R"(
recipe  = 1
name    = "ul2"
threads = 1
[dataset.prose]
type  = "text"
files = ["en.txt"]
split = { dev = 0.2, test = 0.0 }
[model.small]
type           = "transformer"
kind           = "encoder_decoder"
layers         = 1
decoder_layers = 1
width          = 8
heads          = 2
max_time       = 16
[stage.tokens]
type    = "train_tokenizer"
method  = { type = "wordpiece", vocab_size = 160, min_count = 1 }
corpus  = "prose"
reserve = { sentinel = 100, mode = 3 }
[stage.pretrain]
type      = "train"
model     = "small"
tokenizer = "tokens"
data      = "prose"
batch     = { tokens = 200 }
stop      = "5 steps"
objective = { type = "denoise", mode = "X", span = 3, rate = )" +
              rate + " }\n");
  const auto counters = project.record("pretrain").counters;
  CHECK(counters.steps == 5);
  CHECK(counters.supervised_tokens > 0);
}

}  // namespace denoise_test
