#pragma once
// Logical batches in an order that depends on seed and position only, made ahead by a thread of their own.
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "api/batch.h"
#include "api/recorder.h"
#include "api/stage.h"
#include "engine/examples.h"

namespace xp {

/// Where a loader stands: enough to go on exactly.
struct LoaderPosition {
  std::vector<std::int64_t> epoch, unit, group;  ///< of each part: next group of next unit of the epoch
  std::vector<double> served;                    ///< tokens (or items) that each part gave
  std::int64_t batches = 0;
};

struct LogicalBatch {
  std::vector<Batch> micro;
  Counters counters;  ///< after this batch: input_tokens, items, bytes, epochs, steps as the data say
  LoaderPosition after;
  std::uint64_t fingerprint = 0;  ///< of `micro`, before it went to a device
};

struct LoaderSettings {
  BatchSize size;
  std::int64_t micro_items = 0;  ///< 0: micro-batches of about `micro_tokens` padded tokens
  std::int64_t micro_tokens = 8192;
  std::int64_t pack = 0;      ///< tokens of a row that several texts share; 0: a text has its row
  Strings read = {};          ///< fields that the objective asked for by name
  bool whole = false;         ///< the objective compares items: one micro-batch
  bool end_at_epoch = false;  ///< with one part: a batch never crosses the end of an epoch
  int threads = 1;
  at::Device device = at::kCPU;  ///< where batches go
  int rank = 0, processes = 1;   ///< this process keeps every n-th group
  int ahead = 3;                 ///< batches made in advance; 0: made when asked for
  /// Called before batch `n` is made (its counters so far are given), on the making thread: moves schedules.
  std::function<void(const Counters&)> before_batch = {};
};

class Loader {
 public:
  struct Part {
    std::shared_ptr<const ExampleSource> source;
    double weight = 1;
  };
  /// `transform` may be null; it must outlive the loader.
  Loader(std::vector<Part> parts, const Transform* transform, const RandomStreams& random, LoaderSettings settings);
  ~Loader();

  void start(const LoaderPosition& at, const Counters& counters);  ///< empty position: from the beginning
  LogicalBatch next();                                             ///< endless; rethrows what the making thread threw
  void stop();

  const std::vector<FieldSpec>& fields() const { return fields_; }
  double units_per_epoch() const;
  Strings sources() const;  ///< by which examples name where they come from: parts, of a single one its own

 private:
  void add_written();
  LogicalBatch make();
  void keep_own_share(std::vector<std::vector<Example>>& groups, std::vector<std::int64_t>& epochs_of) const;
  std::vector<Example> take(std::size_t part);
  std::size_t next_part() const;
  bool at_epoch_end(std::size_t part) const;
  void add_micro_batches(std::vector<std::vector<Example>>& groups, LogicalBatch& to) const;
  double epochs() const;
  void produce();

  std::vector<Part> parts_;
  const Transform* transform_;
  RandomStreams random_;
  LoaderSettings settings_;
  std::vector<FieldSpec> fields_;

  LoaderPosition at_;
  Counters counters_;
  struct Cursor {
    std::vector<std::size_t> order;
    std::vector<std::vector<Example>> groups;  ///< of the unit that is being served
  };
  std::vector<Cursor> cursors_;

  std::mutex guard_;
  std::condition_variable changed_;
  std::deque<LogicalBatch> ready_;
  std::exception_ptr failure_;
  bool stopping_ = false;
  std::thread maker_;
};

}  // namespace xp
