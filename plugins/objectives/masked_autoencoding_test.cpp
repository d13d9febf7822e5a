#include <c10/core/GradMode.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <set>

#include "api/ops.h"
#include "kit/torch_losses.h"
#include "kit/torch_operators.h"
#include "testing/testing.h"
#include "testing/torch_fixture.h"

namespace masked_autoencoding_test {

using Catch::Matchers::ContainsSubstring;
using xp::List, xp::Table;
using xp::testing::Fixture;
using xp::testing::FixtureSpec;
using xp::testing::random_texts;

Table restore(Table more = {}) {
  more.insert_or_assign("type", "masked_autoencoding");
  return more;
}
Table both(Table more = {}, double encoder_rate = 0.2) {
  const Table mask{{"type", "mlm"}, {"mask_rate", encoder_rate}};
  return {{"type", "sum"}, {"share", "pass"}, {"terms", List{mask, restore(std::move(more))}}};
}

FixtureSpec spec(Table objective, at::ScalarType type = at::kFloat) {
  FixtureSpec s;
  s.reserved = {{"mask", 3}};
  s.model = {{"type", "transformer"}, {"layers", 2}, {"width", 16}, {"heads", 2}, {"max_time", 64}, {"init_sd", 0.2}};
  s.objective = std::move(objective);
  s.optimizer = {{"type", "adamw"}};
  s.type = type;
  return s;
}

/// Of one item: tokens that may be hidden, those that the encoder does not see, those that the decoder does not.
struct Seen {
  std::set<std::int64_t> all, encoder, decoder;
};
std::vector<Seen> seen(const xp::Batch& batch) {
  const auto &mask = batch.dense("input.mask"), &after = batch.dense("decoder_labels");
  std::vector<Seen> out;
  for (std::int64_t i = 0; i < batch.items(); ++i) {
    auto& one = out.emplace_back();
    for (std::int64_t t = 1; t < mask.size(1) && mask[i][t].item<bool>(); ++t) {
      one.all.insert(t);
      if (batch.has("labels") && batch.dense("labels")[i][t].item<std::int64_t>() >= 0) one.encoder.insert(t);
      if (after[i][t].item<std::int64_t>() >= 0) one.decoder.insert(t);
    }
  }
  return out;
}

TEST_CASE("masked_autoencoding hides its rate from the decoder, what the encoder misses among it") {
  Fixture f(xp::testing::registry(), spec(both({{"mask_rate", 0.4}})));
  const auto batch = f.load(random_texts(spec({}), 150, 1, 7, 40));
  double expected = 0, variance = 0, found = 0, alike = 0;
  for (const auto& item : seen(batch)) {
    const double n = static_cast<double>(item.all.size()), h = static_cast<double>(item.encoder.size());
    const double more = std::max((0.4 - h / n) / (1 - h / n), 0.0);
    expected += h + (n - h) * more, variance += (n - h) * more * (1 - more);
    found += static_cast<double>(item.decoder.size());
    alike += item.decoder == item.encoder;
    CHECK(std::includes(item.decoder.begin(), item.decoder.end(), item.encoder.begin(), item.encoder.end()));
  }
  CHECK(std::abs(found - expected) < 3 * std::sqrt(variance));
  CHECK(std::abs(found / (150 * 39) - 0.4) < 0.03);
  CHECK(alike < 5);
  const auto &ids = batch.dense("ids"), &labels = batch.dense("decoder_labels"), &now = batch.dense("decoder_ids");
  const auto hidden = labels.ge(0);
  CHECK(labels.eq(ids).logical_or(hidden.logical_not()).all().item<bool>());
  CHECK(now.eq(ids.masked_fill(hidden, 3)).all().item<bool>());
  CHECK(labels.select(1, 0).eq(-1).all().item<bool>());
}

TEST_CASE("masked_autoencoding leaves alone what is not text or not to be masked, and hides whole words") {
  auto s = spec(restore({{"mask_rate", 0.5}, {"whole_words", true}}));
  s.dataset_fields.push_back({"word", "input", -1}), s.dataset_fields.push_back({"maskable", "input", 0});
  Fixture f(xp::testing::registry(), s);
  auto texts = random_texts(s, 60, 1, 7, 31);
  for (auto& group : texts) {
    auto& item = group[0];
    xp::Ints word, maskable;
    for (std::int64_t t = 0; t < 31; ++t) word.data.push_back((t - 1) / 3), maskable.data.push_back(t < 25);
    item.ints("ids").data[4] = 5;  // stands for no text
    item.fields["word"] = word, item.fields["maskable"] = maskable;
  }
  const auto labels = f.load(texts).dense("decoder_labels").ge(0);
  CHECK_FALSE(labels.select(1, 4).any().item<bool>());
  CHECK_FALSE(labels.slice(1, 25).any().item<bool>());
  double words = 0;
  for (std::int64_t i = 0; i < 60; ++i)
    for (std::int64_t w = 2; w < 8; ++w) {  // tokens 3 w + 1 to 3 w + 3
      const auto hidden = labels[i].narrow(0, 3 * w + 1, 3).sum().item<std::int64_t>();
      CHECK((hidden == 0 || hidden == 3));
      words += hidden > 0;
    }
  CHECK(std::abs(words / 360 - 0.5) < 3 * std::sqrt(0.25 / 360));
}

TEST_CASE("masked_autoencoding restores the text from one vector with the encoder's tables and head") {
  Fixture f(xp::testing::registry(), spec(both(), at::kDouble));
  const auto batch = f.load(random_texts(spec({}), 6));
  f.accumulate({batch});
  CHECK(f.passes == std::map<std::string, int>{{"decoder", 1}, {"primary", 1}});
  const at::NoGradGuard quiet;
  const auto &w = f.weights("primary").values, &d = f.weights("decoder").values;
  const auto& mask = batch.dense("input.mask");
  const auto first = f.model("primary")
                         .forward(w, {.ids = batch.dense("masked_ids"), .mask = mask}, {.tokens = true})
                         .tokens.select(1, 0);
  const auto weight = [&](const char* name) { return f.all().values[f.all().find(name)]; };
  auto x = f.model("primary").embed(w, batch.dense("decoder_ids")).clone();
  x.select(1, 0).copy_(first.matmul(weight("objective/masked_autoencoding.lift").t()) +
                       weight("objective/masked_autoencoding.lift.bias"));
  const auto scores = f.model("primary").logits(
      w, f.model("decoder").forward(d, {.vectors = x, .mask = mask}, {.tokens = true}).tokens);
  const auto labels = batch.dense("decoder_labels");
  const auto nats = -scores.log_softmax(-1).gather(-1, labels.clamp_min(0).unsqueeze(-1)).squeeze(-1) * labels.ge(0);
  const double expected = (nats.sum() / labels.ge(0).sum()).item<double>();
  CHECK(std::abs(f.terms.at("masked_autoencoding.restore") - expected) < 1e-12);
}

TEST_CASE("masked_autoencoding owns a decoder that starts as the encoder's first layers and is left behind") {
  Fixture f(xp::testing::registry(), spec(restore({{"decoder_layers", 2}})));
  const auto &copy = f.weights("decoder"), &source = f.weights("primary");
  int copied = 0, shared = 0;
  for (xp::Param i = 0; i < copy.size(); ++i) {
    const auto& info = copy.info[i];
    const auto& from = source.values[source.find(info.name)];
    if (info.layer >= 0) {
      ++copied;
      CHECK(copy.values[i].equal(from));
      CHECK_FALSE(copy.values[i].is_same(from));
    }
    if (info.name.starts_with("embedding.")) {
      ++shared;
      CHECK(copy.values[i].is_same(from));
    }
    CHECK(info.lifetime == xp::Lifetime::pretrain_only);
  }
  CHECK((copied > 10 && shared == 2));
  for (const char* name : {"objective.lift", "objective.lift.bias"})
    CHECK(f.all().info[f.all().find(name)].lifetime == xp::Lifetime::pretrain_only);
  CHECK(f.exported().parameters.size() == source.size());
}

TEST_CASE("masked_autoencoding reaches the encoder's layers through the vector alone") {
  Fixture f(xp::testing::registry(), spec(restore()));
  const auto batch = f.load(random_texts(spec({}), 8));
  const auto moved = [&] {
    f.accumulate({batch});
    double most = 0;
    for (xp::Param i = 0; i < f.all().size(); ++i)
      if (const auto& g = f.all().values[i].grad(); f.all().info[i].name.starts_with("primary.layer.") && g.defined())
        most = std::max(most, g.abs().max().item<double>());
    return most;
  };
  CHECK(moved() > 0);
  {
    const at::NoGradGuard quiet;
    f.all().values[f.all().find("objective.lift")].zero_();
  }
  CHECK(moved() == 0);
}

TEST_CASE("masked_autoencoding splits, has the gradients of finite differences, and learns") {
  Fixture f(xp::testing::registry(), spec(both(), at::kDouble));
  const auto batch = f.load(random_texts(spec({}), 12));
  const double before = f.accumulate({batch});
  const auto exact = xp::testing::gradients(f);
  for (const int size : {4, 5}) {
    CHECK(std::abs(f.accumulate(xp::testing::split(batch, size)) - before) < 1e-12);
    CHECK(xp::testing::largest_difference(exact, xp::testing::gradients(f)) < 1e-12);
  }
  CHECK(xp::testing::gradient_error(f, batch, 2) < 1e-6);
  for (int i = 0; i < 20; ++i) f.accumulate({batch}), f.update();
  CHECK(f.accumulate({batch}) < before);
}

TEST_CASE("masked_autoencoding has a rate that a schedule moves") {
  Fixture f(xp::testing::registry(), spec(restore({{"mask_rate", 0.1}})));
  const auto share = [&] {
    const auto batch = f.load(random_texts(spec({}), 32));
    return batch.dense("decoder_labels").ge(0).sum().item<double>() / batch.dense("input.mask").sum().item<double>();
  };
  CHECK(share() < 0.2);
  f.set("mask_rate", 0.9);
  CHECK(share() > 0.7);
}

TEST_CASE("masked_autoencoding refuses to hide before the encoder's masking, and a decoder deeper than the encoder") {
  const Table wrong{{"type", "sum"}, {"terms", List{restore(), Table{{"type", "mlm"}, {"mask_rate", 0.3}}}}};
  Fixture f(xp::testing::registry(), spec(wrong));
  CHECK_THROWS_WITH(f.accumulate({f.load(random_texts(spec({}), 8))}),
                    ContainsSubstring("write it behind that term"));
  CHECK_THROWS_WITH(Fixture(xp::testing::registry(), spec(restore({{"decoder_layers", 3}}))),
                    ContainsSubstring("`decoder_layers` is 3, and the model has 2 layers"));
  CHECK_THROWS_WITH(Fixture(xp::testing::registry(), spec(restore({{"mask_rate", 1.5}}))),
                    ContainsSubstring("`mask_rate` must be from 0 to 1"));
}

}  // namespace masked_autoencoding_test
