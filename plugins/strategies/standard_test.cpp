#include <catch2/catch_test_macros.hpp>

#include "api/batch.h"
#include "api/strategy.h"
#include "testing/testing.h"

namespace standard_test {

/// Writes down what it is asked to do.
class Diary final : public xp::Trainer {
 public:
  bool done() const override { return steps == 3; }
  const std::vector<xp::Batch>& next() override { return note("n"), batches; }
  const xp::StepReport& accumulate(const std::vector<xp::Batch>& given) override {
    same &= &given == &batches;
    return note("a"), report;
  }
  bool update() override { return note("u"), ++steps != 2; }  // the second gradient is not finite
  void discard() override { note("d"); }
  void evaluate_if_due() override { note("e"); }
  void checkpoint_if_due() override { note("c"); }

  void note(const char* what) { pages += what; }
  std::string pages;
  int steps = 0;
  bool same = true;
  std::vector<xp::Batch> batches;
  xp::StepReport report;
};

TEST_CASE("the standard strategy trains until the stage is done and goes on after a skipped step") {
  Diary diary;
  xp::testing::registry().make<xp::TrainingStrategy>({{"type", "standard"}})->run(diary);
  CHECK(diary.pages == "nauecnauecnauec");
  CHECK(diary.same);
}

}  // namespace standard_test
