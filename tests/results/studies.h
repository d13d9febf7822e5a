#pragma once
// Studies made by hand: what results hold, without files.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "results/study.h"

namespace xp {

class HandRecords : public RecordSource {
 public:
  std::map<std::string, StageRecord> stages;
  std::vector<std::string> nodes() const override {
    std::vector<std::string> out;
    for (const auto& [name, record] : stages) out.push_back(name);
    return out;
  }
  const StageRecord* record(std::string_view node) const override {
    const auto found = stages.find(std::string(node));
    return found == stages.end() ? nullptr : &found->second;
  }
};

/// Arms and seeds with a stage `score` each, whose digests differ by arm and seed.
class HandStudy {
 public:
  Study study;

  HandRecords& run(const std::string& arm, std::int64_t seed, const std::string& variant = "") {
    if (!study.arm(arm)) study.arms.push_back({arm, arm});
    records_.push_back(std::make_unique<HandRecords>());
    StudyMember member;
    member.arm = arm, member.seed = seed, member.records = records_.back().get(), member.host = "here";
    member.stages["score"] = arm + std::to_string(seed) + variant;
    study.members.push_back(std::move(member));
    return *records_.back();
  }

  /// Seeds 0, 1, ... with `score.task.accuracy`.
  HandStudy& arm(const std::string& name, const std::vector<double>& values, const MetricSignature& what = share()) {
    for (std::size_t seed = 0; seed < values.size(); ++seed)
      run(name, static_cast<std::int64_t>(seed)).stages["score"].finals["task.accuracy"] = {values[seed], what};
    return *this;
  }

  static MetricSignature share() { return {"share", "", "pairs:test", "1"}; }

 private:
  std::vector<std::unique_ptr<HandRecords>> records_;
};

}  // namespace xp
