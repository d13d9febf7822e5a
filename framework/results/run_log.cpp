#include "results/run_log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <random>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "results/cache_files.h"
#include "results/journal.h"
#include "results/late_sync.h"
#include "results/result_file.h"
#include "results/wire.h"

namespace xp {
namespace {

namespace fs = std::filesystem;
using detail::Packer;
using detail::RunContent;
using detail::RunEntry;

constexpr const char* kJournalEnding = ".journal";
constexpr const char* kResultEnding = ".h5";

void append(JournalWriter& out, RunEntry kind, std::string_view payload) {
  out.append(static_cast<std::uint8_t>(kind), payload);
}

std::unique_ptr<JournalWriter> begin_journal(const fs::path& file, const Attributes& attributes, const Value& plan) {
  const auto who = detail::this_process();
  Packer begin;
  begin.u32(1).text(who.host).text(who.machine).i64(who.pid).i64(who.start);
  begin.u32(static_cast<std::uint32_t>(attributes.size()));
  for (const auto& [key, value] : attributes) begin.text(key).text(value);
  auto out = std::make_unique<JournalWriter>(file);
  append(*out, RunEntry::begin, begin.bytes());
  append(*out, RunEntry::plan, to_json(plan));
  return out;
}

void remove_file(const fs::path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    throw Error("cannot remove " + backquoted(file.string()) + ": " + std::strerror(errno));
  detail::LateSync(file.parent_path()).soon();
}

fs::path with_ending(fs::path file, const char* ending) { return file.replace_extension(ending); }

// Writes the HDF5 file of a journal, then removes the journal: a kill between the two leaves both, and repair() the
// first.
fs::path fold(const fs::path& journal, const std::string& status, const std::string& ended, const Cache& cache) {
  auto run = detail::read_run_journal(journal);
  run.attributes["status"] = status;
  run.attributes["ended"] = ended;
  const auto file = with_ending(journal, kResultEnding);
  detail::write_result(file, run, cache);
  remove_file(journal);
  return file;
}

// Files of results in the folders of recipes, with this ending.
std::vector<fs::path> files_with(const fs::path& results, std::string_view recipe, const char* ending) {
  std::vector<fs::path> found;
  for (const auto& file : glob(results, (recipe.empty() ? "*" : std::string(recipe)) + "/*" + ending))
    if (file.parent_path().filename() != "cache") found.push_back(file);
  return found;
}

// Those of sweeps' trials.
std::vector<fs::path> trial_files_with(const fs::path& results, const char* ending) {
  std::vector<fs::path> found;
  for (const auto& file : glob(results, std::string("*/sweep-*/*") + ending))
    if (!file.filename().string().starts_with("decisions.")) found.push_back(file);
  return found;
}

std::string time_text(fs::file_time_type time) {
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(fs::file_time_type::clock::to_sys(time));
  const std::time_t raw = seconds.time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&raw, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace

std::string new_run_id() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string id;
  for (const char c : detail::utc_now())
    if (c >= '0' && c <= '9') id += c;
  id.insert(8, "-");
  id += '-';
  std::random_device random;
  for (int i = 0; i < 4; ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

struct RunLog::Impl {
  fs::path file;
  std::unique_ptr<JournalWriter> out;
  std::unique_ptr<detail::Heartbeat> heartbeat;
};

RunLog::RunLog(fs::path results, const std::string& recipe, const std::string& run, const Attributes& attributes,
               const Value& plan, const std::string& below)
    : impl_(std::make_unique<Impl>()) {
  if (!is_name(recipe) || recipe == "cache")
    throw Error(backquoted(printable(recipe)) +
                    " cannot name a folder of results: a name like `my_recipe` is wanted" +
                    (recipe == "cache" ? ", and `cache` is where artifacts lie" : ""),
                Exit::usage);
  if (run.empty() ||
      run.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != std::string::npos)
    throw Error(backquoted(printable(run)) + " cannot name a run: letters, digits, `-` and `_` can", Exit::usage);
  detail::members_of(plan, "the plan of run " + run);
  const auto folder = below.empty() ? results / recipe : results / recipe / below;
  detail::make_lasting_folders(folder);
  impl_->file = folder / (run + kJournalEnding);
  if (fs::exists(impl_->file) || fs::exists(with_ending(impl_->file, kResultEnding)))
    throw Error("run " + backquoted(run) + " is there already, in " + backquoted(folder.string()));
  Attributes all = attributes;
  all.emplace("run", run);
  all.emplace("recipe_name", recipe);
  all.emplace("host", detail::this_process().host);
  all.emplace("started", detail::utc_now());
  all.emplace("status", "running");
  // Readers never see a journal without its first records.
  const auto draft = folder / ("." + run + ".partial");
  try {
    impl_->out = begin_journal(draft, all, plan);
    impl_->out->publish(impl_->file);
  } catch (...) {
    ::unlink(draft.c_str());
    throw;
  }
  impl_->heartbeat = std::make_unique<detail::Heartbeat>(impl_->file);
}

RunLog::~RunLog() = default;

void RunLog::stage(const std::string& digest, const std::string& status) {
  detail::check_digest(digest);
  if (!impl_->out) throw Error("run " + backquoted(impl_->file.stem().string()) + " is closed");
  append(*impl_->out, RunEntry::stage, Packer().text(digest).text(status).bytes());
}

void RunLog::log_line(const std::string& text) {
  if (!impl_->out) throw Error("run " + backquoted(impl_->file.stem().string()) + " is closed");
  append(*impl_->out, RunEntry::line, Packer().text(detail::utc_now() + " " + text).bytes());
}

fs::path RunLog::close(const std::string& status, const Cache& cache) {
  if (!impl_->out) throw Error("run " + backquoted(impl_->file.stem().string()) + " is closed");
  impl_->out->check();
  // A result says that its stages are in the cache, so their names come to the disk before its own.
  std::error_code none;
  if (fs::exists(cache.folder(), none)) sync_path(cache.folder());
  auto file = fold(impl_->file, status, detail::utc_now(), cache);
  impl_->heartbeat.reset();
  impl_->out.reset();
  return file;
}

void RunLog::discard() {
  impl_->heartbeat.reset();
  impl_->out.reset();
  remove_file(impl_->file);
}

const fs::path& RunLog::journal() const { return impl_->file; }

std::vector<fs::path> find_results(const fs::path& results, std::string_view recipe) {
  if (!recipe.empty() && !is_name(recipe)) return {};
  auto found = files_with(results, recipe, kResultEnding);
  std::error_code none;
  for (auto& journal : files_with(results, recipe, kJournalEnding))
    if (!fs::exists(with_ending(journal, kResultEnding), none)) found.push_back(std::move(journal));
  std::vector<std::pair<std::string, fs::path>> named;
  for (auto& file : found) named.emplace_back(file.stem().native(), std::move(file));
  std::sort(named.begin(), named.end(), [](const auto& a, const auto& b) {
    return std::tie(b.first, a.second.native()) < std::tie(a.first, b.second.native());
  });
  found.clear();
  for (auto& [name, file] : named) found.push_back(std::move(file));
  return found;
}

std::vector<fs::path> find_all_results(const fs::path& results) {
  auto out = find_results(results);
  for (const char* ending : {kResultEnding, kJournalEnding})
    for (auto& file : trial_files_with(results, ending)) out.push_back(std::move(file));
  return out;
}

std::vector<fs::path> repair(const fs::path& results) {
  const Cache cache(results);
  std::vector<fs::path> written;
  auto journals = files_with(results, {}, kJournalEnding);
  for (auto& journal : trial_files_with(results, kJournalEnding)) journals.push_back(std::move(journal));
  for (const auto& journal : journals) {
    std::unique_ptr<Result> result;
    try {
      result = read_result(journal, &cache);
    } catch (const Error& error) {
      log::warn(error.what());
      continue;
    }
    if (result->alive()) continue;
    const auto file = with_ending(journal, kResultEnding);
    std::error_code none;
    if (fs::exists(file, none)) {  // killed after the fold; a result file is there whole or not at all
      read_result(file);
      remove_file(journal);
    } else {
      written.push_back(fold(journal, "killed", time_text(fs::last_write_time(journal)), cache));
    }
  }
  return written;
}

}  // namespace xp
