// Results as read back: from an HDF5 file, or from an open journal and the cache beside it.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "results/result_file.h"
#include "results/stored_json.h"

namespace xp {

Result::~Result() = default;

namespace {

namespace fs = std::filesystem;
using detail::RunContent;
using detail::StoredMember;

struct Loaded {
  std::optional<StageRecord> record;
  bool complete = false;
};

// What both kinds share; records come from `load` once each.
class Stored : public Result {
 public:
  Stored(fs::path path, RunContent run) : path_(std::move(path)), run_(std::move(run)) {
    for (const auto& member : run_.members)
      for (const bool partial : {false, true})
        sources_.emplace(Key{member.arm, member.seed, partial}, Source(*this, member, partial));
  }

  const fs::path& path() const override { return path_; }
  const Attributes& attributes() const override { return run_.attributes; }
  const Value& plan() const override { return run_.plan; }
  const std::vector<std::string>& log() const override { return run_.log; }

  const RecordSource* member(std::string_view arm, std::int64_t seed, bool partial) const override {
    const auto found = sources_.find(Key{std::string(arm), seed, partial});
    return found == sources_.end() ? nullptr : &found->second;
  }

  std::vector<std::string> digests() const override {
    std::set<std::string> all;
    for (const auto& member : run_.members)
      for (const auto& [node, digest] : member.stages) all.insert(digest);
    for (const auto& [digest, status] : run_.status) all.insert(digest);
    return {all.begin(), all.end()};
  }

  std::optional<StageRecord> whole(std::string_view arm, std::int64_t seed, std::string_view node) const override {
    for (const auto& member : run_.members) {
      if (member.arm != arm || member.seed != seed) continue;
      const auto stage = member.stages.find(node);
      if (stage == member.stages.end() || !run_.status.contains(stage->second)) return std::nullopt;
      auto loaded = load(stage->second, true);
      return loaded.complete ? std::move(loaded.record) : std::nullopt;
    }
    return std::nullopt;
  }
  std::map<std::string, LedgerHead> ledgers(const std::string& digest, std::size_t most) const override {
    if (!run_.status.contains(digest)) return {};
    return load_ledgers(digest, most);
  }

  std::vector<StageStatus> stages() const override {
    std::vector<StageStatus> out;
    for (const auto& digest : digests()) {
      const auto status = run_.status.find(digest);
      const bool begun = status != run_.status.end();
      out.push_back({digest, begun ? status->second : std::string(), begun && complete(digest)});
    }
    return out;
  }

 protected:
  /// Not `whole`: without what tables and claims do not look at.
  virtual Loaded load(const std::string& digest, bool whole) const = 0;
  virtual bool complete(const std::string& digest) const = 0;
  virtual Curve load_curve(const std::string& digest, const std::string& name, Curve known) const = 0;
  virtual std::map<std::string, LedgerHead> load_ledgers(const std::string& digest, std::size_t most) const = 0;
  const RunContent& run() const { return run_; }

 private:
  class Source final : public RecordSource {
   public:
    Source(const Stored& of, const StoredMember& member, bool partial)
        : of_(of), member_(member), partial_(partial) {}
    std::vector<std::string> nodes() const override {
      std::vector<std::string> names;
      for (const auto& [node, digest] : member_.stages) names.push_back(node);
      return names;
    }
    const StageRecord* record(std::string_view node) const override {
      const auto found = member_.stages.find(node);
      return found == member_.stages.end() ? nullptr : of_.record(found->second, partial_);
    }
    const Curve* curve(std::string_view node, const std::string& name) const override {
      const auto found = member_.stages.find(node);
      return found == member_.stages.end() ? nullptr : of_.curve(found->second, name, partial_);
    }

   private:
    const Stored& of_;
    const StoredMember& member_;
    bool partial_;
  };

  const StageRecord* record(const std::string& digest, bool partial) const {
    if (!run_.status.contains(digest)) return nullptr;
    auto found = records_.find(digest);
    if (found == records_.end()) found = records_.emplace(digest, load(digest, false)).first;
    const auto& loaded = found->second;
    return loaded.record && (loaded.complete || partial) ? &*loaded.record : nullptr;
  }

