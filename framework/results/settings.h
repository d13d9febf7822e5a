#pragma once
// The resolved settings of members as flat lists, for listings and differences.
#include <functional>
#include <map>
#include <set>
#include <string>

#include "results/difference.h"
#include "results/study.h"

namespace xp::detail {

/// "stage.transfer.initializer.rank" -> "64".
using FlatSettings = std::map<std::string, std::string>;

struct NodeSettings {
  FlatSettings settings;         ///< keys without the stage: "initializer.rank"; of one that draws "seed" too
  FlatSettings data;             ///< of the datasets that it reads, whatever for: "dataset.english.files"
  std::set<std::string> inputs;  ///< stages whose artifacts it takes
};

/// A setting as people read it: texts without quotes, an artifact as the recipe wrote it, with 12 digits of the
/// digest where it is content from outside.
std::string setting_text(const Value& value);

/// A plan's entry of a stage or dataset; null if there is none.
const Table* planned(const Value& plan, std::string_view part, std::string_view digest);

/// The dataset of a stored reference: inside of it (as plans were stored first), else what `by_digest` knows; null if
/// it is of something else.
using DatasetByDigest = std::function<const Table*(std::string_view digest)>;
const Table* dataset_of(const Table& reference, const DatasetByDigest& by_digest);

/// Settings of a stored stage; files stand as name and 12 digits of their sha256, many files as their number.
/// With `that_count` only those that it gives back for a "stage" and each "dataset".
NodeSettings flat_settings(const Table& settings, const DatasetByDigest& datasets,
                           const SettingsThatCount& that_count = {});

/// Those that the plan of a member's result holds; they live as long as the result.
DatasetByDigest datasets_of(const StudyMember& member);

/// Settings of members; what members share is flattened once.
class SettingsReader {
 public:
  /// Of one stage; null if the plan says nothing of it. Lives as long as the reader.
  const NodeSettings* node(const StudyMember& member, const std::string& stage);
  /// Of all stages and of what they read: "stage.transfer.initializer.rank", "dataset.english.files"; without the
  /// stages' seeds, which follow the member's.
  FlatSettings all(const StudyMember& member);

 private:
  std::map<const Table*, NodeSettings> known_;  ///< by what the plan says of a stage
};

}  // namespace xp::detail
