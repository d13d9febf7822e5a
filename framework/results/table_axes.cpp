#include "results/table_axes.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "results/settings.h"

namespace xp::detail {
namespace {

// Where a member stands on an axis. Values with numbers are ordered by them, others as they were seen.
struct Place {
  std::string name, label;
  double rank = 0;
  std::string stage = {};
};

class Places {
 public:
  explicit Places(const Study& study) {
    for (const auto& arm : study.arms) arms_.emplace(arm.name, std::pair(arm.label, arms_.size()));
    std::set<std::string_view> recipes;
    for (const auto& member : study.members) recipes.insert(member.recipe);
    recipes_ = recipes.size();
  }

  bool several_arms() const { return arms_.size() > 1; }
  bool several_recipes() const { return recipes_ > 1; }

  std::vector<Place> of(const StudyMember& member, const std::string& axis) {
    if (axis == "arm") return {arm(member)};
    if (axis == "recipe") return {{member.recipe, member.recipe}};
    if (axis == "run") return {{member.run, member.run}};
    if (axis == "seed") {
      const auto text = "seed " + std::to_string(member.seed);
      return {{text, text, static_cast<double>(member.seed)}};
    }
    if (axis != "stage") return key(member, axis);
    std::vector<Place> out;
    auto stages = member.records ? member.records->nodes() : std::vector<std::string>();
    std::sort(stages.begin(), stages.end());
    for (const auto& stage : stages) out.push_back({stage, stage, 0, stage});
    return out;
  }

  Place arm(const StudyMember& member) const {
    const auto found = arms_.find(member.arm);
    if (found == arms_.end()) return {member.arm, member.arm, static_cast<double>(arms_.size())};
    return {member.arm, found->second.first, static_cast<double>(found->second.second)};
  }

  const std::string& why() const { return why_; }

 private:
  std::vector<Place> key(const StudyMember& member, const std::string& key) {
    const auto* value = setting_value(member, key, &why_);
    if (!value) return {};
    const auto text = setting_text(*value);
    return {{text, text, setting_of(member, key).value_or(0)}};
  }

  std::map<std::string, std::pair<std::string, std::size_t>, std::less<>> arms_;  ///< label and number
  std::size_t recipes_ = 0;
  std::string why_;
};

// Groups in the order in which they were first seen, found by name.
class Groups {
 public:
  TableGroup& at(const std::string& name, const std::string& label, const std::string& stage,
                 std::array<double, 2> rank) {
    const auto [found, fresh] = index_.try_emplace(name, groups_.size());
    if (fresh) groups_.push_back({{name, label, stage, {}}, rank});
    return groups_[found->second].first;
  }
  std::vector<TableGroup> take() {
    std::stable_sort(groups_.begin(), groups_.end(),
                     [](const auto& a, const auto& b) { return a.second < b.second; });
    std::vector<TableGroup> out;
    for (auto& [group, rank] : groups_) out.push_back(std::move(group));
    return out;
  }

 private:
  std::vector<std::pair<TableGroup, std::array<double, 2>>> groups_;
  std::unordered_map<std::string, std::size_t> index_;
};

[[noreturn]] void no_such_axis(const std::string& axis, std::string_view what, const std::string& why) {
  throw Error(std::string(what) + " = " + backquoted(printable(axis)) + ": " + why + "; " + std::string(what) +
                  " are `arm`, `seed`, `stage`, `recipe`, `run` or a key such as `stage.pretrain.lr`",
              Exit::usage);
}

}  // namespace

std::vector<TableGroup> row_groups(const std::string& rows, const std::string& cols, const Study& study) {
  if (rows == cols)
    throw Error("rows and columns are both " + backquoted(rows) + "; one of them must differ", Exit::usage);
  Places places(study);
  const auto is = [&](std::string_view axis) { return rows == axis || cols == axis; };
  const bool with_recipe = places.several_recipes() && !is("recipe") && !is("run");
  // A seed alone says little, so rows of seeds name their arm even where it is the only one.
  const bool with_arm = !is("arm") && (places.several_arms() || rows == "seed");
  Groups groups;
  for (const auto& member : study.members) {
    const auto arm = places.arm(member);
    std::string name = with_recipe ? member.recipe + ", " : "", label = name;
    if (with_arm) name += arm.name + ", ", label += arm.label + ", ";
    for (const auto& place : places.of(member, rows))
      groups.at(name + place.name, label + place.label, place.stage, {with_arm ? arm.rank : 0, place.rank})
          .members.push_back(&member);
  }
  if (rows == "arm" && !with_recipe)
    for (std::size_t i = 0; i < study.arms.size(); ++i)
      groups.at(study.arms[i].name, study.arms[i].label, {}, {0, static_cast<double>(i)});
  auto out = groups.take();
  if (out.empty() && !study.members.empty() && rows != "stage") no_such_axis(rows, "rows", places.why());
  return out;
}

std::vector<TableGroup> column_groups(const std::string& cols, const Study& study) {
  Places places(study);
  Groups groups;
  for (const auto& member : study.members)
    for (const auto& place : places.of(member, cols))
      groups.at(place.name, place.label, place.stage, {0, place.rank}).members.push_back(&member);
  auto out = groups.take();
  if (out.empty() && !study.members.empty())
    no_such_axis(cols, "cols", cols == "stage" ? "no stage has ended" : places.why());
  return out;
}

std::vector<TableGroup> listed_groups(const Study& study) {
  const Places places(study);
  std::set<std::string_view> runs;
  for (const auto& member : study.members) runs.insert(member.run);
  std::vector<TableGroup> out;
  for (const auto& member : study.members) {
    const auto seed = std::to_string(member.seed);
    std::string label = places.several_recipes() ? member.recipe + ", " : "";
    if (runs.size() > 1) label += member.run + ", ";
    if (places.several_arms() || runs.size() == 1) label += places.arm(member).label + ", ";
    const auto front = member.run.empty() ? "" : member.run + "/";
    out.push_back({front + member.arm + "/" + seed, label + "seed " + seed, {}, {&member}});
  }
  return out;
}

std::vector<const StudyMember*> one_for_each_seed(const TableGroup& group, const MemberSet* within) {
  std::map<std::int64_t, const StudyMember*> first;
  for (const auto* member : group.members)
    if (!within || within->contains(member)) first.try_emplace(member->seed, member);
  std::vector<const StudyMember*> out;
  for (const auto& [seed, member] : first) out.push_back(member);
  return out;
}

}  // namespace xp::detail
