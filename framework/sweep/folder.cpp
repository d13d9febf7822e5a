#include "sweep/folder.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "results/cache_files.h"
#include "results/process.h"
#include "results/run_log.h"
#include "results/stored_json.h"
#include "sweep/book.h"

namespace xp::sweep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFormat = 1;

List list_of(const std::vector<std::string>& texts) { return List(texts.begin(), texts.end()); }

std::vector<std::string> texts_at(const detail::Stored& stored, std::string_view key) {
  std::vector<std::string> out;
  for (const auto& one : stored.list(key)) {
    const auto* text = one.as<std::string>();
    if (!text) throw stored.wrong(key, "a list of texts");
    out.push_back(*text);
  }
  return out;
}

}  // namespace

fs::path begin_sweep(const fs::path& results, const Header& header) {
  const auto folder = results / header.name / ("sweep-" + new_run_id());
  detail::make_lasting_folders(folder);
  write_header(folder, header);
  return folder;
}

void write_header(const fs::path& folder, const Header& header) {
  List seeds;
  for (const auto seed : header.options.seeds) seeds.emplace_back(seed);
  Table retries;
  for (const auto& [failure, times] : header.retries) retries.emplace(failure, times);
  const Table table{{"format", kFormat},
                    {"recipe", header.recipe},
                    {"name", header.name},
                    {"set", list_of(header.options.set)},
                    {"unset", list_of(header.options.unset)},
                    {"arms", list_of(header.options.arms)},
                    {"seeds", std::move(seeds)},
                    {"smoke", header.options.smoke},
                    {"trust_plugins", header.options.trust_plugins},
                    {"root", header.options.root.string()},
                    {"source", header.source},
                    {"identity", list_of(header.identity)},
                    {"binaries", list_of(header.binaries)},
                    {"started", header.started.empty() ? detail::utc_now() : header.started},
                    {"retries", std::move(retries)},
                    {"goal", header.goal},
                    {"higher", header.higher}};
  write_file(folder / kHeaderFile, to_json(Value(table)) + "\n");
}

Header read_header(const fs::path& folder) {
  const auto file = folder / kHeaderFile;
  if (!fs::exists(file))
    throw Error(backquoted(folder.string()) + " holds no sweep: it has no " + kHeaderFile, Exit::data);
  const auto table = detail::stored_object(read_file(file, 1 << 26), file.string());
  const detail::Stored stored(table, file.string());
  if (stored.integer("format") != kFormat)
    throw Error(file.string() + " is of format " + std::to_string(stored.integer("format")) +
                    "; this program reads format " + std::to_string(kFormat),
                Exit::data);
  const auto flag = [&](const char* key) {
    const auto found = table.find(key);
    const auto* value = found == table.end() ? nullptr : found->second.as<bool>();
    if (!value) throw stored.wrong(key, "true or false");
    return *value;
  };
  Header out;
  out.recipe = stored.text("recipe"), out.name = stored.text("name");
  out.options.set = texts_at(stored, "set"), out.options.unset = texts_at(stored, "unset");
  out.options.arms = texts_at(stored, "arms"), out.options.root = stored.text("root");
  for (const auto& seed : stored.list("seeds")) {
    if (!seed.as<std::int64_t>()) throw stored.wrong("seeds", "a list of integers");
    out.options.seeds.push_back(*seed.as<std::int64_t>());
  }
  out.options.smoke = flag("smoke"), out.options.trust_plugins = flag("trust_plugins");
  out.source = stored.text("source"), out.identity = texts_at(stored, "identity");
  out.binaries = texts_at(stored, "binaries"), out.started = stored.text("started");
  for (const auto& [failure, times] : stored.table("retries"))
    if (times.as<std::int64_t>()) out.retries[failure] = *times.as<std::int64_t>();
  out.goal = stored.text("goal"), out.higher = flag("higher");
  return out;
}

std::vector<fs::path> find_sweeps(const fs::path& results, std::string_view recipe) {
  if (!recipe.empty() && !is_name(recipe)) return {};
  std::vector<fs::path> out;
  for (const auto& file : glob(results, (recipe.empty() ? "*" : std::string(recipe)) + "/sweep-*/" + kHeaderFile))
    out.push_back(file.parent_path());
  std::sort(out.begin(), out.end(), [](const fs::path& a, const fs::path& b) { return a.filename() > b.filename(); });
  return out;
}

Trials read_trials(const fs::path& folder, const Header& header) {
  Trials out(header.retries);
  for (const auto& event : Book(folder).news()) out.apply(event);
  return out;
}

std::vector<fs::path> chosen_results(const fs::path& folder, bool every) {
  const auto header = read_header(folder);
  const auto trials = read_trials(folder, header);
  std::vector<fs::path> out;
  std::set<std::string> arms;
  for (const auto& trial : trials.all()) {
    if (trial.phase != TrialState::Phase::done) continue;
    if (every || header.goal.empty()) {
      out.push_back(folder / trial.file);
    } else if (arms.insert(trial.arm).second) {
      const auto best = ranking(trials, trial.arm, header.higher);
      if (std::isfinite(best.front()->goal)) out.push_back(folder / best.front()->file);
    }
  }
  return out;
}

}  // namespace xp::sweep
