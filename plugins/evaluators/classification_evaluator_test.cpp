#include "api/ops.h"
#include "testing/evaluator_fixture.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <limits>

namespace classification_evaluator_test {

using namespace xp;
using namespace xp::fixture;
using Catch::Approx;

/// The first letter of a text is the class that it predicts; "=" gives every class the same score, "!" no number at
/// all.
class Reads final : public TestHandle {
 public:
  using TestHandle::TestHandle;
  at::Tensor predict(const Batch& batch, std::string_view field) override {
    if (field != "topic") throw Error("another field");
    auto out = xp::ops::zeros({batch.items(), 3});
    for (std::int64_t i = 0; i < batch.items(); ++i) {
      const char c = batch.strings("text")[static_cast<std::size_t>(i)][0];
      if (c == '!') out[i].fill_(std::numeric_limits<float>::quiet_NaN());
      if (c >= 'a') out[i][c - 'a'] = 1.5;
    }
    return out;
  }
  const Strings& categories(std::string_view) const override { return names_; }

 private:
  Strings names_ = {"a", "b", "c"};
};

Document labelled(std::string text, std::string label) {
  static int next = 0;
  auto out = text_document("d" + std::to_string(next++), std::move(text));
  out.fields["topic"] = std::move(label);
  return out;
}

const Table kSettings = {{"type", "classification"}, {"field", "topic"}};

TEST_CASE("classification: accuracy, macro F1 and the floor of known predictions") {
  const PieceEncoder encoder(1, 64);
  Reads model(encoder);
  // gold a a a a b b c: predicted a a b a b c c.
  const std::vector<Document> documents = {labelled("a", "a"), labelled("a", "a"), labelled("b", "a"),
                                           labelled("a", "a"), labelled("b", "b"), labelled("c", "b"),
                                           labelled("c", "c")};
  for (const std::size_t per_batch : {1u, 3u, 100u}) {
    const auto kept = evaluated(kSettings, model, documents, per_batch);
    CHECK(kept.metrics.at("accuracy") == Approx(5.0 / 7));
    CHECK(kept.metrics.at("macro_f1") == Approx((2 * 3.0 / 7 + 2 * 1.0 / 4 + 2 * 1.0 / 3) / 3));
    CHECK(kept.metrics.at("majority") == Approx(4.0 / 7));
    CHECK(kept.metrics.at("normalised") == Approx((kept.metrics.at("accuracy") - 4.0 / 7) / (1 - 4.0 / 7)));
    CHECK(kept.items.at(documents[2].id).at("accuracy") == 0);
    CHECK(kept.items.at(documents[3].id).at("accuracy") == 1);
  }
}

TEST_CASE("classification: ties, missing numbers and labels that training did not have count as wrong") {
  const PieceEncoder encoder(1, 64);
  Reads model(encoder);
  const auto ties = evaluated(kSettings, model,
                              {labelled("=", "a"), labelled("=", "c"), labelled("!", "b"), labelled("a", "new")}, 2);
  CHECK(ties.metrics.at("accuracy") == 0);
  CHECK(ties.metrics.at("macro_f1") == 0);
  CHECK(ties.metrics.at("majority") == Approx(1.0 / 4));
}

TEST_CASE("classification: a model without a head for the field is refused") {
  const PieceEncoder encoder(1, 64);
  Reads model(encoder);
  CHECK_THROWS_AS(evaluated({{"type", "classification"}, {"field", "label"}}, model, {labelled("a", "a")}, 1), Error);
}

}  // namespace classification_evaluator_test
