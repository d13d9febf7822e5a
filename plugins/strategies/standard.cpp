// The plain training loop.
#include "api/strategy.h"
#include "plugin/plugin.h"

namespace {

class Standard final : public xp::TrainingStrategy {
 public:
  struct Params {
    static void describe(xp::Fields<Params>&) {}
  };
  explicit Standard(Params) {}

  void run(xp::Trainer& trainer) override {
    while (!trainer.done()) {
      trainer.accumulate(trainer.next());
      trainer.update();
      trainer.evaluate_if_due();
      trainer.checkpoint_if_due();
    }
  }
};

}  // namespace

XP_PLUGIN(standard) {
  registry.add<Standard>("standard", "One update per logical batch until the stage's stop rule.");
}
