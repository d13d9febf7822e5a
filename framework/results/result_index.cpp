#include "results/result_index.h"

#include <sys/stat.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "results/index_format.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using detail::IndexedNode;
using detail::IndexedPlan;
using detail::IndexedRun;
using detail::IndexedStage;

constexpr std::int64_t kNanoseconds = 1000000000;

// Size and time of a file; {-1, 0} if it cannot be seen.
std::pair<std::int64_t, std::int64_t> look_at(const fs::path& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) return {-1, 0};
  return {about.st_size, about.st_mtim.tv_sec * kNanoseconds + about.st_mtim.tv_nsec};
}

// A closed run as the index has it; what is not there is read from the file, which does not stay open.
class IndexedResult final : public Result {
 public:
  IndexedResult(fs::path path, IndexedRun run) : path_(std::move(path)), run_(std::move(run)) {
    for (std::size_t i = 0; i < run_.outline.members.size(); ++i) {
      const auto& member = run_.outline.members[i];
      sources_.emplace(std::pair(member.arm, member.seed), Source(*this, member));
    }
  }

  const fs::path& path() const override { return path_; }
  bool open() const override { return false; }
  bool alive() const override { return false; }
  const Attributes& attributes() const override { return file().attributes(); }
  const Value& plan() const override { return file().plan(); }
  std::vector<StageStatus> stages() const override { return file().stages(); }
  const std::vector<std::string>& log() const override { return file().log(); }
  std::vector<std::string> digests() const override { return file().digests(); }
  std::map<std::string, LedgerHead> ledgers(const std::string& digest, std::size_t most) const override {
    return file().ledgers(digest, most);
  }
  std::optional<StageRecord> whole(std::string_view arm, std::int64_t seed, std::string_view node) const override {
    return file().whole(arm, seed, node);
  }
  RunOutline outline() const override { return run_.outline; }

  const Table* node(std::string_view digest) const override { return planned(run_.nodes, digest); }
  const Table* dataset(std::string_view digest) const override { return planned(run_.datasets, digest); }

  const RecordSource* member(std::string_view arm, std::int64_t seed, bool partial) const override {
    if (partial) return file().member(arm, seed, true);
    const auto found = sources_.find(std::pair(std::string(arm), seed));
    return found == sources_.end() ? nullptr : &found->second;
  }

 private:
  static const Table* planned(const IndexedPlan& of, std::string_view digest) {
    const auto stored = of.find(digest);
    return stored == of.end() ? nullptr : stored->second->table();
  }

  class Source final : public RecordSource {
   public:
    Source(const IndexedResult& of, const RunOutline::Member& member) : of_(of), member_(member) {}
    std::vector<std::string> nodes() const override {
      std::vector<std::string> names;
      for (const auto& [node, digest] : member_.stages) names.push_back(node);
      return names;
    }
    const StageRecord* record(std::string_view node) const override {
      const auto* of = stage(node);
      return of && of->complete ? &of->record : nullptr;
    }
    const Curve* curve(std::string_view node, const std::string& name) const override {
      const auto* of = stage(node);
      if (!of || !of->complete || !of->record.curves.contains(name)) return nullptr;
      return of_.curve(member_, std::string(node), name);
    }
    std::optional<FinalValue> last(std::string_view node, const std::string& name) const override {
      const auto* of = stage(node);
      const auto found = of ? of->last.find(name) : std::map<std::string, FinalValue>::const_iterator{};
      if (!of || !of->complete || found == of->last.end()) return {};
      return found->second;
    }

   private:
    const IndexedStage* stage(std::string_view node) const {
      const auto digest = member_.stages.find(std::string(node));
      const auto found =
          digest == member_.stages.end() ? of_.run_.stages.end() : of_.run_.stages.find(digest->second);
      return found == of_.run_.stages.end() ? nullptr : &found->second;
    }
    const IndexedResult& of_;
    const RunOutline::Member& member_;
  };

  const Curve* curve(const RunOutline::Member& member, const std::string& node, const std::string& name) const {
    const auto [at, fresh] = curves_.try_emplace({member.stages.at(node), name});
    if (!fresh) return &at->second;
    const auto file = read_result(path_);
    if (const auto* source = file->member(member.arm, member.seed))
      if (const auto* found = source->curve(node, name)) at->second = *found;
    return &at->second;
  }

