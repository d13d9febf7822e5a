#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <sstream>

namespace probe_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

using Documents = std::vector<Document>;
using Splits = std::map<std::string, Documents>;

class SplitContext final : public EvaluationContext {
 public:
  SplitContext(const Splits& splits, const Encoder& encoder, std::size_t per_batch)
      : splits_(splits), encoder_(encoder), per_batch_(per_batch) {}
  std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& request) override {
    CHECK_FALSE(request.windows);
    return std::make_unique<ListReader>(splits_.at(data.split), encoder_, request, per_batch_);
  }
  std::shared_ptr<const DataSource> documents(const Reference& data) override {
    class Source final : public DataSource {
     public:
      explicit Source(Documents documents) : documents_(std::move(documents)) {}
      void for_each(const std::function<void(const Document&)>& visit) const override {
        for (const auto& one : documents_) visit(one);
      }
      std::string fingerprint() const override { return "given"; }

     private:
      Documents documents_;
    };
    return std::make_shared<Source>(splits_.at(data.split));
  }
  const RandomStreams& random() const override { return random_; }
  Recorder& recorder() override { return kept; }
  Kept kept;

 private:
  const Splits& splits_;
  const Encoder& encoder_;
  std::size_t per_batch_;
  RandomStreams random_{0};
};

/// The numbers of a text are its features.
class Numbers final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  ForwardOutput encode(const Batch& batch, const ForwardRequest& want) override {
    if (want.tokens || want.layers || want.pooling != pooling || want.view.layers != layer)
      throw Error("another output is asked for");
    std::vector<double> all;
    for (const auto& text : batch.strings("text")) {
      std::istringstream in(text);
      for (double x = 0; in >> x;) all.push_back(x);
    }
    ForwardOutput out;
    out.pooled = xp::ops::tensor(all, at::kDouble).view({batch.items(), -1}).to(at::kFloat);
    return out;
  }
  Pooling pooling = Pooling::mean;
  std::int64_t layer = 0;
};

Document item(const std::string& features, const std::string& label) {
  static int next = 0;
  auto out = text_document("d" + std::to_string(next++), features);
  out.fields["label"] = label;
  return out;
}

Kept probed(Table settings, Handle& model, const Splits& splits, std::size_t per_batch = 3) {
  settings["type"] = "probe";
  for (const auto& [field, split] :
       std::map<std::string, std::string>{{"train", "train"}, {"dev", "dev"}, {"data", "test"}})
    settings[field] = Value(Reference{.text = "set:" + split, .kind = "dataset", .split = split});
  SplitContext context(splits, *model.tokenizer(), per_batch);
  testing::registry().make<Evaluator>(settings)->evaluate(model, context);
  return context.kept;
}

Table kind(const char* name, double value) { return {{"kind", name}, {"grid", List{Value(value)}}}; }

/// Three items of class a at -1 and one of class b at 3: mean 0, variance 3.
Documents uneven() { return {item("-1", "a"), item("-1", "a"), item("3", "b"), item("-1", "a")}; }

/// The place where the decision turns is between `x` less and more a hundredth.
void check_border(const Table& settings, Handle& model, double x) {
  const Documents test = {item(std::to_string(x - 0.01), "a"), item(std::to_string(x + 0.01), "b"),
                          item(std::to_string(x + 0.01), "a")};
  for (const std::size_t per_batch : {1u, 2u, 9u}) {
    const auto kept = probed(settings, model, {{"train", uneven()}, {"dev", uneven()}, {"test", test}}, per_batch);
    CHECK(kept.items.at(test[0].id).at("accuracy") == 1);
    CHECK(kept.items.at(test[1].id).at("accuracy") == 1);
    CHECK(kept.items.at(test[2].id).at("accuracy") == 0);
    CHECK(kept.metrics.at("accuracy") == Approx(2.0 / 3));
  }
}

TEST_CASE("probe: the border of ridge regression lies where the penalty puts it") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  // The indicator of b has mean 1/4 and covariance sqrt(3)/4 with z = x / sqrt(3): 1/4 + sqrt(3)/4 z / (1 + penalty)
  // is one half at x = 1 + penalty.
  for (const double penalty : {0.001, 0.5, 4.0}) check_border(kind("ridge", penalty), model, 1 + penalty);
}

TEST_CASE("probe: the border of logistic regression is that of plain gradient descent") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  for (const double penalty : {0.01, 0.3}) {
    // Two opposite rows of weights, u / 2 and -u / 2, have half of u's square.
    double u = 0, b = 0;
    for (int step = 0; step < 200000; ++step) {
      double du = penalty * u / 2, db = 0;
      for (const auto& [x, y] : {std::pair(-1.0, 0.75), std::pair(3.0, 0.25)}) {
        const double z = x / std::sqrt(3.0), p = 1 / (1 + std::exp(-(b + u * z)));
        du += y * (p - (x > 0)) * z, db += y * (p - (x > 0));
      }
      u -= 0.5 * du, b -= 0.5 * db;
    }
    check_border(kind("logistic", penalty), model, -b / u * std::sqrt(3.0));
  }
}

