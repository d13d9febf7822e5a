#pragma once
// The processes that train one model together: sums over them, rows of all of them, messages from the first to the
// others.
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/tensor.h"
#include "graph/run.h"

namespace xp {

/// All calls but post() and await() are collective: every process makes them in the same order. They throw Error
/// (Exit::stopped) when another process is gone.
class Processes {
 public:
  virtual ~Processes() = default;

  /// Waits for all to arrive. One process: needs no other, every call returns at once. Throws Error (Exit::usage) if
  /// this build cannot.
  static std::unique_ptr<Processes> join(const ProcessPlace& place);

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool alone() const { return size() == 1; }
  bool first() const { return rank() == 0; }
  virtual bool lost() const { return false; }  ///< another process went without a word

  virtual void sum(std::vector<double>& numbers) = 0;            ///< in place, over all processes
  virtual void sum(const std::vector<at::Tensor>& tensors) = 0;  ///< in place, of one type
  virtual at::Tensor gather(const at::Tensor& rows) = 0;         ///< see StepContext::gather
  /// Each map over all processes; a name that some lack counts as 0 there.
  void sum(const std::vector<std::map<std::string, double>*>& maps);
  bool any(bool mine);

  virtual void post(const std::string& message) = 0;  ///< from the first process to the others
  /// The next message; none if `stopped` came first.
  virtual std::optional<std::string> await(const std::function<bool()>& stopped) = 0;
};

}  // namespace xp