  const Curve* curve(const std::string& digest, const std::string& name, bool partial) const {
    const auto* of = record(digest, partial);
    if (!of) return nullptr;
    const auto known = of->curves.find(name);
    if (known == of->curves.end()) return nullptr;
    const auto [at, fresh] = curves_.try_emplace({digest, name});
    if (fresh) at->second = load_curve(digest, name, known->second);
    return &at->second;
  }

  using Key = std::tuple<std::string, std::int64_t, bool>;
  fs::path path_;
  RunContent run_;
  std::map<Key, Source> sources_;
  mutable std::map<std::string, Loaded> records_;
  mutable std::map<std::pair<std::string, std::string>, Curve> curves_;  ///< by digest and name
};

class OpenRun final : public Stored {
 public:
  OpenRun(const fs::path& path, const Cache& cache) : Stored(path, detail::read_run_journal(path)), cache_(cache) {}
  bool open() const override { return true; }
  bool alive() const override {
    std::error_code gone;
    const auto renewed = fs::last_write_time(path(), gone);
    return !gone && detail::lives(run().process, renewed, fs::file_time_type::clock::now());
  }

 private:
  Loaded load(const std::string& digest, bool) const override {
    auto found = detail::find_record(cache_, digest);
    if (!found) return {};
    return {std::move(found->record), found->entry.has_value()};
  }
  bool complete(const std::string& digest) const override { return cache_.find(digest).has_value(); }
  Curve load_curve(const std::string&, const std::string&, Curve known) const override { return known; }
  std::map<std::string, LedgerHead> load_ledgers(const std::string& digest, std::size_t most) const override {
    std::map<std::string, LedgerHead> out;
    auto found = detail::find_record(cache_, digest);
    if (!found) return out;
    for (auto& [name, table] : found->record.ledgers) {
      const auto rows = table.rows.size();
      table.rows.resize(std::min(rows, most));
      out[name] = {std::move(table), rows};
    }
    return out;
  }

  Cache cache_;
};

RunContent read_content(const Hdf5Reader& from, const fs::path& path) {
  const auto where = backquoted(path.string());
  if (!from.has("/plan") || !from.has("/records"))
    throw Error(where + " is no result of this program: it has no `/plan` or no `/records`", Exit::data);
  if (const auto format = from.integer_attribute("/", "format"); format != detail::kResultFormat)
    throw Error(where + " is a result of format " + std::to_string(format) + "; this program reads format " +
                    std::to_string(detail::kResultFormat),
                Exit::data);
  RunContent run;
  run.attributes = from.text_attributes("/");
  for (const auto& link : from.children("/"))
    if (detail::is_long(link)) run.attributes[link] = from.text("/" + link);
  run.plan = detail::stored_object(from.text("/plan"), where + ", /plan");
  run.members = detail::members_of(run.plan, where);
  run.log = from.texts("/log");
  for (const auto& digest : from.children("/records"))
    run.status[digest] = from.text_attributes("/records/" + digest)["status"];
  return run;
}

class ClosedRun final : public Stored {
 public:
  ClosedRun(const fs::path& path, std::unique_ptr<Hdf5Reader> from)
      : Stored(path, read_content(*from, path)), from_(std::move(from)) {}
  bool open() const override { return false; }
  bool alive() const override { return false; }

 private:
  Loaded load(const std::string& digest, bool whole) const override {
    return {detail::read_record(*from_, "/records/" + digest, whole), complete(digest)};
  }
  bool complete(const std::string& digest) const override {
    return from_->integer_attribute("/records/" + digest, "complete") == 1;
  }
  Curve load_curve(const std::string& digest, const std::string& name, Curve) const override {
    return detail::read_curve(*from_, "/records/" + digest, name);
  }
  std::map<std::string, LedgerHead> load_ledgers(const std::string& digest, std::size_t most) const override {
    return detail::read_ledgers(*from_, "/records/" + digest, most);
  }

  std::unique_ptr<Hdf5Reader> from_;
};

}  // namespace

std::unique_ptr<Result> read_result(const fs::path& file, const Cache* cache) {
  if (file.extension() == ".h5") return std::make_unique<ClosedRun>(file, std::make_unique<Hdf5Reader>(file));
  if (file.extension() != ".journal")
    throw Error(backquoted(file.string()) + " is no result: names of results end with `.h5` or `.journal`",
                Exit::data);
  const auto results = fs::absolute(file).parent_path().parent_path();
  return std::make_unique<OpenRun>(file, cache ? *cache : Cache(results));
}

}  // namespace xp
