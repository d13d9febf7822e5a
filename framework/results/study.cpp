#include "results/study.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "results/settings.h"
#include "schema/quantity.h"

namespace xp {
namespace {

// What a stored plan says in short.
class PlanReader {
 public:
  explicit PlanReader(const Result& result) : result_(result) {}

  RunOutline outline() const {
    const auto* plan = result_.plan().as<Table>();
    if (!plan) bad("is a " + std::string(type_name(result_.plan())) + ", not a table");
    RunOutline out;
    out.name = text_at(*plan, "name"), out.plan_id = text_at(*plan, "plan_id");
    if (const auto host = result_.attributes().find("host"); host != result_.attributes().end())
      out.host = host->second;
    for (const auto& one : list_at(*plan, "arms")) {
      const auto* arm = one.as<Table>();
      const auto name = arm ? text_at(*arm, "name") : std::string();
      if (!arm || (name.empty() && !arm->contains("name"))) bad("has an arm without a name");
      out.arms.push_back({name, text_at(*arm, "label")});
    }
    for (const auto& one : list_at(*plan, "members")) out.members.push_back(member(one));
    return out;
  }

 private:
  RunOutline::Member member(const Value& value) const {
    const auto* entry = value.as<Table>();
    const auto seed = entry ? entry->find("seed") : Table::const_iterator{};
    if (!entry || seed == entry->end() || !seed->second.as<std::int64_t>()) bad("has a member without a seed");
    RunOutline::Member out{text_at(*entry, "arm"), *seed->second.as<std::int64_t>(), {}};
    if (const auto stages = entry->find("stages"); stages != entry->end() && stages->second.as<Table>())
      for (const auto& [node, digest] : *stages->second.as<Table>())
        if (digest.as<std::string>()) out.stages[node] = *digest.as<std::string>();
    return out;
  }

  [[noreturn]] void bad(const std::string& what) const {
    throw Error(result_.path().string() + ": the stored plan " + what +
                    "; the file was damaged or written by another version",
                Exit::data);
  }

  static std::string text_at(const Table& table, std::string_view key) {
    const auto found = table.find(key);
    const auto* text = found == table.end() ? nullptr : found->second.as<std::string>();
    return text ? *text : std::string();
  }

  const List& list_at(const Table& plan, std::string_view key) const {
    const auto found = plan.find(key);
    const auto* list = found == plan.end() ? nullptr : found->second.as<List>();
    if (!list) bad("has no list " + backquoted(key));
    return *list;
  }

  const Result& result_;
};

void add_members(const Result& result, RunOutline outline, Study& study) {
  for (auto& one : outline.members) {
    StudyMember member;
    member.arm = std::move(one.arm), member.seed = one.seed, member.stages = std::move(one.stages);
    member.records = result.member(member.arm, member.seed);
    member.host = outline.host, member.plan_id = outline.plan_id, member.recipe = outline.name;
    member.file = result.path().string(), member.run = result.path().stem().string(), member.result = &result;
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

RunOutline Result::outline() const { return PlanReader(*this).outline(); }

const Table* Result::node(std::string_view digest) const { return detail::planned(plan(), "nodes", digest); }

const Table* Result::dataset(std::string_view digest) const { return detail::planned(plan(), "datasets", digest); }

Study study_of(const std::vector<const Result*>& results) {
  Study study;
  std::set<std::string> arms;
  for (const auto* result : results) {
    auto outline = result->outline();
    if (study.name.empty()) study.name = outline.name;
    for (auto& arm : outline.arms)
      if (arms.insert(arm.name).second)
        study.arms.push_back({arm.name, arm.label.empty() ? arm.name : std::move(arm.label)});
    add_members(*result, std::move(outline), study);
  }
  return study;
}

const Table* node_of(const StudyMember& member, std::string_view stage) {
  const auto digest = member.stages.find(std::string(stage));
  if (digest == member.stages.end()) return nullptr;
  if (member.result) return member.result->node(digest->second);
  const auto found = member.nodes ? member.nodes->find(digest->second) : Table::const_iterator{};
  return !member.nodes || found == member.nodes->end() ? nullptr : found->second.as<Table>();
}

const Value* setting_value(const StudyMember& member, std::string_view key, std::string* why) {
  const auto say = [&](const std::string& text) -> const Value* {
    if (why) *why = text;
    return nullptr;
  };
  const auto parts = split(key, '.');
  if (parts.size() < 3 || parts[0] != "stage") return say(backquoted(key) + " is not `stage.NAME.PARAMETER`");
  if (!member.stages.contains(parts[1]))
    return say("arm " + backquoted(member.arm) + " has no stage " + backquoted(parts[1]));
  const auto* table = node_of(member, parts[1]);
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
