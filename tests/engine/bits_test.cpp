#include "training.h"

#include <c10/core/GradMode.h>

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <numbers>

#include "kit/tensors.h"

// Bits per byte computed anew, one text at a time and without padding, from the definition: nats of the tokens, over
// ln 2, over UTF-8 bytes.
namespace xp::engine_test {
namespace {

using Catch::Approx;
using fixture::kBegin, fixture::kEnd, fixture::kMask;

constexpr std::size_t kRoom = 14;  // of windows of 16 tokens, begin and end taken off

/// A trained model ready to be measured.
struct Subject {
  Stage& stage;
  Session session;
  const c10::AutoGradMode quiet{false};

  Subject(Stage& of, const Checkpoint& checkpoint)
      : stage(of),
        session(testing::registry(), RandomStreams(1),
                {.encoder = of.encoder, .artifact = {}, .checkpoints = {}, .categories = {}}, at::kFloat) {
    session.add_model("primary", {}, &checkpoint, true);
    session.refresh();
  }

  std::map<std::string, double> measured(const std::string& evaluator, Table settings) {
    settings["type"] = evaluator, settings["data"] = Value(stage.data);
    Notes notes;
    const auto handle = session.handle();
    const auto context =
        evaluation_context(stage.pool(), handle->shape().max_time, stage.encoder, {}, RandomStreams(1), notes);
    testing::registry().make<Evaluator>(settings)->evaluate(*handle, *context);
    return notes.finals;
  }

  /// log p of every token of the vocabulary at every position: [time, classes], float64.
  at::Tensor log_probabilities(const std::vector<std::int64_t>& ids) {
    const auto& model = session.model("primary");
    const auto row = tensor_of(ids).unsqueeze(0);
    const auto hidden = model.model->forward(model.active, {.ids = row}, {.tokens = true}).tokens[0];
    return model.model->logits(model.active, hidden).to(at::kDouble).log_softmax(-1);
  }

  std::vector<std::vector<std::int64_t>> windows(const std::string& text) const {
    std::vector<std::vector<std::int64_t>> out;
    const auto tokens = stage.encoder->encode(text);
    for (std::size_t at = 0; at < tokens.size(); at += kRoom) {
      auto& ids = out.emplace_back(1, kBegin);
      for (std::size_t i = at; i < std::min(at + kRoom, tokens.size()); ++i) ids.push_back(tokens[i].id);
      ids.push_back(kEnd);
    }
    return out;
  }
};

/// Words of one to six bytes, some beyond ASCII, in texts of one to thirty words.
std::vector<std::string> sentences() {
  RandomStream stream(11);
  const std::vector<std::string> words{"a", "ship", "é", "waves", "ñandú", "to", "harbor", "дом"};
  std::vector<std::string> out;
  for (int i = 0; i < 25; ++i) {
    std::string text;
    for (auto n = 1 + stream.below(30); n > 0; --n)
      text += (text.empty() ? "" : " ") + words[static_cast<std::size_t>(stream.below(8))];
    out.push_back(text);
  }
  return out;
}

TEST_CASE("bits_per_byte of a trained causal model is what one computes from its log-probabilities") {
  const auto texts = sentences();
  Stage stage(texts);
  auto request = stage.request("40 steps", {{"type", "causal_lm"}}, {{"layers", 2}});
  request.optimizer = testing::registry().make<Optimizer>({{"type", "adamw"}, {"lr", 0.01}});
  Subject subject(stage, stage.run(std::move(request)).checkpoint);
  double nats = 0, bytes = 0, tokens = 0;
  for (const auto& text : texts) {
    bytes += static_cast<double>(text.size());
    for (const auto& ids : subject.windows(text)) {
      const auto log_p = subject.log_probabilities(ids);
      for (std::size_t t = 1; t < ids.size(); ++t)
        nats -= log_p[static_cast<std::int64_t>(t) - 1][ids[t]].item<double>(), ++tokens;
    }
  }
  const auto measured = subject.measured("bits_per_byte", {});
  CHECK(measured.at("bits") == Approx(nats / std::numbers::ln2 / bytes).epsilon(1e-6));
  CHECK(measured.at("nats_per_token") == Approx(nats / tokens).epsilon(1e-6));
  CHECK(measured.at("bits") < 5.5);  // it has learnt something: 6 bits would be a guess among 64
}

TEST_CASE("pseudo_likelihood of a trained masked model is what one computes by hiding the same words") {
  const auto texts = sentences();
  Stage stage(texts);
  auto request = stage.request("40 steps", {{"type", "mlm"}}, {{"kind", "encoder"}, {"layers", 2}});
  request.optimizer = testing::registry().make<Optimizer>({{"type", "adamw"}, {"lr", 0.01}});
  Subject subject(stage, stage.run(std::move(request)).checkpoint);
  constexpr double kRate = 0.3;
  double nats = 0, bytes = 0, tokens = 0;
  for (const auto& document : stage.pool().corpus(stage.data)->documents) {
    // Words stand between blanks; each is hidden by a draw keyed by the document's id and the word's first byte.
    std::vector<bool> hidden(document.text.size());
    const auto draws = RandomStreams(0, "hidden word").child(document.id);
    for (std::size_t begin = 0, end = 0; begin < document.text.size(); begin = end + 1) {
      end = std::min(document.text.find(' ', begin), document.text.size());
      if (draws.stream(0, begin).uniform() >= kRate) continue;
      bytes += static_cast<double>(end - begin);
      std::fill(hidden.begin() + static_cast<std::ptrdiff_t>(begin),
                hidden.begin() + static_cast<std::ptrdiff_t>(end), true);
    }
    std::size_t byte = 0;  // a token is a byte
    for (const auto& ids : subject.windows(document.text)) {
      auto masked = ids;
      for (std::size_t t = 1; t + 1 < ids.size(); ++t)
        if (hidden[byte + t - 1]) masked[t] = kMask;
      const auto log_p = subject.log_probabilities(masked);
      for (std::size_t t = 1; t + 1 < ids.size(); ++t)
        if (hidden[byte + t - 1]) nats -= log_p[static_cast<std::int64_t>(t)][ids[t]].item<double>(), ++tokens;
      byte += ids.size() - 2;
    }
  }
  REQUIRE(bytes > 100);
  const auto measured = subject.measured("pseudo_likelihood", {{"rate", kRate}});
  CHECK(measured.at("bits") == Approx(nats / std::numbers::ln2 / bytes).epsilon(1e-6));
  CHECK(measured.at("nats_per_token") == Approx(nats / tokens).epsilon(1e-6));
  CHECK(measured.at("unknown") == 0);
}

}  // namespace
}  // namespace xp::engine_test
