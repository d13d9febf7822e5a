#pragma once
#include <map>
#include <string>

#include "api/recorder.h"

namespace xp {

/// Final metrics of an evaluator become points of curves during training.
class PointRecorder final : public Recorder {
 public:
  PointRecorder(Recorder& to, const Counters& at, std::map<std::string, double>& seen)
      : to_(to), at_(at), seen_(seen) {}
  void point(std::string_view curve, double value, const Counters& at, const MetricSignature& what) override {
    to_.point(curve, value, at, what);
  }
  void metric(std::string_view name, double value, const MetricSignature& what) override {
    to_.point(name, value, at_, what);
    seen_[std::string(name)] = value;
  }
  // Items and ledgers belong to evaluation stages: a copy for every point of a curve would only fill the file.
  void item(std::string_view, std::string_view, std::string_view, double) override {}
  void ledger(std::string_view, const std::vector<std::string>&, const std::vector<std::string>&) override {}
  void counters(const Counters&) override {}
  void note(std::string_view text) override { to_.note(text); }

 private:
  Recorder& to_;
  const Counters& at_;
  std::map<std::string, double>& seen_;
};

}  // namespace xp
