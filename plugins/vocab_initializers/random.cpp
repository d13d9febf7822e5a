#include "api/vocab_initializer.h"
#include "kit/vocab_tables.h"
#include "plugin/plugin.h"

namespace {

/// Normal rows with the mean and standard deviation that the old rows have in each dimension.
class Random final : public xp::VocabInitializer {
 public:
  struct Params {
    double scale = 1.0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::scale, "scale", "Factor of the standard deviation; 0 gives the mean to every row.").min(0);
    }
  };
  explicit Random(Params params) : p_(params) {}

  void plan(const xp::VocabSetting& setting, xp::MixPlan& plan) override {
    const auto tables = xp::vocab_statistics(xp::weights_of(setting));
    for (const auto row : plan.open_rows())
      xp::set_normal_row(plan, row, tables, p_.scale, setting.random.stream(0, static_cast<std::uint64_t>(row)),
                         "random");
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(random) {
  registry.add<Random>("random", "Normal rows with the old rows' mean and standard deviation per dimension.");
}
