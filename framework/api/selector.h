#pragma once
// Data selection: documents to numbers, numbers to a subset.
#include <span>

#include "api/dataset.h"
#include "api/resources.h"
#include "base/random.h"

namespace xp {

/// "scorer": higher is better. May run on many threads at once after start().
class XP_API Scorer : public Component {
 public:
  static constexpr const char* kInterface = "scorer";
  ~Scorer() override;
  virtual void start(const Resources& resources);
  virtual double score(const Document& document) const = 0;
};

struct Scored {
  double score = 0;
  std::int64_t bytes = 0;
};

/// "selector": which documents stay, in the order given. The framework logs every decision with its score.
class XP_API Selector : public Component {
 public:
  static constexpr const char* kInterface = "selector";
  ~Selector() override;
  virtual std::vector<bool> select(std::span<const Scored> documents, RandomStream random) const = 0;
};

}  // namespace xp
