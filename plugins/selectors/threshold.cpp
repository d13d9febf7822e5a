#include "api/selector.h"
#include "plugin/plugin.h"

namespace {

/// Keeps what scores at least as stated.
class Threshold final : public xp::Selector {
 public:
  struct Params {
    double least = 0;
    static void describe(xp::Fields<Params>& f) {
      f.add(&Params::least, "least", "The lowest score that is kept, in the scorer's unit.").required();
    }
  };
  explicit Threshold(Params params) : p_(params) {}

  std::vector<bool> select(std::span<const xp::Scored> documents, xp::RandomStream) const override {
    std::vector<bool> out;
    for (const auto& one : documents) out.push_back(one.score >= p_.least);
    return out;
  }

 private:
  Params p_;
};

}  // namespace

XP_PLUGIN(threshold) { registry.add<Threshold>("threshold", "Keeps what scores at least as stated."); }
