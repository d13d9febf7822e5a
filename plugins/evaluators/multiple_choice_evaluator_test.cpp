#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>
#include <set>

namespace multiple_choice_evaluator_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

const Table kSettings = {{"type", "multiple_choice"}};

Document choice(std::string group, std::string text, std::string right) {
  static int next = 0;
  auto out = text_document("d" + std::to_string(next++), std::move(text));
  out.group = std::move(group), out.fields["right"] = std::move(right);
  return out;
}

/// A text's first letter is its score, times `sign`; "!" has none.
class Letters final : public TestHandle {
 public:
  Letters(const Encoder& encoder, double sign, std::int64_t width = 1)
      : TestHandle(encoder), sign_(sign), width_(width) {}
  bool can(std::string_view what) const override { return what == "predict"; }
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field != "right") throw Error("another field");
    auto out = ops::zeros({batch.items(), width_});
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto& text = batch.strings("text")[static_cast<std::size_t>(i)];
      seen.insert(batch.strings("group")[static_cast<std::size_t>(i)]);
      out[i].fill_(text[0] == '!' ? std::numeric_limits<double>::quiet_NaN() : sign_ * (text[0] - 'm'));
    }
    return out;
  }
  std::set<std::string> seen;

 private:
  double sign_;
  std::int64_t width_;
};

Kept chosen(std::vector<Document> documents, std::size_t per_batch = 3, double sign = 1, const Table& more = {}) {
  const PieceEncoder encoder(1, 64);
  Letters model(encoder, sign);
  auto settings = kSettings;
  for (const auto& [key, value] : more) settings[key] = value;
  return evaluated(settings, model, std::move(documents), per_batch);
}

