#include <c10/core/GradMode.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>

#include "api/ops.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"
#include "testing/toy_encoder.h"

namespace denoise_handle_test {

using namespace xp;
using Catch::Matchers::ContainsSubstring;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kEnd = 4, kMode = 5, kSentinel = 8;

FixtureSpec spec() {
  FixtureSpec s;
  s.vocab = 200, s.first_text = 140, s.type = at::kDouble;
  s.reserved = {{"end", kEnd}, {"mode.0", kMode}, {"mode.1", kMode + 1}, {"mode.2", kMode + 2}};
  for (int i = 0; i < 8; ++i) s.reserved["sentinel." + std::to_string(i)] = kSentinel + i;
  s.model = {{"type", "transformer"}, {"kind", "encoder_decoder"},
             {"layers", 1},           {"decoder_layers", 1},
             {"width", 16},           {"heads", 2},
             {"max_time", 64},        {"init_sd", 0.5}};
  s.objective = {{"type", "denoise"}, {"mode", "S"}, {"prefix", true}};
  return s;
}

/// A model's handle with a tokenizer.
class Reading final : public Handle {
 public:
  Reading(Handle& plain, const Encoder& encoder) : plain_(plain), encoder_(encoder) {}
  const Encoder* tokenizer() const override { return &encoder_; }
  ModelShape shape() const override { return plain_.shape(); }
  bool can(std::string_view what) const override { return plain_.can(what); }
  bool has(std::string_view capability) const override { return plain_.has(capability); }
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override { return plain_.encode(batch, want); }
  at::Tensor logits(const at::Tensor& hidden) override { return plain_.logits(hidden); }
  std::vector<Score> score(const Batch& batch) override { return plain_.score(batch); }
  Strings generate(const Batch& batch, const Table& sampling, RandomStream random) override {
    return plain_.generate(batch, sampling, random);
  }
  at::Tensor predict(const Batch& batch, std::string_view field) override { return plain_.predict(batch, field); }
  const Strings& categories(std::string_view field) const override { return plain_.categories(field); }

 private:
  Handle& plain_;
  const Encoder& encoder_;
};

TEST_CASE("denoise's handle scores the marked tokens behind their sentinels, given the rest and the mode") {
  Fixture f(testing::registry(), spec());
  auto batch = f.load(random_texts(spec(), 4));
  const at::NoGradGuard quiet;
  const auto& model = f.model("primary");
  const auto& w = f.weights("primary").values;
  const auto nats = [&](const Ids& source, const Ids& target, const Ids& asked) {
    const auto memory = model.forward(w, {.ids = ops::tensor(source).unsqueeze(0)}, {.tokens = true}).tokens;
    Ids before{kEnd};
    before.insert(before.end(), target.begin(), target.end() - 1);
    const auto hidden =
        model
            .forward(w, {.ids = ops::tensor(before).unsqueeze(0), .causal = true, .memory = memory}, {.tokens = true})
            .tokens;
    const auto scores = model.logits(w, hidden[0]).log_softmax(-1);
    double sum = 0;
    for (const auto t : asked) sum -= scores[t][target[static_cast<std::size_t>(t)]].item<double>();
    return sum;
  };
  auto target = batch.dense("ids").new_zeros(batch.dense("ids").sizes());
  target.narrow(1, 2, 2).fill_(1), target.narrow(1, 5, 1).fill_(1);
  const auto plain = f.handle()->score(batch);  // all tokens but the first
  batch.set("target", target);
  const auto handle = f.handle();
  CHECK((handle->can("score") && !handle->can("generate")));
  const auto scores = handle->score(batch);
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const auto length = batch.dense("input.mask")[i].sum().item<std::int64_t>();
    const auto id = [&](std::int64_t t) { return batch.dense("ids")[i][t].item<std::int64_t>(); };
    Ids source{kMode + 1, id(0), id(1), kSentinel, id(4), kSentinel + 1};
    for (std::int64_t t = 6; t < length; ++t) source.push_back(id(t));
    source.push_back(kEnd);
    const double expected = nats(source, {kSentinel, id(2), id(3), kSentinel + 1, id(5)}, {1, 2, 4});
    const auto& score = scores.at(static_cast<std::size_t>(i));
    CHECK(std::abs(score.nats - expected) < 1e-9);
    CHECK(score.tokens == 3);
    Ids all{kSentinel}, asked;
    for (std::int64_t t = 1; t < length; ++t) all.push_back(id(t)), asked.push_back(t);
    const auto& whole = plain.at(static_cast<std::size_t>(i));
    CHECK(std::abs(whole.nats - nats({kMode + 1, id(0), kSentinel, kEnd}, all, asked)) < 1e-9);
    CHECK(whole.tokens == length - 1);
  }
}

TEST_CASE("denoise's handle writes what the model finds likeliest behind the sentinel, or draws it") {
  Fixture f(testing::registry(), spec());
  std::vector<std::string> words;
  for (int i = 5; i < 200; ++i) words.push_back("w" + std::to_string(i));
  const testing::ToyEncoder encoder(words);
  const auto plain = f.handle();
  Reading reading(*plain, encoder);
  const auto handle = f.objective().handle(std::shared_ptr<StepContext>(&f.context(), [](StepContext*) {}), reading);
  const auto batch = f.load(random_texts(spec(), 6));
  const auto greedy = handle->generate(batch, {{"max_tokens", 5}}, RandomStream(1));
  const at::NoGradGuard quiet;
  const auto& model = f.model("primary");
  const auto& w = f.weights("primary").values;
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    const auto length = batch.dense("input.mask")[i].sum().item<std::int64_t>();
    Ids source{kMode + 1};
    for (std::int64_t t = 0; t < length; ++t) source.push_back(batch.dense("ids")[i][t].item<std::int64_t>());
    source.push_back(kSentinel), source.push_back(kEnd);
    const auto memory = model.forward(w, {.ids = ops::tensor(source).unsqueeze(0)}, {.tokens = true}).tokens;
    Ids before{kEnd, kSentinel};
    std::string text;
    for (int n = 0; n < 5; ++n) {
      const auto hidden = model
                              .forward(w, {.ids = ops::tensor(before).unsqueeze(0), .causal = true, .memory = memory},
                                       {.tokens = true})
                              .tokens;
      const auto best = model.logits(w, hidden[0][std::ssize(before) - 1]).argmax().item<std::int64_t>();
      if (best < 5) break;  // reserved
      text += (text.empty() ? "w" : " w") + std::to_string(best);
      before.push_back(best);
    }
    CHECK(greedy.at(static_cast<std::size_t>(i)) == text);
  }
  const Table hot{{"max_tokens", 5}, {"temperature", 5.0}};
  CHECK(handle->generate(batch, hot, RandomStream(1)) == handle->generate(batch, hot, RandomStream(1)));
  CHECK(handle->generate(batch, hot, RandomStream(1)) != handle->generate(batch, hot, RandomStream(2)));
  const auto one = batch.select(ops::tensor({std::int64_t{3}}));  // the batch it stands in changes nothing
  CHECK(handle->generate(one, hot, RandomStream(1)).at(0) == handle->generate(batch, hot, RandomStream(1)).at(3));
  CHECK_THROWS_WITH(handle->generate(batch, {{"top_z", 0.5}}, RandomStream(1)),
                    ContainsSubstring("sampling cannot have `top_z` = 0.5"));
}

}  // namespace denoise_handle_test