TEST_CASE("probe: nearest neighbours vote by cosine, length does not matter, the nearer class wins a tie") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  const auto at = [](double degrees, double length = 1) {
    const double angle = degrees * std::acos(-1.0) / 180;
    return std::to_string(length * std::cos(angle)) + " " + std::to_string(length * std::sin(angle));
  };
  const Documents train = {item(at(0), "a"), item(at(20, 50), "b"), item(at(30), "b"), item(at(90), "c")};
  const auto right = [&](double k, double degrees, const char* label) {
    const Documents test = {item(at(degrees, 7), label)};
    return probed(kind("knn", k), model, {{"train", train}, {"dev", train}, {"test", test}}).metrics.at("accuracy");
  };
  CHECK(right(1, 5, "a") == 1);
  CHECK(right(3, 5, "b") == 1);
  CHECK(right(2, 8, "a") == 1);  // one vote for a at 8 degrees, one for b at 12
  CHECK(right(2, 12, "b") == 1);
  CHECK(right(100, 90, "b") == 1);  // all vote
}

TEST_CASE("probe: dev chooses from the grid; among equals the larger penalty wins") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  const auto accuracy = [&](const char* at, const char* label) {
    const Documents test = {item("2", "b")}, dev = {item(at, label)};
    return probed({{"kind", "ridge"}, {"grid", List{0.5, 2.0}}}, model,
                  {{"train", uneven()}, {"dev", dev}, {"test", test}})
        .metrics.at("accuracy");
  };
  CHECK(accuracy("2", "b") == 1);  // borders at 1.5 and 3
  CHECK(accuracy("2", "a") == 0);
  CHECK(accuracy("10", "b") == 0);
}

TEST_CASE("probe: shuffled labels teach nothing, the majority is that of training") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  auto random = RandomStreams(5).stream();
  const auto many = [&](int n) {
    Documents out;
    for (int i = 0; i < n; ++i) {
      std::string features;
      double first = 0;
      for (int d = 0; d < 20; ++d) {
        const double x = random.uniform() - 0.5;
        if (d == 0) first = x;
        features += std::to_string(x) + " ";
      }
      out.push_back(item(features, first > 0.2 ? "yes" : "no"));
    }
    return out;
  };
  const Splits splits = {{"train", many(400)}, {"dev", many(100)}, {"test", many(400)}};
  double yes = 0;
  for (const auto& one : splits.at("test")) yes += one.fields.at("label") == "yes" ? 1.0 / 400 : 0;
  for (const char* name : {"logistic", "ridge"}) {
    const auto kept = probed({{"kind", name}}, model, splits, 100);
    CHECK(kept.metrics.at("majority") == Approx(1 - yes));
    CHECK(kept.metrics.at("accuracy") > 0.9);
    CHECK(kept.metrics.at("shuffled_labels") < 0.75);
    CHECK(kept.items.size() == 400);
    for (const char* metric : {"accuracy", "shuffled_labels", "majority"}) {
      double mean = 0;
      for (const auto& [id, columns] : kept.items) mean += columns.at(metric) / 400;
      CHECK(mean == Approx(kept.metrics.at(metric)));
      CHECK((kept.signatures.at(metric) == MetricSignature{"share", "", "set:test", "1"}));
    }
  }
}

TEST_CASE("probe: ties and labels that training does not have count as wrong") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  const Documents same = {item("1 1", "a"), item("1 1", "b")},
                  uneven_same = {item("1 1", "a"), item("1 1", "a"), item("1 1", "b")};
  const Documents test = {item("1 1", "a"), item("1 1", "b"), item("1 1", "new")};
  for (const auto& settings : {kind("logistic", 1), kind("ridge", 1), kind("knn", 2)}) {
    const auto kept = probed(settings, model, {{"train", same}, {"dev", same}, {"test", test}});
    CHECK(kept.metrics.at("accuracy") == 0);
    CHECK(kept.metrics.at("majority") == Approx(1.0 / 3));
  }
  for (const auto& settings : {kind("logistic", 1), kind("ridge", 1), kind("knn", 3)}) {
    const auto kept = probed(settings, model, {{"train", uneven_same}, {"dev", same}, {"test", test}});
    CHECK(kept.metrics.at("accuracy") == Approx(1.0 / 3));
  }
}

TEST_CASE("probe: pooling and layer are what the model is asked for") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  model.pooling = Pooling::first, model.layer = 2;
  const Splits splits = {{"train", uneven()}, {"dev", uneven()}, {"test", uneven()}};
  CHECK(probed({{"pooling", "first"}, {"layer", 2}}, model, splits).metrics.at("accuracy") == 1);
  CHECK_THROWS_WITH(probed({{"layer", 4}}, model, splits), ContainsSubstring("`layer` is 4, the model has 3 layers"));
}

TEST_CASE("probe: what it cannot fit is refused") {
  const PieceEncoder encoder(1, 64);
  Numbers model(encoder);
  const auto fails = [&](const Documents& train, const std::string& why, const Table& settings = {}) {
    CHECK_THROWS_WITH(probed(settings, model, {{"train", train}, {"dev", uneven()}, {"test", uneven()}}),
                      ContainsSubstring(why));
  };
  fails({item("1", "a"), item("2", "a")}, "documents of `set:train` all have the same `label`");
  fails({text_document("bare", "1")}, "document `bare` of `set:train` has no field `label`");
  fails({}, "`set:train` has no documents");
  fails({item("1e39", "a"), item("2", "b")}, "outputs for `set:train` are no finite numbers");
  fails(uneven(), "holds whole numbers, found 1.5", kind("knn", 1.5));
}

}  // namespace probe_test