std::string refused(std::vector<Document> documents) {
  try {
    chosen(std::move(documents));
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

/// Groups of two, three, five and two: the largest letter is right in the first, the third and the fourth.
std::vector<Document> scene() {
  return {choice("pair", "p one", "1"),    choice("pair", "b two", "0"), choice("three", "c", "1"),
          choice("three", "x", "0"),       choice("three", "a", "0"),    choice("five", "d", "0"),
          choice("five", "e", "0"),        choice("five", "f", "0"),     choice("five", "g", "0"),
          choice("five", "y last", "1.0"), choice("other", "k", " 0 "),  choice("other", "q", "1")};
}

TEST_CASE("multiple_choice: accuracy, chance and the gain over it of known scores, for any order of documents") {
  auto documents = scene();
  auto mixed = documents;  // members of a group in other batches
  for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = documents[i * 5 % documents.size()];
  const double chance = (1.0 / 2 + 1.0 / 3 + 1.0 / 5 + 1.0 / 2) / 4;
  for (const auto& order : {documents, mixed})
    for (const std::size_t per_batch : {1u, 4u, 100u}) {
      const auto kept = chosen(order, per_batch);
      CHECK(kept.metrics.at("accuracy") == Approx(3.0 / 4));
      CHECK(kept.metrics.at("chance") == Approx(chance));
      CHECK(kept.metrics.at("normalised") == Approx((0.75 - chance) / (1 - chance)));
      REQUIRE(kept.items.size() == 4);
      CHECK(kept.items.at("three").at("accuracy") == 0);
      CHECK(kept.items.at("five").at("accuracy") == 1);
      CHECK(kept.items.at("five").at("chance") == Approx(0.2));
      CHECK(kept.signatures.at("normalised") == MetricSignature{"share", {}, "set:test", "1"});
      for (const char* name : {"accuracy", "chance", "normalised"}) {
        double sum = 0;
        for (const auto& [group, item] : kept.items) sum += item.at(name) / 4;
        CHECK(sum == Approx(kept.metrics.at(name)));
      }
    }
}

TEST_CASE("multiple_choice: a head with the wrong sign is below chance") {
  const auto kept = chosen(scene(), 3, -1);
  CHECK(kept.metrics.at("accuracy") == 0);
  CHECK(kept.metrics.at("normalised") < -0.5);
}

TEST_CASE("multiple_choice: equal scores and scores that are no number count against the model") {
  const auto kept = chosen({choice("same", "p", "1"), choice("same", "p too", "0"), choice("same", "a", "0"),
                            choice("right is none", "!", "1"), choice("right is none", "a", "0"),
                            choice("wrong is none", "p", "1"), choice("wrong is none", "!", "0"),
                            choice("known", "p", "1"), choice("known", "a", "0"), choice("known", "a", "0")});
  CHECK(kept.metrics.at("accuracy") == 0.25);
  CHECK(kept.items.at("known").at("accuracy") == 1);
}

TEST_CASE("multiple_choice: scores that float32 does not tell apart are equal") {
  class Near final : public TestHandle {
   public:
    using TestHandle::TestHandle;
    at::Tensor predict(const Batch& batch, std::string_view) override {
      auto out = ops::zeros({batch.items(), 1}, at::kDouble);
      for (std::int64_t i = 0; i < batch.items(); ++i)
        out[i][0] = batch.strings("text")[static_cast<std::size_t>(i)] == "a" ? 40 + gap : 40.0;
      return out;
    }
    double gap = 0;
  };
  const PieceEncoder encoder(1, 64);
  Near model(encoder);
  for (const auto& [gap, right] : {std::pair(1e-5, 0.0), std::pair(1e-3, 1.0)}) {
    model.gap = gap;
    CHECK(evaluated(kSettings, model, {choice("g", "a", "1"), choice("g", "b", "0")}, 2).metrics.at("accuracy") ==
          right);
  }
}

/// The text before "|" asks, what follows is the choice.
class Cut final : public BatchReader {
 public:
  Cut(std::unique_ptr<BatchReader> plain, bool pairs) : plain_(std::move(plain)), pairs_(pairs) {}
  bool next(Batch& batch) override {
    if (!plain_->next(batch)) return false;
    auto second = ops::zeros(batch.dense("ids").sizes(), at::kLong);
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const auto bar = batch.strings("text")[static_cast<std::size_t>(i)].find('|');
      second[i].copy_(batch.dense("begin")[i].gt(static_cast<std::int64_t>(bar)).to(at::kLong));
    }
    if (pairs_) batch.set("segment", second);
    batch.group_id = batch.sample_id;
    return true;
  }
  void rewind() override { plain_->rewind(); }

 private:
  std::unique_ptr<BatchReader> plain_;
  bool pairs_;
};

class Context final : public EvaluationContext {
 public:
  Context(std::vector<Document> documents, const Encoder& encoder, bool pairs)
      : documents_(std::move(documents)), encoder_(encoder), pairs_(pairs) {}
  std::unique_ptr<BatchReader> read(const Reference&, const ReadRequest& request) override {
    CHECK_FALSE(request.windows);
    return std::make_unique<Cut>(std::make_unique<ListReader>(documents_, encoder_, request, 3), pairs_);
  }
  std::shared_ptr<const DataSource> documents(const Reference&) override { throw Error("not asked for"); }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  std::vector<Document> documents_;
  const Encoder& encoder_;
  bool pairs_;
  RandomStreams random_{0};
};

Kept read_by(Handle& model, const std::vector<Document>& documents, const Encoder& encoder, bool pairs,
             const Table& more = {}) {
  Context context(documents, encoder, pairs);
  auto settings = kSettings;
  settings["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  for (const auto& [key, value] : more) settings[key] = value;
  testing::registry().make<Evaluator>(settings)->evaluate(model, context);
  return context.kept;
}

TEST_CASE("multiple_choice: `most` takes whole groups, the same ones whatever their order, and asks about no other") {
  std::vector<Document> documents;
  for (int g = 0; g < 12; ++g)
    for (int c = 0; c < 3; ++c)
      documents.push_back(choice("g" + std::to_string(g), c == 1 ? "x" : "b", c == 1 ? "1" : "0"));
  const PieceEncoder encoder(1, 64);
  Letters model(encoder, 1);
  const auto kept = read_by(model, documents, encoder, true, {{"most", 5}});
  CHECK(kept.metrics.at("accuracy") == 1);
  CHECK(kept.metrics.at("chance") == Approx(1.0 / 3));
  REQUIRE(kept.items.size() == 5);
  CHECK(model.seen.size() == 5);
  std::reverse(documents.begin(), documents.end());
  CHECK(read_by(model, documents, encoder, true, {{"most", 5}}).items == kept.items);
  CHECK(model.seen.size() == 5);
}

/// Has no head. A token costs one nat if its letter is an "e", else three; only targets are asked for.
class Causal final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  bool can(std::string_view what) const override { return what == "score"; }
  std::vector<Score> score(const Batch& batch) override {
    const auto cost = batch.dense("ids").eq(kFirst + 'e' % 59).to(at::kDouble).mul(-2).add(3);
    const auto sums = cost.mul(batch.dense("target")).sum(1);
    std::vector<Score> out;
    for (std::int64_t i = 0; i < batch.items(); ++i) out.push_back({.nats = sums[i].item<double>()});
    return out;
  }
};

double by_likelihood(const std::vector<Document>& documents, bool pairs) {
  const PieceEncoder encoder(1, 64);
  Causal model(encoder);
  return read_by(model, documents, encoder, pairs).metrics.at("accuracy");
}

TEST_CASE("multiple_choice: a causal model without a head chooses by its likelihood per byte of the choice") {
  // Per byte of the choice "eeea" costs 1.5 and "ea" 2, whatever stands before; in all it costs more, 6 against 4.
  const std::vector<Document> documents = {choice("g", "aaaa|eeea", "1"), choice("g", "eeee|ea", "0"),
                                           choice("h", "eeee|aa", "0"), choice("h", "a|ea", "1")};
  CHECK(by_likelihood(documents, true) == 1);
  // As one text, the first of each group costs 2.3 a byte against 1.6 of the other.
  CHECK(by_likelihood({documents[0], documents[1]}, false) == 0);
}

TEST_CASE("multiple_choice: data without one right text in each group are refused") {
  CHECK_THAT(refused({choice("g", "a", "0"), choice("g", "b", "0")}),
             ContainsSubstring("group `g` of `set:test` has 2 documents, 0 of them right by field `right`"));
  CHECK_THAT(refused({choice("g", "a", "1"), choice("g", "b", "1"), choice("g", "c", "0")}),
             ContainsSubstring("has 3 documents, 2 of them right"));
  CHECK_THAT(refused({choice("g", "a", "1")}), ContainsSubstring("has 1 document, 1 of them right"));
  CHECK_THAT(refused({choice("g", "a", "yes"), choice("g", "b", "0")}),
             ContainsSubstring("of `set:test` is `yes`; it is 1 for a right choice, else 0"));
  CHECK_THAT(refused({choice("g", "a", "2"), choice("g", "b", "0")}), ContainsSubstring("is `2`; it is 1"));
  CHECK_THAT(refused({text_document("d", "a"), text_document("e", "b")}), ContainsSubstring("no field `right`"));
  CHECK_THAT(refused({}), ContainsSubstring("has no documents"));
}

TEST_CASE("multiple_choice: models that do not choose are refused") {
  class Neither final : public TestHandle {
   public:
    using TestHandle::TestHandle;
    bool can(std::string_view) const override { return false; }
  };
  const PieceEncoder encoder(1, 64);
  Neither model(encoder);
  CHECK_THROWS_WITH(evaluated(kSettings, model, scene(), 3), ContainsSubstring("neither chooses nor scores text"));
  Letters wide(encoder, 1, 2);
  CHECK_THROWS_WITH(evaluated(kSettings, wide, scene(), 3), ContainsSubstring("another shape than [items, 1]"));
}

}  // namespace multiple_choice_evaluator_test
