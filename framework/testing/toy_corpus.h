#pragma once
// A few documents that stand in the test itself.
#include <string>
#include <vector>

#include "api/dataset.h"

namespace xp::testing {

/// Documents "0", "1", ... with these texts, all of the training split.
class ToyCorpus final : public DataSource {
 public:
  explicit ToyCorpus(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  void for_each(const std::function<void(const Document&)>& visit) const override;
  std::string fingerprint() const override;

 private:
  std::vector<std::string> texts_;
};

}  // namespace xp::testing
