// Results as reports read them.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "results/report_parts.h"
#include "results/stage_depths.h"

namespace xp::detail {
namespace {

std::string type_of(const Result& result, const std::string& digest) {
  const auto* table = result.node(digest);
  const auto* type = table ? find(*table, "type") : nullptr;
  return type && type->as<std::string>() ? *type->as<std::string>() : std::string();
}

std::vector<ReportStage> stages_of(const Result& result, const Study& so_far) {
  std::map<std::string, StageStatus> statuses;
  for (auto& one : result.stages()) statuses[one.digest] = one;
  std::vector<ReportStage> out;
  std::map<std::string, std::size_t> places;
  for (const auto& member : so_far.members) {
    for (const auto& [name, digest] : member.stages) {
      const auto [at, fresh] = places.try_emplace(digest, out.size());
      if (fresh) {
        const auto* record = member.records ? member.records->record(name) : nullptr;
        out.push_back({digest, name, type_of(result, digest), statuses[digest], {}, record, 0});
      }
      out[at->second].users.push_back(&member);
    }
  }
  StageDepths depths(result.plan());
  for (auto& stage : out) stage.depth = depths.of(stage.digest);
  // A name stands as deep as its first stage, so that stages of one name stay together.
  std::map<std::string, std::size_t> by_name;
  for (const auto& stage : out) {
    const auto at = by_name.try_emplace(stage.name, stage.depth).first;
    at->second = std::min(at->second, stage.depth);
  }
  std::stable_sort(out.begin(), out.end(), [&](const ReportStage& a, const ReportStage& b) {
    return std::pair(by_name[a.name], a.name) < std::pair(by_name[b.name], b.name);
  });
  return out;
}

std::string letter_of(std::size_t run) {
  constexpr std::size_t kLetters = 26;
  return run < kLetters ? std::string(1, static_cast<char>('A' + run)) : std::to_string(run + 1);
}

std::string arm_in(const ReportRun& run, const std::string& arm) {
  return run.letter.empty() ? arm : run.letter + "/" + arm;
}

template <class T>
std::string all_or(const std::set<T>& some, const std::set<T>& all, const std::string& noun,
                   const std::string& listed) {
  return some == all && all.size() > 1 ? "all " + noun + "s" : listed;
}

}  // namespace

std::string ReportRun::attribute(const std::string& key) const {
  const auto found = result->attributes().find(key);
  return found == result->attributes().end() ? std::string() : found->second;
}

std::string ReportRun::label(const StudyMember& member) const {
  const auto* arm = study.arm(member.arm);
  return arm && !arm->label.empty() ? arm->label : member.arm;
}

std::string ReportRun::users(const ReportStage& stage) const {
  std::set<std::string> arms, all_arms;
  std::set<std::int64_t> seeds, all_seeds;
  for (const auto& member : study.members) all_arms.insert(member.arm), all_seeds.insert(member.seed);
  std::vector<std::string> labels, numbers;
  for (const auto* member : stage.users) {
    if (arms.insert(member->arm).second) labels.push_back(label(*member));
    if (seeds.insert(member->seed).second) numbers.push_back(std::to_string(member->seed));
  }
  const auto who = all_or(arms, all_arms, "arm", join(labels, ", "));
  const auto which = all_or(seeds, all_seeds, "seed", (seeds.size() == 1 ? "seed " : "seeds ") + join(numbers, ", "));
  return who.empty() ? which : who + ", " + which;
}

std::vector<ReportRun> runs_of(const std::vector<const Result*>& results) {
  std::vector<ReportRun> out(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    auto& run = out[i];
    run.result = results[i];
    if (results.size() > 1) run.letter = letter_of(i);
    run.study = study_of({results[i]}), run.so_far = run.study;
    for (auto& member : run.so_far.members) member.records = results[i]->member(member.arm, member.seed, true);
    run.stages = stages_of(*results[i], run.so_far);
    try {
      if (const auto claims = claims_from(results[i]->plan()); !claims.empty())
        run.verdicts = judge(claims, run.study);
    } catch (const Error& error) {
      run.problem = error.what();  // one claim that cannot be read must not cost the rest of the page
    }
  }
  return out;
}

Study side_by_side(const std::vector<const ReportRun*>& runs, bool so_far) {
  Study out;
  std::vector<std::string> names;  // of arms, so that one arm's runs stand one below the other
  for (const auto* run : runs) {
    if (out.name.empty()) out.name = run->study.name;
    for (const auto& arm : run->study.arms)
      if (std::find(names.begin(), names.end(), arm.name) == names.end()) names.push_back(arm.name);
    for (auto member : (so_far ? run->so_far : run->study).members) {
      member.arm = arm_in(*run, member.arm);
      out.members.push_back(std::move(member));
    }
  }
  for (const auto& name : names)
    for (const auto* run : runs) {
      const auto* arm = run->study.arm(name);
      if (!arm) continue;
      auto label = !arm->label.empty() ? arm->label : name.empty() ? run->study.name : name;
      if (!run->letter.empty()) label += " (" + run->letter + ")";
      out.arms.push_back({arm_in(*run, name), std::move(label)});
    }
  return out;
}

}  // namespace xp::detail
