#pragma once
// Transforms one after the other, for objectives that are made of others.
#include <memory>

#include "api/transform.h"

namespace xp {

/// Runs its parts in order. Each draws from a stream of its own: the first inherits ours, so that a chain of one
/// changes no draw; `part.parameter` reaches the part of that name, any parameter the part without one.
class XP_API Chain final : public Transform {
 public:
  void add(std::string name, std::unique_ptr<Transform> part);
  std::size_t size() const { return parts_.size(); }

  void start(const Resources& resources) override;
  FieldUse fields() const override;  ///< what one part writes, later parts do not ask the dataset for
  void apply(std::vector<Example>& group, RandomStream& random) const override;
  Lengths lengths(std::int64_t raw, RandomStream random) const override;  ///< inputs pass through, targets add up
  std::vector<Subscription> subscriptions() const override;
  void receive(const Feedback& feedback) override;
  void set(std::string_view parameter, double value) override;
  void save(State& state) const override;
  void load(const State& state) override;

 private:
  struct Part {
    std::string name;
    std::unique_ptr<Transform> transform;
  };
  std::vector<Part> parts_;
};

/// What a stage does to examples: its transforms, then the objective's own, which may be null and needs no name in
/// front of its parameters. Null if there is none.
XP_API std::unique_ptr<Transform> chained(std::vector<std::unique_ptr<Transform>> before,
                                          std::unique_ptr<Transform> own);

}  // namespace xp
