#include "results/difference.h"

#include <algorithm>

#include "base/text.h"
#include "results/difference_parts.h"
#include "results/settings.h"

namespace xp {
namespace {

using detail::FlatSettings;
using detail::MemberPair;
using detail::NodeSettings;
using detail::PairSet;

constexpr std::size_t kShownDigits = 12;

// Attributes that are part of a stage's identity, or of the program that made it.
constexpr std::string_view kProgram[] = {"precision", "device",   "determinism", "processes",
                                         "engine",    "libtorch", "build",       "xp"};
// Where and how a run was made.
constexpr std::string_view kMachine[] = {"host", "cpu", "system", "threads_per_stage", "exclusive"};
// Told elsewhere or by the sides' names.
constexpr std::string_view kSilent[] = {"plugins", "plan_id", "run", "recipe_name"};

template <std::size_t n>
bool one_of(std::string_view key, const std::string_view (&list)[n]) {
  return std::find(std::begin(list), std::end(list), key) != std::end(list);
}

std::string attribute(const DifferenceSide& side, const std::string& key) {
  const auto found = side.attributes.find(key);
  return found == side.attributes.end() ? std::string() : found->second;
}

// "name sha256" a line.
std::map<std::string, std::string> plugins_of(const DifferenceSide& side) {
  std::map<std::string, std::string> out;
  for (const auto& line : split(attribute(side, "plugins"), '\n'))
    if (const auto space = line.find(' '); space != std::string::npos)
      out[line.substr(0, space)] = line.substr(space + 1, kShownDigits);
  return out;
}

std::string plan_text(const DifferenceSide& side, std::string_view key) {
  const auto* plan = side.plan.as<Table>();
  const auto found = plan ? plan->find(key) : Table::const_iterator{};
  if (!plan || found == plan->end()) return {};
  const auto* text = found->second.as<std::string>();
  return text ? *text : to_text(found->second);
}

class PlanComparer {
 public:
  PlanComparer(const DifferenceSide& before, const DifferenceSide& after, const SettingsThatCount& that_count)
      : before_(before),
        after_(after),
        that_count_(that_count),
        pairs_(detail::common_members(before.study, after.study)) {
    out_.before = before.name, out_.after = after.name;
    members();
    for (std::size_t i = 0; i < pairs_.size(); ++i) pair(i);
    const auto found =
        std::any_of(changes_.begin(), changes_.end(), [](const auto& one) { return one.first.counts; });
    out_.same = !found && stages_.empty();
    out_.same_plan = plan_text(before, "plan_id") == plan_text(after, "plan_id");
    program();
    add_found();
    add_stages();
    run();
    words();
  }

  Difference take() { return std::move(out_); }

 private:
  // A change before it is known for which members it holds.
  struct Found {
    bool counts;
    std::string part, key, before, after;
    auto operator<=>(const Found&) const = default;
  };
  struct FoundStage {
    std::string stage;
    std::vector<std::string> own, inputs;
    auto operator<=>(const FoundStage&) const = default;
  };

  void members() {
    const auto arms = [&](const Study& of, const Study& other, bool first) {
      for (const auto& arm : of.arms)
        if (!other.arm(arm.name))
          found_nowhere("members", "arm " + arm.name, first ? "there" : "", first ? "" : "there");
    };
    arms(before_.study, after_.study, true), arms(after_.study, before_.study, false);
    for (const auto& arm : before_.study.arms) {
      if (!after_.study.arm(arm.name)) continue;
      const auto left = before_.study.seeds(arm.name), right = after_.study.seeds(arm.name);
      if (left != right) found_nowhere("members", "seeds of " + arm.name, seeds_text(left), seeds_text(right));
    }
  }

  static std::string seeds_text(const std::vector<std::int64_t>& seeds) {
    std::vector<std::string> out;
    for (const auto seed : seeds) out.push_back(std::to_string(seed));
    return join(out, " ");
  }

  void found_nowhere(const std::string& part, const std::string& key, const std::string& a, const std::string& b) {
    changes_[{true, part, key, a, b}];
  }

  void pair(std::size_t index) {
    const auto& [before, after] = pairs_[index];
    for (const auto& [stage, digest] : before->stages) {
      const auto other = after->stages.find(stage);
      if (other == after->stages.end())
        changes_[{true, "members", "stage " + stage, "there", ""}].insert(index);
      else
        compare_stage(index, stage, digest == other->second);
    }
    for (const auto& [stage, digest] : after->stages)
      if (!before->stages.contains(stage)) changes_[{true, "members", "stage " + stage, "", "there"}].insert(index);
  }

