#pragma once
// Cuts spans out of texts.
#include "api/transform.h"
#include "settings.h"

namespace xp::denoise {

/// `source_ids`: mode, the text with a sentinel for each span, end. `target_ids`: each span behind its sentinel, end.
/// (UL2, Tay et al. 2023, section 3.1.)
class Corrupt final : public Transform {
 public:
  explicit Corrupt(Settings p) : p_(p) {}

  void start(const Resources& resources) override { reserved_ = Reserved(resources, p_.mode); }
  FieldUse fields() const override {
    return {.reads = {"ids"}, .writes = {{"source_ids", "source", 0}, {"target_ids", "target", 0}}};
  }
  Lengths lengths(std::int64_t raw, RandomStream random) const override;
  void apply(std::vector<Example>& group, RandomStream& random) const override {
    for (auto& item : group) corrupt(item, random);
  }

 private:
  void corrupt(Example& item, RandomStream& random) const;

  Settings p_;
  Reserved reserved_;
};

}  // namespace xp::denoise
