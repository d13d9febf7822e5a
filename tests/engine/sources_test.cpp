// Losses by where items come from, and what counts as supervised.
#include "api/ops.h"
#include "base/file.h"
#include "graph/corpus.h"
#include "training.h"

// Behind LibTorch, which has a CHECK of its own.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <set>

namespace xp::engine_test {
namespace {

/// Items of the first source lose 1 each time they count, those of others 3; a second term counts twice.
class BySource final : public Objective {
 public:
  explicit BySource(std::string first) : first_(std::move(first)) {}
  void build(BuildContext& context) override { w_ = context.add({"w", "dense"}, {1}, {1, 0}); }
  Counts counts(const Batch& batch) const override {
    return {{"a", ops::ones({batch.items()}, at::kLong)}, {"b", ops::full({batch.items()}, 2, at::kLong)}};
  }
  StepResult step(const Batch& batch, StepContext& context) override {
    std::vector<double> sums;
    for (const auto& source : batch.strings("source")) sums.push_back(source == first_ ? 1 : 3);
    const auto moved = ops::tensor(sums).add(context.weight(w_).mul(0));
    return {.terms = {{"a", moved}, {"b", moved.mul(4), 0.5}}};
  }

 private:
  std::string first_;
  Param w_ = 0;
};

Trained train_on(Stage& stage, std::vector<DataPart> data, const std::string& first) {
  auto request = stage.request("5 steps");
  request.objective = std::make_unique<BySource>(first);
  request.data = std::move(data);
  request.batch = {.tokens = 0, .items = 6};
  return stage.run(std::move(request));
}

TEST_CASE("documents that count otherwise are another corpus") {
  const auto source_of = [](std::vector<double> repeats) {
    Corpus corpus;
    for (const char* id : {"a", "b"}) {
      Document document;
      document.id = id, document.text = std::string("text of ") + id;
      corpus.documents.push_back(std::move(document));
    }
    corpus.repeats = std::move(repeats);
    return as_source(std::make_shared<const Corpus>(std::move(corpus)), RandomStreams(0));
  };
  const auto once = source_of({1, 1});
  CHECK(once->fingerprint() == source_of({1, 1})->fingerprint());
  CHECK(once->fingerprint() != source_of({2, 1})->fingerprint());
  CHECK(source_of({2, 1})->fingerprint() != source_of({1, 2})->fingerprint());
  std::size_t read = 0;
  source_of({3, 0})->for_each([&](const Document& document) { read += document.id == "a" ? 1 : 100; });
  CHECK(read == 3);
}

}  // namespace

TEST_CASE("losses are recorded by part of the data, over all terms, and supervised counts add up") {
  Stage stage(letters(30));
  auto other = stage.data;
  other.text = "other:train", other.digest = "other";
  const auto trained = train_on(stage, {{stage.data, 1}, {other, 2}}, "set");
  REQUIRE(stage.notes.values("loss[set]").size() == 5);
  for (const double loss : stage.notes.values("loss[set]")) CHECK(loss == Catch::Approx(1 + 0.5 * 4 / 2.0));
  for (const double loss : stage.notes.values("loss[other]")) CHECK(loss == Catch::Approx(3 + 0.5 * 12 / 2.0));
  CHECK(trained.counters.supervised_tokens == 5 * 6 * 3);
}

TEST_CASE("losses of one dataset are by language; of one source there is the loss alone") {
  Stage stage(letters(30));
  train_on(stage, {{stage.data, 1}}, "set");
  CHECK(stage.notes.curves.size() > 0);
  for (const auto& [name, points] : stage.notes.curves) CHECK(name.find('[') == std::string::npos);

  testing::Scratch folder;
  List files;
  for (const char* language : {"en", "de"}) {
    std::string text;
    for (const auto& one : letters(12)) text += one + "\n\n";
    write_file(folder / (std::string(language) + ".txt"), text);
    files.emplace_back((folder / (std::string(language) + ".txt")).string());
  }
  auto table = *stage.data.component;
  table.insert_or_assign("files", Value(files));
  auto two = stage.data;
  two.text = "two:train", two.digest = "two", two.component = std::make_shared<const Table>(std::move(table));
  Stage again(letters(3));
  train_on(again, {{two, 1}}, "en");
  for (const double loss : again.notes.values("loss[en]")) CHECK(loss == Catch::Approx(2));
  CHECK(again.notes.values("loss[de]").size() > 0);
}

}  // namespace xp::engine_test