  void compare_stage(std::size_t index, const std::string& stage, bool equal) {
    const auto& [before, after] = pairs_[index];
    const auto *left = left_.node(*before, stage), *right = right_.node(*after, stage);
    FoundStage found{stage, {}, {}};
    const NodeSettings none;
    const auto& a = left ? *left : none;
    const auto& b = right ? *right : none;
    // Stages of one identity have nothing that counts and differs.
    const auto counted_a = equal ? none : counted(*before, stage), counted_b = equal ? none : counted(*after, stage);
    compare(index, "settings", "stage." + stage + ".",
            {a.settings, b.settings, counted_a.settings, counted_b.settings}, found.own);
    compare(index, "data", "", {a.data, b.data, counted_a.data, counted_b.data}, found.own);
    if (equal) return;
    for (const auto& input : a.inputs)
      if (b.inputs.contains(input)) {
        const auto x = before->stages.find(input), y = after->stages.find(input);
        if (x != before->stages.end() && y != after->stages.end() && x->second != y->second)
          found.inputs.push_back(input);
      }
    for (const auto* side : {&a, &b}) needs_[stage].insert(side->inputs.begin(), side->inputs.end());
    stages_[found].insert(index);
  }

  // Settings that change results; all of them if nobody can tell.
  NodeSettings counted(const StudyMember& member, const std::string& stage) {
    const auto* table = node_of(member, stage);
    const auto [at, fresh] = counted_.try_emplace(table);
    if (!fresh || !table) return at->second;
    const auto* settings = find(*table, "settings");
    if (settings && settings->as<Table>()) {
      at->second = detail::flat_settings(*settings->as<Table>(), detail::datasets_of(member), that_count_);
      if (find(*table, "seed")) at->second.settings.emplace("seed", "");
    }
    return at->second;
  }

  // Settings of both sides, and those of them that count.
  struct Compared {
    const FlatSettings &a, &b, &counted_a, &counted_b;
  };

  void compare(std::size_t index, const std::string& part, const std::string& front, const Compared& all,
               std::vector<std::string>& own) {
    std::set<std::string> keys;
    for (const auto* side : {&all.a, &all.b})
      for (const auto& [key, text] : *side) keys.insert(key);
    const auto text = [](const FlatSettings& of, const std::string& key) {
      const auto found = of.find(key);
      return found == of.end() ? std::string() : found->second;
    };
    for (const auto& key : keys) {
      if (text(all.a, key) == text(all.b, key) && all.a.contains(key) == all.b.contains(key)) continue;
      const bool counts = all.counted_a.contains(key) || all.counted_b.contains(key);
      changes_[{counts, part, front + key, text(all.a, key), text(all.b, key)}].insert(index);
      if (counts) own.push_back(key);
    }
  }

  // The longest way to each stage over its inputs. A damaged plan may go in circles, so no more rounds than stages.
  std::map<std::string, std::size_t> depths() const {
    std::map<std::string, std::size_t> out;
    for (std::size_t round = 0; round < needs_.size(); ++round)
      for (const auto& [stage, inputs] : needs_)
        for (const auto& input : inputs)
          if (needs_.contains(input)) out[stage] = std::max(out[stage], out[input] + 1);
    return out;
  }

  void program() {
    const auto left = plugins_of(before_), right = plugins_of(after_);
    std::set<std::string> names;
    for (const auto* side : {&left, &right})
      for (const auto& [name, hash] : *side) names.insert(name);
    const auto text = [](const std::map<std::string, std::string>& of, const std::string& name) {
      const auto found = of.find(name);
      return found == of.end() ? std::string() : found->second;
    };
    for (const auto& name : names) add_program("plugins", name, text(left, name), text(right, name));
    for (const auto key : kProgram)
      add_program("program", std::string(key), attribute(before_, std::string(key)),
                  attribute(after_, std::string(key)));
  }

  // What stages of the same identity were made with did not change them.
  void add_program(const std::string& part, const std::string& key, const std::string& a, const std::string& b) {
    if (a == b) return;
    (out_.same ? out_.cannot : out_.can).push_back({part, key, a, b, {}});
    if (!out_.same) causes_.push_back(part == "plugins" ? "plugin " + key : key);
  }

  void add_found() {
    for (const auto& [found, pairs] : changes_)
      (found.counts ? out_.can : out_.cannot)
          .push_back({found.part, found.key, found.before, found.after,
                      pairs.empty() ? std::vector<std::string>() : detail::names_of_pairs(pairs, pairs_)});
  }

  void add_stages() {
    auto depth = depths();
    for (const auto& [found, pairs] : stages_) {
      StageChange one{found.stage, found.own, found.inputs, found.inputs.empty(),
                      detail::names_of_pairs(pairs, pairs_)};
      if (one.own.empty() && one.inputs.empty()) one.own = causes_;
      out_.stages.push_back(std::move(one));
    }
    std::stable_sort(out_.stages.begin(), out_.stages.end(), [&](const StageChange& a, const StageChange& b) {
      return std::pair(depth[a.stage], a.stage) < std::pair(depth[b.stage], b.stage);
    });
  }

