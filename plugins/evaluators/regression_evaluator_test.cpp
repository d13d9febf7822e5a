#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cmath>

namespace regression_evaluator_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;

/// A text is the number that it predicts.
class Reads final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  bool can(std::string_view what) const override { return what == "encode" || (what == "predict" && columns > 0); }
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field != "grade") throw Error("another field");
    auto out = ops::zeros({batch.items(), columns});
    for (std::int64_t i = 0; i < batch.items(); ++i)
      out[i][0] = std::stod(batch.strings("text")[static_cast<std::size_t>(i)]);
    return out;
  }
  std::int64_t columns = 1;
};

Document graded(const std::string& id, const std::string& predicted, const std::string& measured) {
  auto out = text_document(id, predicted);
  out.fields["grade"] = measured;
  return out;
}

/// Measured 1 2 3 3 6 with mean 3 and squares 14; predicted 2 1 4 8 5 with mean 4 and squares 30.
std::vector<Document> five() {
  return {graded("a", "2", "1"), graded("b", "1", " 2.0"), graded("c", "4", "3"), graded("d", "8", "3"),
          graded("e", "5", "6")};
}

const Table kSettings = {{"type", "regression"}, {"field", "grade"}};

Kept of(const std::vector<Document>& documents, std::size_t per_batch = 3, Table more = {}) {
  const PieceEncoder encoder(1, 64);
  Reads model(encoder);
  for (const auto& [key, value] : kSettings) more.emplace(key, value);
  return evaluated(more, model, documents, per_batch);
}

/// Of each document another prediction.
template <class Change>
std::vector<Document> changed(const Change& change) {
  auto out = five();
  for (auto& one : out) one.text = std::to_string(change(std::stod(one.text)));
  return out;
}

TEST_CASE("regression evaluator: correlations, error and floor of known predictions") {
  for (const std::size_t per_batch : {1u, 3u, 100u}) {
    const auto kept = of(five(), per_batch);
    // Differences from the means: -2 -1 0 0 3 and -2 -3 0 4 1; products 4 + 3 + 0 + 0 + 3.
    CHECK(kept.metrics.at("pearson") == Approx(10 / std::sqrt(14.0 * 30)));
    // Ranks 1 2 3.5 3.5 5 and 2 1 3 5 4; from their mean of 3: -2 -1 .5 .5 2 and -1 -2 0 2 1.
    CHECK(kept.metrics.at("spearman") == Approx(7 / std::sqrt(9.5 * 10)));
    CHECK(kept.metrics.at("rmse") == Approx(std::sqrt((1 + 1 + 1 + 25 + 1) / 5.0)));
    CHECK(kept.metrics.at("floor") == Approx(std::sqrt(14 / 5.0)));
    CHECK((kept.signatures.at("pearson") == MetricSignature{"correlation", "", "set:test", "1"}));
    CHECK((kept.signatures.at("floor") == MetricSignature{"units of the field", "", "set:test", "1"}));
  }
}

TEST_CASE("regression evaluator: items of each document add up to the metrics") {
  const auto kept = of(five());
  REQUIRE(kept.items.size() == 5);
  std::map<std::string, double> mean;
  for (const auto& [id, columns] : kept.items)
    for (const auto& [name, value] : columns) mean[name] += value / 5;
  CHECK(mean.at("pearson") == Approx(kept.metrics.at("pearson")));
  CHECK(mean.at("spearman") == Approx(kept.metrics.at("spearman")));
  CHECK(std::sqrt(mean.at("rmse")) == Approx(kept.metrics.at("rmse")));
  CHECK(std::sqrt(mean.at("floor")) == Approx(kept.metrics.at("floor")));
  const auto& d = kept.items.at("d");
  CHECK(d.at("rmse") == Approx(25));
  CHECK(d.at("floor") == Approx(0).margin(1e-12));
  CHECK(d.at("spearman") == Approx(0.5 * 2 / std::sqrt(1.9 * 2)));
  CHECK(kept.items.at("e").at("pearson") == Approx(3 * 1 / std::sqrt(14 / 5.0 * 30 / 5)));
  CHECK((d.at("predicted") == 8 && d.at("measured") == 3));
}

TEST_CASE("regression evaluator: what each metric does not depend on") {
  const auto plain = of(five()).metrics;
  const auto order = of(changed([](double x) { return std::exp(x); })).metrics;
  CHECK(order.at("spearman") == Approx(plain.at("spearman")));
  CHECK(std::abs(order.at("pearson") - plain.at("pearson")) > 0.01);
  const auto line = of(changed([](double x) { return 100 - 7 * x; })).metrics;
  CHECK(line.at("pearson") == Approx(-plain.at("pearson")));
  CHECK(line.at("spearman") == Approx(-plain.at("spearman")));
  CHECK(line.at("rmse") > 10 * plain.at("rmse"));
  auto turned = five();
  std::reverse(turned.begin(), turned.end());
  for (const auto& [name, value] : of(turned).metrics) CHECK(value == Approx(plain.at(name)));
}

