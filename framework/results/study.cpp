#include "results/study.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "schema/quantity.h"

namespace xp {
namespace {

[[noreturn]] void bad_plan(const Result& result, const std::string& what) {
  throw Error(
      result.path().string() + ": the stored plan " + what + "; the file was damaged or written by another version",
      Exit::data);
}

std::string text_at(const Table& table, std::string_view key) {
  const auto found = table.find(key);
  const auto* text = found == table.end() ? nullptr : found->second.as<std::string>();
  return text ? *text : std::string();
}

const List& list_at(const Result& result, const Table& plan, std::string_view key) {
  const auto found = plan.find(key);
  const auto* list = found == plan.end() ? nullptr : found->second.as<List>();
  if (!list) bad_plan(result, "has no list " + backquoted(key));
  return *list;
}

void add_arms(const Result& result, const Table& plan, Study& study) {
  for (const auto& one : list_at(result, plan, "arms")) {
    const auto* arm = one.as<Table>();
    const auto name = arm ? text_at(*arm, "name") : std::string();
    if (!arm || (name.empty() && !arm->contains("name"))) bad_plan(result, "has an arm without a name");
    if (study.arm(name)) continue;
    const auto label = text_at(*arm, "label");
    study.arms.push_back({name, label.empty() ? name : label});
  }
}

void add_members(const Result& result, const Table& plan, Study& study) {
  std::shared_ptr<const Table> nodes;
  if (const auto found = plan.find("nodes"); found != plan.end() && found->second.as<Table>())
    nodes = std::make_shared<const Table>(*found->second.as<Table>());
  const auto host = result.attributes().find("host");
  for (const auto& one : list_at(result, plan, "members")) {
    const auto* entry = one.as<Table>();
    const auto seed = entry ? entry->find("seed") : Table::const_iterator{};
    if (!entry || seed == entry->end() || !seed->second.as<std::int64_t>())
      bad_plan(result, "has a member without a seed");
    StudyMember member;
    member.arm = text_at(*entry, "arm"), member.seed = *seed->second.as<std::int64_t>();
    if (const auto stages = entry->find("stages"); stages != entry->end() && stages->second.as<Table>())
      for (const auto& [node, digest] : *stages->second.as<Table>())
        if (digest.as<std::string>()) member.stages[node] = *digest.as<std::string>();
    member.records = result.member(member.arm, member.seed);
    member.host = host == result.attributes().end() ? std::string() : host->second;
    member.plan_id = text_at(plan, "plan_id"), member.file = result.path().string(), member.nodes = nodes;
    member.recipe = text_at(plan, "name"), member.run = result.path().stem().string();
    study.members.push_back(std::move(member));
  }
}

// "200 kB" is 200000, 3 is 3; a ramp, a list or a word is no number.
std::optional<double> number_of(const Value& value) {
  if (value.is_number()) return value.number();
  if (const auto* text = value.as<std::string>())
    if (const auto quantity = parse_quantity(*text)) return quantity->amount;
  return {};
}

}  // namespace

const StudyMember* Study::find(std::string_view arm, std::int64_t seed) const {
  for (const auto& member : members)
    if (member.arm == arm && member.seed == seed) return &member;
  return nullptr;
}

std::vector<std::int64_t> Study::seeds(std::string_view arm) const {
  std::set<std::int64_t> out;
  for (const auto& member : members)
    if (member.arm == arm) out.insert(member.seed);
  return {out.begin(), out.end()};
}

const StudyArm* Study::arm(std::string_view name) const {
  const auto found = std::find_if(arms.begin(), arms.end(), [&](const StudyArm& a) { return a.name == name; });
  return found == arms.end() ? nullptr : &*found;
}

Study study_of(const std::vector<const Result*>& results) {
  Study study;
  for (const auto* result : results) {
    const auto* plan = result->plan().as<Table>();
    if (!plan) bad_plan(*result, "is a " + std::string(type_name(result->plan())) + ", not a table");
    if (study.name.empty()) study.name = text_at(*plan, "name");
    add_arms(*result, *plan, study);
    add_members(*result, *plan, study);
  }
  return study;
}

const Value* setting_value(const StudyMember& member, std::string_view key, std::string* why) {
  const auto say = [&](const std::string& text) -> const Value* {
    if (why) *why = text;
    return nullptr;
  };
  const auto parts = split(key, '.');
  if (parts.size() < 3 || parts[0] != "stage") return say(backquoted(key) + " is not `stage.NAME.PARAMETER`");
  const auto digest = member.stages.find(parts[1]);
  if (digest == member.stages.end())
    return say("arm " + backquoted(member.arm) + " has no stage " + backquoted(parts[1]));
  const auto node = member.nodes ? member.nodes->find(digest->second) : Table::const_iterator{};
  const auto* table = member.nodes && node != member.nodes->end() ? node->second.as<Table>() : nullptr;
  const auto* value = table ? find(*table, "settings." + join({parts.begin() + 2, parts.end()}, ".")) : nullptr;
  return value ? value : say("the stored plan says no " + backquoted(key));
}

std::optional<double> setting_of(const StudyMember& member, std::string_view key, std::string* why) {
  const auto* value = setting_value(member, key, why);
  if (!value) return {};
  const auto number = number_of(*value);
  if (!number && why) *why = backquoted(key) + " is " + to_text(*value) + ", not a number";
  return number;
}

std::vector<std::string> shared_stages(const Study& study, std::string_view arm) {
  std::map<std::string, std::set<std::string>> digests;
  const auto seeds = study.seeds(arm);
  for (const auto seed : seeds)
    for (const auto& [node, digest] : study.find(arm, seed)->stages) digests[node].insert(digest);
  std::vector<std::string> out;
  for (const auto& [node, all] : digests)
    if (seeds.size() > 1 && all.size() == 1) out.push_back(node);
  return out;
}

}  // namespace xp