  void run() {
    std::set<std::string> keys;
    for (const auto* side : {&before_, &after_})
      for (const auto& [key, value] : side->attributes) keys.insert(key);
    for (const auto& key : keys) {
      const auto a = attribute(before_, key), b = attribute(after_, key);
      if (a == b || one_of(key, kProgram) || one_of(key, kSilent)) continue;
      if (key == "recipe")
        out_.cannot.push_back({"words",
                               "text of the recipe",
                               count(split(a, '\n').size(), "line"),
                               count(split(b, '\n').size(), "line"),
                               {}});
      else
        out_.cannot.push_back({one_of(key, kMachine) ? "machine" : "run", key, a, b, {}});
    }
  }

  // What a plan says for people: none of it is part of a stage.
  void words() {
    for (const auto* key : {"name", "summary"})
      if (plan_text(before_, key) != plan_text(after_, key))
        out_.cannot.push_back({"words", key, plan_text(before_, key), plan_text(after_, key), {}});
    for (const auto& arm : before_.study.arms)
      if (const auto* other = after_.study.arm(arm.name); other && other->label != arm.label)
        out_.cannot.push_back({"words", "label of " + arm.name, arm.label, other->label, {}});
    for (const std::string key : {"claims", "tables", "figures"}) words_of(key);
  }

  // Claims, tables and figures by their ids.
  void words_of(const std::string& key) {
    const auto left = by_id(before_, key), right = by_id(after_, key);
    std::set<std::string> ids;
    for (const auto* side : {&left, &right})
      for (const auto& [id, text] : *side) ids.insert(id);
    for (const auto& id : ids) {
      const auto a = left.find(id), b = right.find(id);
      if (a != left.end() && b != right.end() && a->second == b->second) continue;
      const bool both = a != left.end() && b != right.end();
      out_.cannot.push_back({"words",
                             key.substr(0, key.size() - 1) + " " + id,
                             a == left.end() ? ""
                             : both          ? "as it was"
                                             : "there",
                             b == right.end() ? ""
                             : both           ? "another"
                                              : "there",
                             {}});
    }
  }

  static std::map<std::string, std::string> by_id(const DifferenceSide& side, const std::string& key) {
    std::map<std::string, std::string> out;
    const auto* plan = side.plan.as<Table>();
    const auto found = plan ? plan->find(key) : Table::const_iterator{};
    const auto* list = !plan || found == plan->end() ? nullptr : found->second.as<List>();
    if (!list) return out;
    for (const auto& one : *list)
      if (const auto* table = one.as<Table>(); table && find(*table, "id"))
        out[detail::setting_text(*find(*table, "id"))] = to_text(one);
    return out;
  }

  const DifferenceSide &before_, &after_;
  const SettingsThatCount& that_count_;
  std::vector<MemberPair> pairs_;
  Difference out_;
  std::map<Found, PairSet> changes_;
  std::map<FoundStage, PairSet> stages_;
  detail::SettingsReader left_, right_;
  std::map<const Table*, NodeSettings> counted_;
  std::map<std::string, std::set<std::string>> needs_;  ///< inputs of the stages that differ
  std::vector<std::string> causes_;                     ///< what differs in program and plugins
};

}  // namespace

namespace detail {

std::vector<MemberPair> common_members(const Study& before, const Study& after) {
  std::vector<MemberPair> out;
  for (const auto& arm : before.arms)
    for (const auto seed : before.seeds(arm.name))
      if (const auto* other = after.find(arm.name, seed)) out.push_back({before.find(arm.name, seed), other});
  return out;
}

std::vector<std::string> names_of_pairs(const PairSet& of, const std::vector<MemberPair>& all) {
  if (of.size() == all.size()) return {};
  std::map<std::string, std::pair<std::size_t, std::size_t>> seen;  ///< arm -> pairs of it here, and in all
  std::vector<std::string> arms, out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& [here, total] = seen[all[i].before->arm];
    if (total++ == 0) arms.push_back(all[i].before->arm);
    here += of.contains(i);
  }
  for (const auto& arm : arms) {
    const auto [here, total] = seen[arm];
    if (here == total) out.push_back(arm);
    if (here == total || here == 0) continue;
    for (const auto i : of)
      if (all[i].before->arm == arm) out.push_back(arm + ", seed " + std::to_string(all[i].before->seed));
  }
  return out;
}

}  // namespace detail

DifferenceSide side_of(const Result& result) {
  const auto& path = result.path();
  return {path.parent_path().filename().string() + "/" + path.stem().string(), result.attributes(), result.plan(),
          study_of({&result})};
}

Difference difference_of(const DifferenceSide& before, const DifferenceSide& after,
                         const SettingsThatCount& that_count, const std::vector<std::string>& metrics) {
  auto out = PlanComparer(before, after, that_count).take();
  out.numbers = detail::number_changes(before, after, metrics);
  return out;
}

}  // namespace xp