TEST_CASE(
    "regression evaluator: a model that says one number has no correlation, and at the mean the floor's error") {
  const auto kept = of(changed([](double) { return 3; }));
  CHECK(kept.metrics.at("pearson") == 0);
  CHECK(kept.metrics.at("spearman") == 0);
  CHECK(kept.metrics.at("rmse") == kept.metrics.at("floor"));
  // The last digit of float32, which padding may change, makes no order.
  double up = 0;
  const auto noisy = of(changed([&](double) { return 1000 + 6e-5 * (up += 1); }));
  CHECK(noisy.metrics.at("spearman") == 0);
  const auto apart = of(changed([&](double) { return 1000 + 0.5 * (up += 1); }));
  CHECK(apart.metrics.at("spearman") == Approx(9.5 / std::sqrt(9.5 * 10)));  // ranks 1 to 5
}

TEST_CASE("regression evaluator: a model without numbers has none") {
  for (const char* what : {"nan", "inf"}) {
    auto documents = five();
    documents[2].text = what;
    const auto kept = of(documents);
    CHECK(std::isnan(kept.metrics.at("pearson")));
    CHECK(std::isnan(kept.metrics.at("spearman")));
    CHECK_FALSE(std::isfinite(kept.metrics.at("rmse")));
    CHECK(kept.metrics.at("floor") == Approx(std::sqrt(14 / 5.0)));
  }
}

/// Keeps what is asked of it; a column of numbers in the place of the texts where there is one.
class Asked final : public EvaluationContext {
 public:
  explicit Asked(std::vector<double> numbers) : numbers_(std::move(numbers)), plain_(five(), encoder, 100) {}
  std::unique_ptr<BatchReader> read(const Reference& data, const ReadRequest& asked) override {
    request = asked;
    return std::make_unique<Numbers>(plain_.read(data, asked), numbers_);
  }
  std::shared_ptr<const DataSource> documents(const Reference& data) override { return plain_.documents(data); }
  const RandomStreams& random() const override { return plain_.random(); }
  Recorder& recorder() override { return plain_.kept; }
  const PieceEncoder encoder{1, 64};
  ReadRequest request;
  const Kept& kept() const { return plain_.kept; }

 private:
  class Numbers final : public BatchReader {
   public:
    Numbers(std::unique_ptr<BatchReader> plain, const std::vector<double>& numbers)
        : plain_(std::move(plain)), numbers_(numbers) {}
    bool next(Batch& batch) override {
      if (!plain_->next(batch)) return false;
      if (!numbers_.empty()) batch.set("grade", ops::tensor(numbers_, at::kFloat));
      return true;
    }
    void rewind() override { plain_->rewind(); }

   private:
    std::unique_ptr<BatchReader> plain_;
    const std::vector<double>& numbers_;
  };
  std::vector<double> numbers_;
  ListContext plain_;
};

void measure(Asked& context, Table more = {}) {
  Reads model(context.encoder);
  for (const auto& [key, value] : kSettings) more.emplace(key, value);
  more["data"] = Value(Reference{.text = "set:test", .kind = "dataset", .split = "test"});
  testing::registry().make<Evaluator>(more)->evaluate(model, context);
}

TEST_CASE("regression evaluator: whole documents, as many and as long as it is told; numbers of a dataset as well") {
  Asked context({});
  measure(context, {{"most", 4}, {"max_time", 9}});
  CHECK_FALSE(context.request.windows);
  CHECK(context.request.most == 4);
  CHECK(context.request.max_time == 9);
  Asked numbers({1, 2, 3, 3, 6});
  measure(numbers);
  CHECK(numbers.kept().metrics == context.kept().metrics);
  Asked bad({1, 2, std::nan(""), 3, 6});
  CHECK_THROWS_WITH(measure(bad),
                    ContainsSubstring("field `grade` of document `c` of `set:test` is no number: `nan`"));
}

TEST_CASE("regression evaluator: documents without a number and models without an output for one are refused") {
  const auto fails = [](std::vector<Document> documents, const std::string& why) {
    CHECK_THROWS_WITH(of(documents), ContainsSubstring(why));
  };
  auto documents = five();
  for (const char* text : {"high", "1.5x", "nan", "inf", "1e999"}) {
    documents[3].fields["grade"] = text;
    fails(documents, "field `grade` of document `d` of `set:test` is no number: `" + std::string(text) + "`");
  }
  documents[3].fields["grade"] = " ";
  fails(documents, "document `d` of `set:test` has no field `grade`; a number is needed");
  fails({text_document("x", "1")}, "document `x` of `set:test` has no field `grade`");
  documents.resize(3);
  for (auto& one : documents) one.fields["grade"] = "0.1";  // whose mean is another number
  fails(documents, "all documents of `set:test` have the same `grade`; a correlation needs at least two values");
  fails({}, "`set:test` has no documents");

  const PieceEncoder encoder(1, 64);
  Reads model(encoder);
  model.columns = 2;
  CHECK_THROWS_WITH(evaluated(kSettings, model, five(), 2), ContainsSubstring("another shape than [items, 1]"));
  model.columns = 0;
  CHECK_THROWS_WITH(evaluated(kSettings, model, five(), 2), ContainsSubstring("the model predicts no number"));
}

}  // namespace regression_evaluator_test
