#pragma once
// Preparation and corruption that need no model: in an off-line builder, or in the loader.
#include "api/dataset.h"
#include "api/resources.h"
#include "base/random.h"

namespace xp {

struct FieldUse {
  Strings reads = {};
  Strings reads_if_there = {};         ///< honoured when some other transform or the dataset writes it
  std::vector<FieldSpec> writes = {};  ///< two transforms that write one field are an error
};

/// In tokens.
struct Lengths {
  std::int64_t input = 0, target = 0;
};

/// A wish to hear what an objective reports. Batch s is made after the message of step s - delay and before the next.
struct Subscription {
  std::string topic;
  std::int64_t delay = 1;  ///< in steps; declared, so that loading ahead changes nothing
  Strings echo = {};       ///< batch fields that come back beside the message
};

struct Feedback {
  std::string topic;
  std::int64_t step = 0;
  std::map<std::string, Values, std::less<>> values = {};  ///< per item and token as in the batch, padding included
};

/// "transform": group in, group out. `apply` may run on many threads at once, `receive` never beside it.
class XP_API Transform : public Component {
 public:
  static constexpr const char* kInterface = "transform";
  ~Transform() override;

  virtual void start(const Resources& resources);  ///< once, before the first apply; nothing by default
  virtual FieldUse fields() const = 0;

  /// Changes, adds or removes members of one group. `random` is the group's own stream, from its start.
  virtual void apply(std::vector<Example>& group, RandomStream& random) const = 0;

  /// What `raw` tokens become. Gets the stream that apply will get, so a transform that draws how to corrupt answers
  /// for the draw it will make. Must not fall when `raw` grows. Unchanged by default.
  virtual Lengths lengths(std::int64_t raw, RandomStream random) const;

  virtual std::vector<Subscription> subscriptions() const;  ///< none by default
  virtual void receive(const Feedback& feedback);           ///< in step order; only with a subscription
};

/// The largest number of raw tokens, at most `limit`, whose input fits into `fit.input` tokens and whose target fits
/// into `fit.target`.
XP_API std::int64_t raw_tokens_for(const Transform& transform, Lengths fit, RandomStream random, std::int64_t limit);

}  // namespace xp
