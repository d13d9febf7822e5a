#pragma once
// One of several transforms for each group, for objectives that share out examples or batches among others.
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/transform.h"

namespace xp {

/// Hands each group to the transform of one part and writes the part's number into the field "<name>.term". Columns
/// that only other parts write are padding, as long as their axis is. The first part inherits the group's stream and
/// others fork it, so that one alone changes no draw; parameters of a part follow "<part>.".
class XP_API OneOf final : public Transform {
 public:
  struct Part {
    std::string name;
    std::unique_ptr<Transform> transform;  ///< may be null
    bool serves = true;                    ///< false: it never gets a group, so texts need not be cut for it
  };
  /// The part of a group, drawn from its stream.
  using Draw = std::function<std::size_t(const RandomStream& random)>;
  /// The part of the next batch; `turns` are the batches that each part has had. Whose turn it is goes on with the
  /// message "<name>.step", which the objective sends in every step: batch n is made after that of step n - 1.
  using Turn = std::function<std::size_t(const std::vector<std::int64_t>& turns)>;

  OneOf(const std::string& name, std::vector<Part> parts, Draw draw);
  OneOf(const std::string& name, std::vector<Part> parts, Turn turn);

  /// The fields that only other parts write: to this one they say nothing.
  std::set<std::string> foreign(std::size_t part) const;

  void start(const Resources& resources) override;
  FieldUse fields() const override { return use_; }
  void apply(std::vector<Example>& group, RandomStream& random) const override;
  Lengths lengths(std::int64_t raw, RandomStream random) const override;
  std::vector<Subscription> subscriptions() const override;
  void receive(const Feedback& feedback) override;
  void set(std::string_view parameter, double value) override;
  void save(State& state) const override;
  void load(const State& state) override;

 private:
  OneOf(const std::string& name, std::vector<Part> parts, Draw draw, Turn turn);
  void add(const FieldUse& more);
  Lengths lengths(std::size_t part, std::int64_t raw, const RandomStream& random) const;
  void next_turn();

  std::string term_, step_;  ///< field and topic
  std::vector<Part> parts_;
  Draw draw_;  ///< or `turn_`
  Turn turn_;
  FieldUse use_;
  std::vector<std::int64_t> turns_;
  std::int64_t batch_ = 0;  ///< number of the batch that is made
  std::size_t now_ = 0;     ///< whose turn it is
};

}  // namespace xp
