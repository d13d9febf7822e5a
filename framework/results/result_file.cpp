#include "results/result_file.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "results/cache_files.h"
#include "results/journal.h"
#include "results/stored_json.h"
#include "results/wire.h"

namespace xp::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kJournalFormat = 1;
constexpr std::array<std::string_view, 5> kOwnGroups = {"records", "plan", "recipe", "recipe_files", "log"};

void take(RunContent& run, std::uint8_t kind, std::string_view payload, const std::string& where) {
  Unpacker in(payload);
  switch (static_cast<RunEntry>(kind)) {
    case RunEntry::begin: {
      if (const auto format = in.u32(); format != kJournalFormat)
        throw Error("it is of format " + std::to_string(format) + "; this program reads format " +
                        std::to_string(kJournalFormat),
                    Exit::data);
      run.process.host = in.text(), run.process.machine = in.text();
      run.process.pid = in.i64(), run.process.start = in.i64();
      for (auto n = in.u32(); n > 0; --n) {
        const std::string key(in.text());
        run.attributes[key] = in.text();
      }
      return;
    }
    case RunEntry::plan: run.plan = stored_object(payload, where); return;
    case RunEntry::stage: {
      const std::string digest(in.text());
      check_digest(digest);
      run.status[digest] = in.text();
      return;
    }
    case RunEntry::line: run.log.emplace_back(in.text()); return;
  }
  throw Error("it holds a record of the unknown kind " + std::to_string(kind), Exit::data);
}

void write_stages(Hdf5Writer& to, const RunContent& run, const Cache& cache) {
  for (const auto& [digest, status] : run.status) {
    const auto group = "/records/" + digest;
    const auto found = find_record(cache, digest);
    write_record(to, group, found ? found->record : StageRecord{});
    to.text_attribute(group, "status", status);
    to.integer_attribute(group, "complete", found && found->entry ? 1 : 0);
    if (!found || !found->entry) continue;
    to.text_attribute(group, "type", found->entry->stage_type);
    to.text_attribute(group, "name", found->entry->stage_name);
    to.text_attribute(group, "made", found->entry->made);
  }
  for (const auto& member : run.members)
    for (const auto& [node, digest] : member.stages)
      if (run.status.contains(digest))
        to.link("/records/" + digest,
                "/" + arm_name(member.arm) + "/" + std::to_string(member.seed) + "/" + hdf5_name(node));
}

}  // namespace

bool is_long(std::string_view attribute) { return attribute == "recipe" || attribute == "recipe_files"; }

std::string arm_name(const std::string& arm) { return hdf5_name(arm, kOwnGroups); }

std::vector<StoredMember> members_of(const Value& plan, const std::string& where) {
  const auto* table = plan.as<Table>();
  if (!table) throw Error(where + ": the plan is not a table", Exit::data);
  const Stored stored(*table, where + ": plan");
  std::vector<StoredMember> members;
  for (const auto& one : stored.list("members")) {
    const auto* fields = one.as<Table>();
    if (!fields) throw stored.wrong("members", "an array of objects");
    const Stored about(*fields, where + ": member of the plan");
    StoredMember member{about.text("arm"), about.integer("seed"), {}};
    for (const auto& [node, digest] : about.table("stages")) {
      const auto* text = digest.as<std::string>();
      if (!text) throw about.wrong("stages", "an object of digests");
      check_digest(*text);
      member.stages.emplace(node, *text);
    }
    const bool twice = std::any_of(members.begin(), members.end(), [&](const StoredMember& other) {
      return other.arm == member.arm && other.seed == member.seed;
    });
    if (twice)
      throw Error(
          where + ": the plan has arm " + backquoted(member.arm) + ", seed " + std::to_string(member.seed) + " twice",
          Exit::data);
    members.push_back(std::move(member));
  }
  return members;
}

RunContent read_run_journal(const fs::path& journal) {
  RunContent run;
  const auto where = backquoted(journal.string());
  bool begun = false;
  read_journal(journal, [&](std::uint8_t kind, std::string_view payload) {
    if (!begun && static_cast<RunEntry>(kind) != RunEntry::begin)
      throw Error(where + " is no journal of a run: its first record is of another kind", Exit::data);
    begun = true;
    try {
      take(run, kind, payload, where);
    } catch (const Error& error) {
      const std::string text = error.what();
      throw Error(text.starts_with(where) ? text : where + " cannot be read: " + text, Exit::data);
    }
  });
  if (!begun || !run.plan.as<Table>()) throw Error(where + " is damaged: it holds no run and no plan", Exit::data);
  run.members = members_of(run.plan, where);
  return run;
}

std::optional<FoundRecord> find_record(const Cache& cache, const std::string& digest) {
  // The second look finds what was committed while the first one read the work folder.
  for (int look = 0;; ++look) {
    try {
      if (auto entry = cache.find(digest)) return FoundRecord{cache.record(*entry), *entry};
      const auto begun = cache.work_folder(digest) / kRecordFile;
      std::error_code none;
      if (!fs::exists(begun, none)) return std::nullopt;
      return FoundRecord{xp::read_record(begun), std::nullopt};
    } catch (const Error& error) {
      if (look == 0) continue;
      log::warn(error.what());
      return std::nullopt;
    }
  }
}

void write_result(const fs::path& file, const RunContent& run, const Cache& cache) {
  Hdf5Writer to;
  to.integer_attribute("/", "format", kResultFormat);
  for (const auto& [name, value] : run.attributes)
    if (is_long(name))
      to.text("/" + name, value);
    else
      to.text_attribute("/", name, value);
  to.text("/plan", to_json(run.plan));
  to.texts("/log", run.log);
  to.group("/records");
  write_stages(to, run, cache);
  to.save(file);
}

}  // namespace xp::detail
