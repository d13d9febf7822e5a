#pragma once
// Runs that are read together: all members (arm and seed) of some results, for claims, tables and figures.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/run_log.h"

namespace xp {

/// One arm with one seed of one result. A stage that has not ended has no record.
struct StudyMember {
  std::string arm;
  std::int64_t seed = 0;
  const RecordSource* records = nullptr;      ///< null: planned, nothing there yet
  std::map<std::string, std::string> stages;  ///< node name -> digest
  std::string host, plan_id, file;
  std::string recipe, run;             ///< the recipe's name, and the run's
  const Result* result = nullptr;      ///< that the member is of; null for one made by hand
  std::shared_ptr<const Table> nodes;  ///< where there is no result: the plan's "nodes" by digest, or null
};

/// What the plan says of a member's stage {name, type, settings, seed}; null if nothing.
XP_API const Table* node_of(const StudyMember& member, std::string_view stage);

struct StudyArm {
  std::string name, label;  ///< the label is the name where the recipe gives none
};

struct Study {
  std::string name;
  std::vector<StudyArm> arms;        ///< in the recipe's order
  std::vector<StudyMember> members;  ///< of two with the same arm and seed, the first counts

  /// The first member, or null.
  XP_API const StudyMember* find(std::string_view arm, std::int64_t seed) const;
  /// Ascending.
  XP_API std::vector<std::int64_t> seeds(std::string_view arm) const;
  XP_API const StudyArm* arm(std::string_view name) const;
};

/// Members of all results, which must outlive the study; give the newest first. Throws Error (Exit::data) if a plan
/// is not what RunLog stores.
XP_API Study study_of(const std::vector<const Result*>& results);

/// The value of "stage.synthetic.stop" in a member's resolved settings; null if there is none (a reason in `why`).
XP_API const Value* setting_value(const StudyMember& member, std::string_view key, std::string* why = nullptr);
/// The same as a number: of "stage.synthetic.stop" the value, with units as its amount. Nothing if the
/// member has no such number (a reason in `why`).
XP_API std::optional<double> setting_of(const StudyMember& member, std::string_view key, std::string* why = nullptr);

/// Stages that every seed of the arm shares: their chance is in no interval over seeds.
XP_API std::vector<std::string> shared_stages(const Study& study, std::string_view arm);

}  // namespace xp
