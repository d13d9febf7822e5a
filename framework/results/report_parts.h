#pragma once
// What the parts of a report share. Included by results/report_*.cpp only.
#include <string>
#include <vector>

#include "results/claims.h"
#include "results/study.h"

namespace xp::detail {

/// One stage of a run, with one of the members that use it.
struct ReportStage {
  std::string digest, name, type;
  StageStatus status;
  std::vector<const StudyMember*> users;
  const StageRecord* record = nullptr;  ///< of an unfinished stage too; null: there is none
  std::size_t depth = 0;                ///< stages that it waits for, one behind the other
};

struct ReportRun {
  const Result* result = nullptr;
  std::string letter;               ///< "A"; empty where there is one run
  Study study;                      ///< what is finished
  Study so_far;                     ///< with what unfinished stages recorded
  std::vector<ReportStage> stages;  ///< in the order of the graph, then of the arms
  std::vector<Verdict> verdicts;
  std::string problem;  ///< why there are no verdicts

  std::string attribute(const std::string& key) const;  ///< empty if there is none
  std::string label(const StudyMember& member) const;   ///< "OFA, rank 64"
  std::string users(const ReportStage& stage) const;    ///< "all arms, seed 0"
};

std::vector<ReportRun> runs_of(const std::vector<const Result*>& results);
/// Runs as one study in which each arm stands once for each run: "OFA, rank 64 (A)". `so_far`: see ReportRun.
Study side_by_side(const std::vector<const ReportRun*>& runs, bool so_far);

// Parts as markup; empty where there is nothing to say.
std::string runs_part(const std::vector<ReportRun>& runs);
std::string claims_part(const std::vector<ReportRun>& runs);
std::string tables_part(const std::vector<ReportRun>& runs);
std::string figures_part(const std::vector<ReportRun>& runs);
std::string numbers_part(const std::vector<ReportRun>& runs);
std::string arms_part(const std::vector<ReportRun>& runs);
std::string stages_part(const std::vector<ReportRun>& runs);
std::string records_part(const std::vector<ReportRun>& runs);
std::string log_part(const std::vector<ReportRun>& runs);
std::string recipe_part(const std::vector<ReportRun>& runs);
std::string environment_part(const std::vector<ReportRun>& runs);

/// "PASS" with its mark and colour.
std::string badge(Outcome outcome);
/// A heading that says which run a part is about, where there are several.
std::string run_heading(const ReportRun& run);

}  // namespace xp::detail