  const Result& file() const {
    if (!whole_) whole_ = read_result(path_);
    return *whole_;
  }

  fs::path path_;
  IndexedRun run_;
  std::map<std::pair<std::string, std::int64_t>, Source> sources_;
  mutable std::map<std::pair<std::string, std::string>, Curve> curves_;  ///< by digest and name
  mutable std::unique_ptr<Result> whole_;
};

IndexedStage indexed_stage(const RecordSource& source, const std::string& node) {
  IndexedStage out;
  const auto* record = source.record(node);
  if (!record) return out;
  out.complete = true;
  out.record.counters = record->counters, out.record.finals = record->finals;
  for (const auto& [name, none] : record->curves) {
    out.record.curves[name];
    if (auto last = source.last(node, name)) out.last.emplace(name, std::move(*last));
  }
  return out;
}

// Reads what tables need of a file.
IndexedRun indexed_run(const fs::path& file) {
  IndexedRun out;
  out.file = file.filename().string();
  std::tie(out.bytes, out.changed) = look_at(file);
  const auto result = read_result(file);
  out.outline = result->outline();
  for (const auto& member : out.outline.members) {
    const auto* source = result->member(member.arm, member.seed);
    for (const auto& [node, digest] : member.stages) {
      if (source && !out.stages.contains(digest)) out.stages.emplace(digest, indexed_stage(*source, node));
      if (const auto* stored = result->node(digest); stored && !out.nodes.contains(digest))
        out.nodes.emplace(digest, std::make_shared<const IndexedNode>(to_json(Value(*stored))));
    }
  }
  const auto* datasets = find(*result->plan().as<Table>(), "datasets");
  if (const auto* all = datasets ? datasets->as<Table>() : nullptr)
    for (const auto& [digest, dataset] : *all)
      out.datasets.emplace(digest, std::make_shared<const IndexedNode>(to_json(dataset)));
  return out;
}

std::map<std::string, IndexedRun> known_runs(const fs::path& index) {
  std::map<std::string, IndexedRun> out;
  std::error_code none;
  if (!fs::exists(index, none)) return out;
  try {
    for (auto& run : detail::unpack_index(read_file(index))) {
      auto name = run.file;
      out.insert_or_assign(std::move(name), std::move(run));
    }
  } catch (const Error& error) {
    log::debug("the index " + index.string() + " is made again: " + error.what());
    out.clear();
  }
  return out;
}

// The index saves time and nothing else, so a folder that cannot be written is no mistake.
void keep_index(const fs::path& index, const std::vector<IndexedRun>& runs) {
  try {
    write_file(index, detail::pack_index(runs));
  } catch (const Error& error) {
    log::debug("the index " + index.string() + " is not kept: " + error.what());
  }
}

}  // namespace

std::vector<std::unique_ptr<Result>> read_results(const fs::path& folder, const std::vector<fs::path>& files,
                                                  const Cache& cache) {
  const auto index = folder / kIndexFile;
  auto known = known_runs(index);
  const auto before = known.size();
  bool fresh = false;
  std::vector<IndexedRun> runs;
  std::vector<std::unique_ptr<Result>> out;
  std::vector<std::size_t> places;  // of the closed ones
  for (const auto& file : files) {
    if (file.extension() != ".h5") {
      out.push_back(read_result(file, &cache));
      continue;
    }
    const auto found = known.find(file.filename().native());
    const bool holds = found != known.end() && std::pair(found->second.bytes, found->second.changed) == look_at(file);
    fresh |= !holds;
    runs.push_back(holds ? std::move(found->second) : indexed_run(file));
    places.push_back(out.size());
    out.push_back(nullptr);
  }
  if (fresh || runs.size() != before) keep_index(index, runs);
  for (std::size_t i = 0; i < runs.size(); ++i)
    out[places[i]] = std::make_unique<IndexedResult>(files[places[i]], std::move(runs[i]));
  return out;
}

}  // namespace xp
