#pragma once
// Paths to numbers: `stage.counter`, `stage.evaluator.metric[view]`, curve forms, means.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "results/record.h"

namespace xp {

/// How one number is made of a curve; `none`: a final value, or the curve's last point where there is no final value.
enum class CurveForm { none, final, best, area, at };

/// One of: a path to a number, or the mean of several.
struct MetricPath {
  std::string text;   ///< as written
  std::string stage;  ///< "score", "tuned[duplicates]", may hold `*`
  std::string name;   ///< "similarity.spearman", "tokens", "loss"; may hold `*`
  std::string view;   ///< "" or "1x32" or "*" for all views
  CurveForm form = CurveForm::none;
  std::string over;  ///< area(over=bytes): the counter of the x axis; at(tokens=0): "tokens"
  double at = 0;
  bool mix = false;               ///< mean(..., mix = true): unlike signatures may meet
  std::vector<MetricPath> parts;  ///< not empty: the mean of these
};

/// Reads a path; a mistake becomes a problem at `span` and gives nothing.
XP_API std::optional<MetricPath> parse_metric_path(std::string_view text, const SourceSpan& span, Problems& problems);

/// Counter names that paths and tables may use: "steps" "tokens" "supervised_tokens" "items" "bytes" "epochs" "flops"
/// "flops_effective" "seconds" "memory", and "seconds_per_step".
XP_API const std::vector<std::string>& counter_names();
XP_API double counter(const Counters& counters, std::string_view name);

/// True if a path outside a mean holds `*`: a claim wants mean() around it, a table one column for each.
XP_API bool names_several(const MetricPath& path);

struct MetricValue {
  double value = 0;
  MetricSignature what;         ///< of a mean: fields that differ are "mixed"
  std::vector<std::string> of;  ///< the paths behind it, without `*`: two members compare only where these are equal
};

/// "bits/byte, multilingual:test, version 1".
XP_API std::string describe(const MetricSignature& what);

/// The records of one member (arm and seed) by node name; null where there is none.
class XP_API RecordSource {
 public:
  virtual ~RecordSource() = default;
  virtual std::vector<std::string> nodes() const = 0;
  /// Its curves may lack their points: a file holds many, and few are looked at.
  virtual const StageRecord* record(std::string_view node) const = 0;
  /// One curve of a node's record with its points; null if there is none.
  virtual const Curve* curve(std::string_view node, const std::string& name) const;
  /// The last point of such a curve; nothing if it has none.
  virtual std::optional<FinalValue> last(std::string_view node, const std::string& name) const;
};

/// The paths that a path with `*` stands for in these records, sorted; itself where it has none. A mean stays as it
/// is. Empty if nothing fits (a reason in `why`). `*` in a metric's name stands for one segment or a part of it.
XP_API std::vector<MetricPath> expand(const MetricPath& path, const RecordSource& records,
                                      std::string* why = nullptr);

/// The number of one member; NaN where that was recorded. Area is the trapezoid over the counter divided by its
/// length: the mean height, in the metric's unit; `at` interpolates between neighbours. `higher` says which end
/// `.best` means. Nothing if it is not there (a reason in `why`); throws Error if signatures of a mean differ without
/// `mix`.
XP_API std::optional<MetricValue> evaluate(const MetricPath& path, const RecordSource& records,
                                           std::string* why = nullptr, std::optional<bool> higher = {});

}  // namespace xp
