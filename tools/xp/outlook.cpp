#include "outlook.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "kit/word_counts.h"
#include "results/counters.h"
#include "schema/quantity.h"

namespace xp::program {
namespace {

constexpr std::size_t kMost = 8;    // earlier stages that one is held against, the newest
constexpr std::size_t kRead = 300;  // entries of the cache that are read: `check` stays quick however many there are

using Entries = std::vector<const CacheEntry*>;

std::optional<Quantity> stop_of(const PlanNode& node) {
  const auto* stop = find(node.settings, "stop");
  return stop && stop->as<std::string>() ? parse_quantity(*stop->as<std::string>()) : std::nullopt;
}

/// Earlier stages by what makes them alike, newest first.
class Earlier {
 public:
  Earlier(const std::vector<CacheEntry>& entries, const std::string& recipe) {
    Entries newest;
    for (const auto& entry : entries) newest.push_back(&entry);
    std::sort(newest.begin(), newest.end(), [](const auto* a, const auto* b) { return a->made > b->made; });
    for (const auto* entry : newest) {
      if (!entry->settings.empty()) add(equal_[entry->stage_type + " " + entry->settings], entry);
      if (entry->recipe == recipe) add(named_[entry->stage_type + " " + entry->stage_name], entry);
      add(kind_[entry->stage_type], entry);
    }
  }

  /// Those that are most like `node`; empty if no stage of its kind ran. `equal` says whether their settings are its.
  const Entries& like(const PlanNode& node, bool& equal) const {
    static const Entries none;
    const auto same = equal_.find(node.type + " " + settings_digest(node));
    equal = same != equal_.end();
    if (equal) return same->second;
    if (const auto found = named_.find(node.type + " " + node.name); found != named_.end()) return found->second;
    const auto found = kind_.find(node.type);
    return found == kind_.end() ? none : found->second;
  }

 private:
  static void add(Entries& to, const CacheEntry* entry) {
    if (to.size() < kMost) to.push_back(entry);
  }
  std::map<std::string, Entries> equal_, named_, kind_;
};

/// How many times the amount of `entries` together a stage that stops at `stop` will count; nothing if they do not
/// count its unit.
std::optional<double> ratio(const std::optional<Quantity>& stop, const Entries& entries) {
  if (!stop) return std::nullopt;
  double sum = 0;
  for (const auto* entry : entries) sum += counted(entry->counters, stop->unit).value_or(0);
  return sum > 0 ? std::optional(stop->amount / sum) : std::nullopt;
}

void add(Outlook& ahead, const PlanNode& node, const Entries& entries) {
  const auto stop = stop_of(node);
  if (entries.empty()) {
    ++ahead.unknown;
    if (stop && stop->unit == Unit::tokens) ahead.tokens += stop->amount;
    if (stop && stop->unit == Unit::flops) ahead.flops += stop->amount;
    return;
  }
  const auto n = static_cast<double>(entries.size());
  const double per_count = ratio(stop, entries).value_or(1 / n);
  for (const auto* entry : entries) {
    const auto& counters = entry->counters;
    ahead.tokens += static_cast<double>(counters.input_tokens) * per_count;
    ahead.flops += counters.flops * per_count;
    // What is not training (loading, saving, evaluation) does not grow with its amount.
    ahead.seconds += counters.seconds * per_count + std::max(entry->seconds - counters.seconds, 0.0) / n;
    ahead.bytes += static_cast<double>(entry->bytes) / n;
    ahead.memory = std::max(ahead.memory, counters.memory);
  }
}

std::size_t stages_at_once(const Plan& plan) {
  const bool one = plan.setting.processes > 1 || plan.setting.threads <= 0 ||
                   std::any_of(plan.claims.begin(), plan.claims.end(), [](const auto& c) { return c.exclusive; });
  const auto cores = thread_count(0);
  return one ? 1 : std::max<std::size_t>(1, cores / static_cast<std::size_t>(plan.setting.threads));
}

}  // namespace

Outlook outlook(const Plan& plan, const Cache& cache) {
  Outlook ahead;
  ahead.at_once = stages_at_once(plan);
  std::vector<const PlanNode*> missing;
  std::error_code none;
  for (const auto& node : plan.nodes)
    if (!std::filesystem::exists(cache.folder() / node.digest, none)) missing.push_back(&node);
  ahead.to_run = missing.size(), ahead.cached = plan.nodes.size() - missing.size();
  if (missing.empty()) return ahead;
  const auto entries = cache.recent(kRead);
  const Earlier earlier(entries, plan.name);
  for (const auto* node : missing) {
    bool equal = false;
    const auto& like = earlier.like(*node, equal);
    if (!equal && !like.empty()) ++ahead.guessed;
    add(ahead, *node, like);
  }
  return ahead;
}

std::string outlook_text(const Plan& plan, const Outlook& ahead) {
  std::string out = plan.name + ": " + count(plan.members.size(), "run") + " (arm and seed), " +
                    count(ahead.to_run, "stage") + " to run, " + std::to_string(ahead.cached) + " cached\n";
  if (ahead.to_run == 0) return out;
  std::vector<std::string> costs;
  if (ahead.tokens > 0) costs.push_back(short_number(ahead.tokens) + " tokens to train on");
  if (ahead.flops > 0) costs.push_back(short_number(ahead.flops) + " FLOPs");
  if (ahead.seconds > 0) {
    costs.push_back(duration_text(ahead.seconds) + " of work");
    if (ahead.at_once > 1)
      costs.back() += " (" + duration_text(ahead.seconds / static_cast<double>(ahead.at_once)) + " with " +
                      std::to_string(ahead.at_once) + " stages at once)";
    costs.push_back(bytes_text(ahead.bytes) + " of disk");
  }
  if (ahead.memory > 0) costs.push_back(bytes_text(ahead.memory) + " of memory");
  if (!costs.empty()) out += "about " + join(costs, ", ") + "\n";
  if (ahead.unknown > 0)
    out += "no earlier stage tells about " + std::to_string(ahead.unknown) +
           " of them; a run of one seed, or with --smoke, would\n";
  if (ahead.guessed > 0)
    out += std::to_string(ahead.guessed) +
           " of them are judged by stages with other settings; after a run of one seed the "
           "estimate is better\n";
  return out;
}

Table to_table(const Outlook& ahead) {
  return {{"to_run", static_cast<std::int64_t>(ahead.to_run)},
          {"cached", static_cast<std::int64_t>(ahead.cached)},
          {"unknown", static_cast<std::int64_t>(ahead.unknown)},
          {"guessed", static_cast<std::int64_t>(ahead.guessed)},
          {"at_once", static_cast<std::int64_t>(ahead.at_once)},
          {"tokens", ahead.tokens},
          {"flops", ahead.flops},
          {"seconds", ahead.seconds},
          {"disk", ahead.bytes},
          {"memory", ahead.memory}};
}

}  // namespace xp::program
